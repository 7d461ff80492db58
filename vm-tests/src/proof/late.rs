//! Answers that come late. A window is closed by a canary, which the kernel answers at once; what is behind a bridge, or a program such as
//! docker-proxy, takes longer. So every probe that was silent is held against all frames that came after it, until the proof ends.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::report::Fact;
use crate::fabric::judge::{Cause, Flow, Identity};
use crate::fabric::packet::{self, Packet};
use crate::fabric::{Closed, Seen, Segment};

/// How many late frames are told.
const MOST: usize = 8;

/// What was asked, and what came for those who asked.
#[derive(Debug, Default)]
pub struct Late(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// By the address that they asked from. One may be used again, by a probe with other ports.
    probes: HashMap<IpAddr, Vec<Probe>>,
    frames: Vec<Seen>,
}

/// A probe whose windows are closed.
#[derive(Debug)]
struct Probe {
    what: String,
    /// Where it asked.
    segment: Segment,
    identity: Identity,
    answered: BTreeSet<u16>,
    closed: Instant,
}

/// What of a probe is answered.
enum Answer {
    /// One of its ports.
    Port(u16),
    /// It asked for one thing alone.
    Whole,
}

impl Late {
    /// Frames for this address are kept from now on.
    pub fn listen(&self, source: IpAddr) {
        self.heard().probes.entry(source).or_default();
    }

    /// A frame of the guest.
    pub fn hear(&self, seen: &Seen) {
        let mut heard = self.heard();
        if addressee(&seen.frame).is_some_and(|whom| heard.probes.contains_key(&whom)) {
            heard.frames.push(seen.clone());
        }
    }

    /// The windows of a probe on this segment are closed; `answered` are the ports that are known to answer it.
    pub fn close(
        &self,
        what: String,
        (segment, identity): (Segment, Identity),
        answered: BTreeSet<u16>,
        closed: Closed,
    ) {
        let identity = Identity { exclusive: false, ..identity };
        let probe = Probe { what, segment, answered, closed: closed.at, identity };
        self.heard().probes.entry(probe.identity.source).or_default().push(probe);
    }

    /// Whether all silence has lasted.
    pub fn fact(&self) -> Fact {
        let heard = self.heard();
        let late: Vec<String> = heard.frames.iter().filter_map(|seen| heard.late(seen)).collect();
        let probes: usize = heard.probes.values().map(Vec::len).sum();
        let mut found: Vec<String> = late.iter().take(MOST).cloned().collect();
        if late.len() > MOST {
            found.push(format!("and {} more", late.len() - MOST));
        }
        let holds = late.is_empty();
        let found = if holds {
            format!("what did not answer {probes} probes did not answer later either")
        } else {
            found.join("\n")
        };
        Fact { name: "silence lasts".to_owned(), holds, found }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Whoever panicked has added what it had, or has not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Which probe a frame answers too late, if it does.
    fn late(&self, seen: &Seen) -> Option<String> {
        self.probes.get(&addressee(&seen.frame)?)?.iter().find_map(|probe| {
            let answer = probe.answered_by(seen)?;
            let after = seen.at.checked_duration_since(probe.closed)?;
            let what = match answer {
                Answer::Port(port) if probe.answered.contains(&port) => return None,
                Answer::Port(port) => format!("{}, port {port}", probe.what),
                Answer::Whole => probe.what.clone(),
            };
            Some(format!("{what}: frame {} came {:.1} s after it", seen.number, after.as_secs_f64()))
        })
    }
}

impl Probe {
    /// What of it a frame answers.
    fn answered_by(&self, seen: &Seen) -> Option<Answer> {
        let ports = matches!(self.identity.flow, Flow::Tcp { .. } | Flow::Udp { .. });
        match self.identity.judge(&seen.frame)? {
            Cause::SynAck(port) | Cause::Reset(port) | Cause::Segment(port) => Some(Answer::Port(port)),
            Cause::IcmpError { port, .. } if ports => port.map(Answer::Port),
            // An answer to a broadcast comes from another address; its ports are the probe's all the same.
            Cause::Datagram | Cause::Addressed if ports => match Packet::of(&seen.frame) {
                Packet::Ip(ip) => ip.ports().map(|(from, _)| Answer::Port(from)),
                Packet::Arp { .. } | Packet::Other => None,
            },
            Cause::EchoReply | Cause::IcmpError { .. } | Cause::Datagram | Cause::Addressed => Some(Answer::Whole),
            // The same address may ask for the same one on another segment, where that is at home.
            Cause::IsAt(_) => (seen.segment == Some(self.segment)).then_some(Answer::Whole),
            Cause::AskedForSource | Cause::AskedForTarget | Cause::Forwarded => None,
        }
    }
}

/// Whom a frame is for.
fn addressee(frame: &[u8]) -> Option<IpAddr> {
    match Packet::of(frame) {
        Packet::Ip(ip) => Some(ip.target),
        Packet::Arp { .. } => packet::answer(frame).map(|(_, told)| told),
        Packet::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::fabric::{Direction, Host, Mac, PortId, packet};

    fn host(last: u8) -> Host {
        Host { mac: Mac([2, 0, 0, 0, 0, last]), ip: IpAddr::from([192, 0, 2, last]) }
    }

    fn datagram(ports: (u16, u16), number: u64, at: Instant) -> Seen {
        let frame: Arc<[u8]> = packet::udp(host(1), host(9), ports, b"late").unwrap().into();
        Seen { number, at, port: PortId(0), direction: Direction::FromGuest, segment: None, frame }
    }

    /// A probe of `host(9)` from port 20,000; what came for it.
    fn heard(frames: &[Seen], closed: Instant) -> Fact {
        let late = Late::default();
        late.listen(host(9).ip);
        for seen in frames {
            late.hear(seen);
        }
        let flow = Flow::Udp { local: 20_000, remote: None };
        let identity = Identity { source: host(9).ip, target: host(1).ip, flow, exclusive: true };
        late.close(
            "udp".to_owned(),
            (Segment(1), identity),
            BTreeSet::from([53]),
            Closed { canary: 1, frame: 1, at: closed },
        );
        late.fact()
    }

    #[test]
    fn an_answer_after_the_window_is_told_with_its_frame() {
        let closed = Instant::now();
        let after = closed + Duration::from_secs(2);
        let fact = heard(&[datagram((443, 20_000), 77, after)], closed);
        assert!(!fact.holds && fact.found == "udp, port 443: frame 77 came 2.0 s after it", "{fact:?}");
    }

    #[test]
    fn an_answer_from_an_address_that_was_not_asked_is_late_too() {
        let (closed, mut late) = (Instant::now(), datagram((404, 20_000), 78, Instant::now() + Duration::from_secs(1)));
        late.frame = packet::udp(host(2), host(9), (404, 20_000), b"late").unwrap().into();
        let fact = heard(&[late], closed);
        assert!(!fact.holds && fact.found.starts_with("udp, port 404: frame 78 came"), "{fact:?}");
    }

    /// Of a question without ports, that was silent on segment 1: what came for it a second later, on this segment.
    fn came(flow: Flow, segment: u32, frame: Vec<u8>) -> Fact {
        let (late, closed) = (Late::default(), Instant::now());
        late.listen(host(9).ip);
        let identity = Identity { source: host(9).ip, target: host(1).ip, flow, exclusive: false };
        let end = Closed { canary: 1, frame: 1, at: closed };
        late.close("it".to_owned(), (Segment(1), identity), BTreeSet::new(), end);
        let after = datagram((0, 0), 79, closed + Duration::from_secs(1));
        late.hear(&Seen { segment: Some(Segment(segment)), frame: frame.into(), ..after });
        late.fact()
    }

    #[test]
    fn an_echo_and_a_neighbour_that_come_late_are_told() {
        let reply = |ident| {
            let mut reply = packet::echo(host(1), host(9), ident, 1).unwrap();
            // RFC 792: the type, behind the headers of Ethernet and IPv4.
            reply[34] = 0;
            reply
        };
        let asked = packet::who_has(host(9), host(9).mac, host(1).ip).unwrap();
        let here = || packet::reply(&asked, host(1).mac, &[host(1).ip], false).unwrap();
        for fact in [came(Flow::Echo(7), 1, reply(7)), came(Flow::Neighbour, 1, here())] {
            assert!(!fact.holds && fact.found == "it: frame 79 came 1.0 s after it", "{fact:?}");
        }
        assert!(came(Flow::Echo(7), 1, reply(8)).holds, "another's echo");
        assert!(came(Flow::Neighbour, 2, here()).holds, "a neighbour where it is at home");
    }

    #[test]
    fn what_answered_in_time_or_another_probe_is_not_late() {
        let closed = Instant::now();
        let after = closed + Duration::from_secs(2);
        assert!(heard(&[datagram((53, 20_000), 1, after)], closed).holds, "a port that had answered");
        assert!(heard(&[datagram((443, 20_001), 1, after)], closed).holds, "another probe's port");
        assert!(heard(&[datagram((443, 20_000), 1, closed)], after).holds, "before the end");
    }
}
