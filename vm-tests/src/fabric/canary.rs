//! Canaries: positive flows through the NIC under test, whose answers close a window of time.
//!
//! A guest's NIC is served in order, so an answer to a canary says that what was sent before it has been handled. Each
//! canary has an identity of its own: an answer that is late, or repeated, is not taken for another's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use smoltcp::wire::{EthernetAddress, TcpControl};

use super::capture::Direction;
use super::inbox::{Inbox, Seen, Station};
use super::judge::{Cause, Cookies, Flow, Identity, random};
use super::packet::{self, Host};
use super::source_ports;
use super::switch::{PortId, Segment};

/// A flow that is known to be answered through a guest's NIC.
#[derive(Debug, Clone)]
pub struct Canary {
    /// The guest's port under test: answers count on it alone.
    pub nic: PortId,
    /// The segment it goes over, which may be another than the probe's.
    pub segment: Segment,
    /// Where it comes from: addresses that nothing else uses at the time. The fabric answers ARP and ND for the IP.
    pub source: Host,
    /// Who answers.
    pub target: Host,
    /// What is asked.
    pub kind: CanaryKind,
    /// How long an answer may take before another canary is sent. A guess too short costs a frame, never a verdict.
    pub patience: Duration,
}

/// When a silence is believed.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What paces the probe and closes its windows, through the NIC that the target is behind.
    pub canary: Canary,
    /// One canary through each further NIC of the guest: answered once at the end, they show that what the probe caused
    /// there has been seen too. Frames of two NICs have no order among them.
    pub others: Vec<Canary>,
    /// How long what ought to answer is waited for beyond the canaries: they are answered by the guest's kernel, a question perhaps
    /// by a program, from behind a bridge, or after a neighbour was looked for. Zero where silence is due.
    pub grace: Duration,
    /// The end of all patience.
    pub deadline: Instant,
}

/// What a canary asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryKind {
    /// A SYN to a port that serves; it is reset at once.
    Tcp(u16),
    /// An echo request.
    Echo,
    /// ARP or ND for the target's address.
    Neighbour,
}

/// The answer that closed a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The canary, counted from 0.
    pub canary: u32,
    /// Its answer's number in the capture.
    pub frame: u64,
    /// When it was handled.
    pub at: Instant,
}

/// One canary's calls and answers in one probe.
#[derive(Debug)]
pub(super) struct Control {
    canary: Canary,
    station: Station,
    cookies: Cookies,
    salt: u32,
    sent: u32,
    /// When the oldest canary without answer was sent.
    since: Option<Instant>,
    waiting: HashMap<u16, u32>,
    closed: Option<Closed>,
}

impl Control {
    pub(super) fn new(inbox: &Inbox, canary: &Canary) -> Result<Self> {
        if canary.source.ip.is_ipv4() != canary.target.ip.is_ipv4() {
            return Err(anyhow!("a canary from {} cannot ask {}", canary.source.ip, canary.target.ip));
        }
        let station = inbox.station(canary.segment, canary.source.mac, &[canary.source.ip], false)?;
        let salt = random();
        let (cookies, waiting) = (Cookies::new(), HashMap::new());
        Ok(Self { canary: canary.clone(), station, cookies, salt, sent: 0, since: None, waiting, closed: None })
    }

    /// Sends the next canary and gives its number.
    pub(super) fn call(&mut self) -> Result<u32> {
        let number = self.sent;
        self.sent += 1;
        let id = self.id(number);
        let Canary { source, target, kind, .. } = self.canary;
        let frame = match kind {
            CanaryKind::Tcp(port) => {
                packet::tcp(source, target, (id, port), TcpControl::Syn, self.cookies.of(id, port))
            }
            CanaryKind::Echo => packet::echo(source, target, self.ident(), id),
            CanaryKind::Neighbour => packet::who_has(source, self.claimed(id), target.ip),
        };
        // `new` has seen to it that both addresses are of one version.
        self.station.send(frame.into_iter().collect())?;
        self.waiting.insert(id, number);
        self.since.get_or_insert_with(Instant::now);
        Ok(number)
    }

    /// Notes a frame of the guest, which may close a window.
    pub(super) fn hear(&mut self, seen: &Seen) -> Result<()> {
        let ours = seen.port == self.canary.nic && seen.segment == Some(self.canary.segment);
        if !ours || seen.direction != Direction::FromGuest {
            return Ok(());
        }
        let Some(id) = self.recognise(&seen.frame) else { return Ok(()) };
        if let CanaryKind::Tcp(port) = self.canary.kind {
            let sequence = self.cookies.of(id, port).wrapping_add(1);
            let Canary { source, target, .. } = self.canary;
            self.station
                .send(packet::tcp(source, target, (id, port), TcpControl::Rst, sequence).into_iter().collect())?;
        }
        let Some(number) = self.waiting.remove(&id) else { return Ok(()) };
        // The NIC is served in order: a later answer closes what an earlier one was lost for.
        self.waiting.retain(|_, other| *other > number);
        self.since = (!self.waiting.is_empty()).then(Instant::now);
        if self.closed.is_none_or(|closed| closed.canary < number) {
            self.closed = Some(Closed { canary: number, frame: seen.number, at: seen.at });
        }
        Ok(())
    }

    /// Sends another if the oldest has waited too long, and gives the moment to look again.
    pub(super) fn nudge(&mut self) -> Result<Instant> {
        let now = Instant::now();
        if self.since.is_some_and(|since| now >= since + self.canary.patience) {
            self.call()?;
            self.since = Some(now);
        }
        Ok(self.since.unwrap_or(now) + self.canary.patience)
    }

    /// The last answer.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.closed
    }

    /// Whether a canary is without answer.
    pub(super) fn waits(&self) -> bool {
        self.since.is_some()
    }

    /// How many canaries were sent.
    pub(super) fn sent(&self) -> u32 {
        self.sent
    }

    /// Why there is no verdict: the canary itself was not answered.
    pub(super) fn unanswered(&self) -> anyhow::Error {
        let Canary { nic, segment, target, kind, .. } = &self.canary;
        anyhow!(
            "no answer from {} to {} canaries ({kind:?}) over {segment} on {nic} before the deadline",
            target.ip,
            self.sent
        )
    }

    fn id(&self, number: u32) -> u16 {
        match self.canary.kind {
            CanaryKind::Tcp(_) => source_ports::canary(u64::from(self.salt) + u64::from(number)),
            // The mask keeps 16 bits.
            CanaryKind::Echo | CanaryKind::Neighbour => (self.salt.wrapping_add(number) & 0xffff) as u16,
        }
    }

    fn ident(&self) -> u16 {
        (self.salt >> 16) as u16
    }

    /// The address that a canary's ARP or ND asks to be answered at: it tells one answer from another.
    fn claimed(&self, id: u16) -> EthernetAddress {
        let ([a, b], [c, d]) = (self.ident().to_be_bytes(), id.to_be_bytes());
        EthernetAddress([0x06, 0xca, a, b, c, d])
    }

    /// The canary that this frame answers.
    fn recognise(&self, frame: &[u8]) -> Option<u16> {
        let Canary { source, target, kind, .. } = self.canary;
        let identity = |flow| Identity { source: source.ip, target: target.ip, flow, exclusive: false };
        match kind {
            CanaryKind::Tcp(port) => {
                let packet::Packet::Ip(ip) = packet::Packet::of(frame) else { return None };
                let (from, to) = ip.ports()?;
                let flow = Flow::Tcp { local: vec![to], remote: Some(port), cookies: Some(self.cookies.clone()) };
                (from == port && identity(flow).judge(frame) == Some(Cause::SynAck(port))).then_some(to)
            }
            CanaryKind::Echo => {
                let packet::Packet::Ip(ip) = packet::Packet::of(frame) else { return None };
                let answered = identity(Flow::Echo(self.ident())).judge(frame) == Some(Cause::EchoReply);
                let (_, _, header) = ip.icmp().filter(|_| answered)?;
                Some(u16::from_be_bytes([header[6], header[7]]))
            }
            CanaryKind::Neighbour => {
                identity(Flow::Neighbour).judge(frame)?;
                let id = u16::from_be_bytes(*frame[..6].last_chunk()?);
                (frame[..6] == *self.claimed(id).as_bytes()).then_some(id)
            }
        }
    }
}
