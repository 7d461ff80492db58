//! The source ports that probes ask from: a range for scans, for canaries and for sessions, each used in turn.
//!
//! They are apart because a target remembers: from a tuple that is in SYN-RECEIVED or TIME-WAIT still, a new SYN may be
//! answered by an ACK alone, or not at all (RFC 9293 section 3.10.7.4), and a port that serves would look lost.

/// The first of the two ports of a scan: 10,000 to 41,998.
pub(super) fn scan(nth: u64) -> u16 {
    10_000 + 2 * (nth % 16_000) as u16
}

/// A canary's port: 42,000 to 49,999.
pub(super) fn canary(nth: u64) -> u16 {
    42_000 + (nth % 8_000) as u16
}

/// A session's port, or a lone question's: 50,000 to 60,999.
pub(super) fn session(nth: u64) -> u16 {
    50_000 + (nth % 11_000) as u16
}
