//! The scanner: stateless SYNs to many TCP ports of one address, judged by every frame the guest sends.
//!
//! Probes go out in windows, each followed by a canary whose answer closes it: neither time nor the number of unanswered
//! probes paces a target that is silent. A fresh source port and a cookie per scan keep an earlier scan's retransmitted
//! SYN-ACKs out, and an RST for each SYN-ACK keeps the target's backlog free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use smoltcp::wire::TcpControl;

use super::Fabric;
use super::canary::{Closed, Terms};
use super::inbox::{Event, Seen, Station, Watch};
use super::judge::{Cause, Cookies, Evidence, Flow, Identity};
use super::packet::{self, Host};
use super::source_ports;
use super::switch::Segment;
use super::watchers::{Infrastructure, Watchers, answers};

/// Probes between two canaries.
const WINDOW: usize = 256;
/// The first window: the target's neighbour queue holds about a hundred packets while it asks for the scan's source
/// (`unres_qlen_bytes`).
const FIRST_WINDOW: usize = 32;
/// Windows without a closing answer at a time.
const IN_FLIGHT: usize = 4;
/// How long a port that ought to answer is waited for before it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// What is to be scanned, by TCP or by UDP.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The segment that the probes come from.
    pub segment: Segment,
    /// Their source. The IP must be used by nothing else while the scan runs.
    pub source: Host,
    /// A gateway that `source.mac` stands in for, if the source is off-link: ARP and ND for it are answered too.
    pub via: Option<IpAddr>,
    /// The address asked, and the Ethernet address it is asked at.
    pub target: Host,
    /// The ports, each once.
    pub ports: Vec<u16>,
    /// Those that ought to answer: they are asked again after all others, and waited for as long as the terms' grace. What answers
    /// may be farther away than the canary: behind a bridge, or a neighbour that is not known yet.
    pub expected: BTreeSet<u16>,
    /// What closes the windows, and until when.
    pub terms: Terms,
}

/// What a port did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// It answered with SYN and ACK, in this frame.
    Serves(u64),
    /// It answered with RST, or an ICMP "unreachable" spoke for it, in this frame.
    Refuses(u64),
    /// No answer, and a later canary was answered.
    Silent,
}

/// What a scan found.
#[derive(Debug, Clone)]
pub struct ScanReport {
    /// Every port that was asked.
    pub ports: BTreeMap<u16, PortState>,
    /// ARP and ND for the scan's source through the right NIC and segment. Natural if some port answers; on a target
    /// that should be silent it is a frame too many.
    pub asked: Vec<Evidence>,
    /// Every other frame that the scan caused: ICMP errors, and whatever left by another port or segment.
    pub stray: Vec<Evidence>,
    /// The canary's answer that closed the last window.
    pub closed: Closed,
    /// Canaries sent.
    pub canaries: u32,
    /// Probes sent, those that were sent again included.
    pub probes: u64,
    /// From the first canary to the last.
    pub elapsed: Duration,
    /// How much of it went to waiting for expected ports.
    pub waited: Duration,
    /// What tells this scan's frames: late ones can be judged with it after the scan.
    pub identity: Identity,
}

impl ScanReport {
    /// Whether the scan caused no frame at all.
    pub fn is_silent(&self) -> bool {
        let silent = self.ports.values().all(|state| *state == PortState::Silent);
        silent && self.asked.is_empty() && self.stray.is_empty()
    }

    /// The ports that serve.
    pub fn serving(&self) -> Vec<u16> {
        let serves = self.ports.iter().filter(|(_, state)| matches!(state, PortState::Serves(_)));
        serves.map(|(port, _)| *port).collect()
    }
}

impl Fabric {
    /// Scans, on the calling thread, until every port has a verdict.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered before the deadline, or the fabric has stopped: there is no
    /// verdict then, least of all "silent".
    pub fn scan(&self, scan: &Scan) -> Result<ScanReport, Infrastructure> {
        if scan.source.ip.is_ipv4() != scan.target.ip.is_ipv4() {
            return Err(anyhow!("a scan from {} cannot ask {}", scan.source.ip, scan.target.ip).into());
        }
        let inbox = self.inbox(Watch::FromGuest)?;
        let addresses = answers(scan.source.ip, scan.via);
        let station = inbox.station(scan.segment, scan.source.mac, &addresses, false)?;
        let watchers = Watchers::new(&inbox, &scan.terms)?;
        Run::new(scan, watchers, station, inbox.fresh()).finish()
    }
}

struct Run<'a> {
    scan: &'a Scan,
    watchers: Watchers<'a>,
    station: Station,
    identity: Identity,
    cookies: Cookies,
    local: u16,
    states: BTreeMap<u16, PortState>,
    asked: Vec<Evidence>,
    stray: Vec<Evidence>,
    probes: u64,
    /// Whether some port answered with RST: then silence may be a lost answer. ICMP errors are rationed and say nothing.
    resets: bool,
    /// Expected ports that have not answered their second question.
    due: BTreeSet<u16>,
}

impl<'a> Run<'a> {
    fn new(scan: &'a Scan, watchers: Watchers<'a>, station: Station, nth: u64) -> Self {
        let cookies = Cookies::new();
        let local = source_ports::scan(nth);
        let flow = Flow::Tcp { local: vec![local, local + 1], remote: None, cookies: Some(cookies.clone()) };
        let identity = Identity { source: scan.source.ip, target: scan.target.ip, flow, exclusive: true };
        let states = scan.ports.iter().map(|port| (*port, PortState::Silent)).collect();
        let (asked, stray) = (Vec::new(), Vec::new());
        let (probes, resets, due) = (0, false, BTreeSet::new());
        Self { scan, watchers, station, identity, cookies, local, states, asked, stray, probes, resets, due }
    }

    fn finish(mut self) -> Result<ScanReport, Infrastructure> {
        let begun = Instant::now();
        self.close()?;
        let all: Vec<u16> = self.states.keys().copied().collect();
        self.round(&all)?;
        let lost: Vec<u16> = self
            .states
            .iter()
            .filter(|(port, state)| self.scan.expected.contains(port) || **state == PortState::Silent && self.resets)
            .map(|(port, _)| *port)
            .collect();
        let mut waited = Duration::ZERO;
        if !lost.is_empty() {
            self.local += 1;
            self.due = self.states.keys().copied().filter(|port| self.scan.expected.contains(port)).collect();
            self.round(&lost)?;
            waited = self.wait_for_due()?;
        }
        self.watchers.call_others()?;
        while !self.watchers.others_closed() {
            self.turn(None)?;
        }
        let closed = self.close()?;
        Ok(ScanReport {
            ports: self.states,
            asked: self.asked,
            stray: self.stray,
            closed,
            canaries: self.watchers.main.sent(),
            probes: self.probes,
            elapsed: begun.elapsed(),
            waited,
            identity: self.identity,
        })
    }

    /// Asks these ports, window by window.
    fn round(&mut self, ports: &[u16]) -> Result<(), Infrastructure> {
        let (first, rest) = ports.split_at(ports.len().min(FIRST_WINDOW));
        let mut windows = std::iter::once(first).chain(rest.chunks(WINDOW)).peekable();
        let mut open: Vec<u32> = Vec::new();
        // The first window is waited for alone: after it the target knows where the scan's source is.
        let mut room = 1;
        while windows.peek().is_some() || !open.is_empty() {
            while open.len() < room
                && let Some(window) = windows.next()
            {
                let frames = window.iter().filter_map(|port| {
                    let ports = (self.local, *port);
                    packet::tcp(
                        self.scan.source,
                        self.scan.target,
                        ports,
                        TcpControl::Syn,
                        self.cookies.of(self.local, *port),
                    )
                });
                self.station.send(frames.collect())?;
                self.probes += window.len() as u64;
                open.push(self.watchers.main.call()?);
            }
            self.turn(None)?;
            let closed = self.watchers.main.closed().map(|closed| closed.canary);
            open.retain(|canary| closed.is_none_or(|closed| closed < *canary));
            if open.is_empty() {
                room = IN_FLIGHT;
            }
        }
        Ok(())
    }

    /// Waits for the expected ports; gives for how long.
    fn wait_for_due(&mut self) -> Result<Duration, Infrastructure> {
        let begun = Instant::now();
        let end = begun + self.scan.terms.grace;
        while !self.due.is_empty() && Instant::now() < end {
            let until = end.min(Instant::now() + AGAIN);
            while !self.due.is_empty() && Instant::now() < until {
                self.turn(Some(until))?;
            }
            let due: Vec<u16> = self.due.iter().copied().collect();
            if !due.is_empty() {
                self.round(&due)?;
            }
        }
        Ok(begun.elapsed())
    }

    /// One more canary, and its answer.
    fn close(&mut self) -> Result<Closed, Infrastructure> {
        let canary = self.watchers.main.call()?;
        loop {
            if let Some(closed) = self.watchers.main.closed().filter(|closed| closed.canary >= canary) {
                return Ok(closed);
            }
            self.turn(None)?;
        }
    }

    /// Takes what the guest sent, or sends another canary when none came for too long.
    fn turn(&mut self, at_most: Option<Instant>) -> Result<(), Infrastructure> {
        let mut resets = Vec::new();
        for event in self.watchers.turn(at_most)? {
            let Event::Seen(seen) = event else { continue };
            self.hear(&seen, &mut resets);
        }
        self.station.send(resets)?;
        Ok(())
    }

    fn hear(&mut self, seen: &Seen, resets: &mut Vec<Vec<u8>>) {
        let Some(cause) = self.identity.judge(&seen.frame) else { return };
        let evidence = Evidence { frame: seen.number, port: seen.port, segment: seen.segment, at: seen.at, cause };
        if seen.port != self.scan.terms.canary.nic || seen.segment != Some(self.scan.segment) {
            self.stray.push(evidence);
            return;
        }
        let (port, state) = match cause {
            Cause::SynAck(port) => {
                // The SYN may be of an earlier round; the answer says which.
                if let packet::Packet::Ip(ip) = packet::Packet::of(&seen.frame)
                    && let Some((_, local)) = ip.ports()
                {
                    let sequence = self.cookies.of(local, port).wrapping_add(1);
                    let ports = (local, port);
                    resets.extend(packet::tcp(self.scan.source, self.scan.target, ports, TcpControl::Rst, sequence));
                }
                (port, PortState::Serves(seen.number))
            }
            Cause::Reset(port) => {
                self.resets = true;
                (port, PortState::Refuses(seen.number))
            }
            Cause::AskedForSource => return self.asked.push(evidence),
            Cause::IcmpError { port, unreachable, .. } => {
                self.stray.push(evidence);
                let Some(port) = port.filter(|_| unreachable) else { return };
                (port, PortState::Refuses(seen.number))
            }
            Cause::Segment(_)
            | Cause::Datagram
            | Cause::EchoReply
            | Cause::IsAt(_)
            | Cause::AskedForTarget
            | Cause::Forwarded
            | Cause::Addressed => return self.stray.push(evidence),
        };
        if let packet::Packet::Ip(ip) = packet::Packet::of(&seen.frame)
            && ip.ports().is_some_and(|(_, local)| local == self.local)
        {
            self.due.remove(&port);
        }
        match self.states.get_mut(&port) {
            Some(PortState::Serves(_)) => {}
            Some(known) => *known = state,
            None => self.stray.push(evidence),
        }
    }
}
