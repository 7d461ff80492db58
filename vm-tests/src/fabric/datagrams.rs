//! Datagrams to many UDP ports of one address, judged by every frame the guest sends.
//!
//! As a scan: windows, each closed by a canary. A datagram has no cookie; it is told by a source address that nothing else
//! uses. A server is a program: what ought to answer is asked again and waited for, as long as the terms' grace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::Fabric;
use super::canary::Closed;
use super::inbox::{Event, Seen, Station, Watch};
use super::judge::{Cause, Evidence, Flow, Identity, random};
use super::packet::{self, Packet};
use super::scan::{PortState, Scan};
use super::watchers::{Infrastructure, Watchers, answers};

/// Datagrams between two canaries: fewer than the target's neighbour queue holds while it asks for the source.
const WINDOW: usize = 64;
/// How long a port that ought to answer is waited for before it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// What came of them.
#[derive(Debug, Clone)]
pub struct DatagramReport {
    /// Every port that was asked.
    pub ports: BTreeMap<u16, PortState>,
    /// What those that serve said.
    pub texts: BTreeMap<u16, Vec<u8>>,
    /// ARP and ND for the source through the right NIC and segment.
    pub asked: Vec<Evidence>,
    /// Every other frame that the datagrams caused and that answers no port.
    pub stray: Vec<Evidence>,
    /// The canary's answer that closed the last window.
    pub closed: Closed,
    /// Datagrams sent.
    pub probes: u64,
    /// How long ports that ought to answer were waited for.
    pub waited: Duration,
    /// What tells these datagrams' frames.
    pub identity: Identity,
}

impl Fabric {
    /// Asks, on the calling thread, until every port has a verdict.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered before the deadline, or the fabric has stopped.
    pub fn datagrams(&self, ask: &Scan) -> Result<DatagramReport, Infrastructure> {
        if ask.source.ip.is_ipv4() != ask.target.ip.is_ipv4() {
            return Err(anyhow!("datagrams from {} cannot ask {}", ask.source.ip, ask.target.ip).into());
        }
        let inbox = self.inbox(Watch::FromGuest)?;
        let station = inbox.station(ask.segment, ask.source.mac, &answers(ask.source.ip, ask.via), false)?;
        let watchers = Watchers::new(&inbox, &ask.terms)?;
        // Any port: the source address alone tells these datagrams from others.
        let local = 20_000 + (random() % 30_000) as u16;
        let flow = Flow::Udp { local, remote: None };
        let identity = Identity { source: ask.source.ip, target: ask.target.ip, flow, exclusive: true };
        let states = ask.ports.iter().map(|port| (*port, PortState::Silent)).collect();
        let (texts, asked, stray) = (BTreeMap::new(), Vec::new(), Vec::new());
        Run { ask, watchers, station, identity, local, states, texts, asked, stray, probes: 0 }.finish()
    }
}

struct Run<'a> {
    ask: &'a Scan,
    watchers: Watchers<'a>,
    station: Station,
    identity: Identity,
    local: u16,
    states: BTreeMap<u16, PortState>,
    texts: BTreeMap<u16, Vec<u8>>,
    asked: Vec<Evidence>,
    stray: Vec<Evidence>,
    probes: u64,
}

impl Run<'_> {
    fn finish(mut self) -> Result<DatagramReport, Infrastructure> {
        self.close()?;
        // Twice: a datagram that is lost on its way to a program is told by nobody, and its silence would be taken for the host's.
        for _ in 0..2 {
            let silent = self.states.iter().filter(|(_, state)| **state == PortState::Silent);
            let ports: Vec<u16> = silent.map(|(port, _)| *port).collect();
            for window in ports.chunks(WINDOW) {
                self.send(window)?;
                self.close()?;
            }
        }
        let begun = Instant::now();
        let end = begun + self.ask.terms.grace;
        loop {
            let until = end.min(Instant::now() + AGAIN);
            while !self.missing().is_empty() && Instant::now() < until {
                self.turn(Some(until))?;
            }
            let missing = self.missing();
            if missing.is_empty() || Instant::now() >= end {
                break;
            }
            self.send(&missing)?;
        }
        let waited = begun.elapsed();
        self.watchers.call_others()?;
        while !self.watchers.others_closed() {
            self.turn(None)?;
        }
        let closed = self.close()?;
        let Self { states, texts, asked, stray, probes, identity, .. } = self;
        Ok(DatagramReport { ports: states, texts, asked, stray, closed, probes, waited, identity })
    }

    fn missing(&self) -> Vec<u16> {
        let silent = |port: &&u16| self.states.get(port) == Some(&PortState::Silent);
        self.ask.expected.iter().filter(silent).copied().collect()
    }

    fn send(&mut self, ports: &[u16]) -> Result<(), Infrastructure> {
        let frame = |port: &u16| packet::udp(self.ask.source, self.ask.target, (self.local, *port), b"dmhost");
        self.station.send(ports.iter().filter_map(frame).collect())?;
        self.probes += ports.len() as u64;
        Ok(())
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

    fn turn(&mut self, at_most: Option<Instant>) -> Result<(), Infrastructure> {
        for event in self.watchers.turn(at_most)? {
            let Event::Seen(seen) = event else { continue };
            self.hear(&seen);
        }
        Ok(())
    }

    fn hear(&mut self, seen: &Seen) {
        let Some(cause) = self.identity.judge(&seen.frame) else { return };
        let evidence = Evidence { frame: seen.number, port: seen.port, segment: seen.segment, at: seen.at, cause };
        if seen.port != self.ask.terms.canary.nic || seen.segment != Some(self.ask.segment) {
            self.stray.push(evidence);
            return;
        }
        let answer = match cause {
            Cause::AskedForSource => return self.asked.push(evidence),
            Cause::Datagram => match Packet::of(&seen.frame) {
                Packet::Ip(ip) => ip.ports().map(|(port, _)| {
                    self.texts.insert(port, ip.payload.get(8..).unwrap_or_default().to_vec());
                    (port, PortState::Serves(seen.number))
                }),
                Packet::Arp { .. } | Packet::Other => None,
            },
            Cause::IcmpError { port: Some(port), unreachable: true, .. } => {
                Some((port, PortState::Refuses(seen.number)))
            }
            Cause::IcmpError { .. }
            | Cause::SynAck(_)
            | Cause::Reset(_)
            | Cause::Segment(_)
            | Cause::EchoReply
            | Cause::IsAt(_)
            | Cause::AskedForTarget
            | Cause::Forwarded
            | Cause::Addressed => None,
        };
        match answer.and_then(|(port, state)| Some((self.states.get_mut(&port)?, state))) {
            Some((PortState::Serves(_), _)) => {}
            Some((known, state)) => *known = state,
            None => self.stray.push(evidence),
        }
    }
}
