//! TCP sessions: one smoltcp socket on an interface of its own, pumped by the caller's thread.
//!
//! The peer's MAC is given, so smoltcp's own ARP and ND never reach the wire. Until the peer has answered, the SYN is
//! judged like any other question: repeated once, each time with a canary behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as Clock;
use smoltcp::wire::{IpAddress, IpCidr};

use super::ask::{Caused, TRIES};
use super::{Finding, Outcome, Peer, Vantage};
use crate::fabric::canary::Terms;
use crate::fabric::inbox::Event;
use crate::fabric::judge::{Cause, Flow, Identity, random};
use crate::fabric::packet::{self, Host};
use crate::fabric::watchers::{Infrastructure, Watchers};

/// Each way, in bytes: enough for a few megabytes in a second at the round trip of an emulated guest.
const BUFFER: usize = 256 * 1024;

/// What is said over a connection.
pub(super) trait Exchange {
    /// What it ends with.
    type Answer;

    /// Takes what the socket has and gives it what it takes; `Some` at the end.
    ///
    /// # Errors
    /// If what is to be sent cannot be read.
    fn advance(&mut self, socket: &mut Socket<'_>) -> Result<Option<Outcome<Self::Answer>>>;
}

impl Vantage {
    /// Connects, and lets an exchange run until its end.
    pub(super) fn session<E: Exchange>(
        &mut self,
        peer: Peer,
        port: u16,
        terms: &Terms,
        exchange: &mut E,
    ) -> Result<Finding<E::Answer>, Infrastructure> {
        let (source, target) = match self.ends(peer, terms)? {
            Ok(ends) => ends,
            Err(unresolved) => return Ok(*unresolved),
        };
        let local = self.local_port();
        self.watching(|| {
            let mut session = Session::connect(self, source, target, (local, port), terms)?;
            let finding = session.run(exchange)?;
            session.abort()?;
            Ok(finding)
        })
    }

    /// The same, until the peer has closed the connection and it is closed here after that; and how it was opened.
    pub(super) fn session_until_closed<E: Exchange>(
        &mut self,
        peer: Host,
        port: u16,
        terms: &Terms,
        exchange: &mut E,
    ) -> Result<(Finding<E::Answer>, Opened), Infrastructure> {
        let source = self.source(peer.ip)?;
        let local = self.local_port();
        self.watching(|| {
            let mut session = Session::connect(self, source, peer, (local, port), terms)?;
            let syn = session.opening.as_ref().and_then(|opening| sequence(&opening.syn));
            let opened = Opened { port: local, sequence: syn.ok_or_else(|| anyhow!("smoltcp's SYN is none"))? };
            let finding = session.run(exchange)?;
            if matches!(finding.outcome, Outcome::Serves(_)) {
                session.close()?;
            } else {
                session.abort()?;
            }
            Ok((finding, opened))
        })
    }
}

/// How a connection was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The port here.
    pub port: u16,
    /// The sequence number of the SYN.
    pub sequence: u32,
}

/// The sequence number of a TCP segment.
fn sequence(frame: &[u8]) -> Option<u32> {
    let packet::Packet::Ip(ip) = packet::Packet::of(frame) else { return None };
    ip.tcp().map(|tcp| tcp.seq_number().0.cast_unsigned())
}

struct Session<'a> {
    vantage: &'a Vantage,
    watchers: Watchers<'a>,
    terms: &'a Terms,
    identity: Identity,
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'a>,
    socket: smoltcp::iface::SocketHandle,
    begun: Instant,
    caused: Caused,
    /// The frame that answered the SYN.
    answer: Option<(Cause, u64)>,
    /// The SYN and what follows it, until it is answered.
    opening: Option<Opening>,
}

struct Opening {
    syn: Vec<u8>,
    round: usize,
    canary: u32,
    /// After the last round: until when an answer is waited for.
    until: Option<Instant>,
}

impl<'a> Session<'a> {
    fn connect(vantage: &'a Vantage, source: Host, target: Host, ports: (u16, u16), terms: &'a Terms) -> Result<Self> {
        let watchers = Watchers::new(&vantage.inbox, terms)?;
        let mut wire = Wire { peer: target, inward: VecDeque::new(), outward: Vec::new() };
        let mut config = Config::new(source.mac.into());
        config.random_seed = u64::from(random()) << 32 | u64::from(random());
        let mut interface = Interface::new(config, &mut wire, Clock::ZERO);
        // The whole address space is on-link: the wire knows the peer's MAC, whatever subnet it is of.
        interface.update_ip_addrs(|addresses| {
            // The list is empty and holds several.
            let _ = addresses.push(IpCidr::new(source.ip.into(), 0));
        });
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let (from, to) = ((IpAddress::from(source.ip), ports.0), (IpAddress::from(target.ip), ports.1));
        socket
            .connect(interface.context(), to, from)
            .map_err(|error| anyhow!("cannot connect from {} to {} port {}: {error}", source.ip, target.ip, ports.1))?;
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let flow = Flow::Tcp { local: vec![ports.0], remote: Some(ports.1), cookies: None };
        let identity = Identity { source: source.ip, target: target.ip, flow, exclusive: false };
        let mut session = Self {
            vantage,
            watchers,
            terms,
            identity,
            wire,
            interface,
            sockets,
            socket,
            begun: Instant::now(),
            caused: Caused::default(),
            answer: None,
            opening: None,
        };
        session.poll();
        let syn =
            session.wire.outward.first().cloned().ok_or_else(|| anyhow!("smoltcp sent no SYN to {}", target.ip))?;
        session.send()?;
        let canary = session.watchers.main.call()?;
        session.opening = Some(Opening { syn, round: 1, canary, until: None });
        Ok(session)
    }

    fn run<E: Exchange>(&mut self, exchange: &mut E) -> Result<Finding<E::Answer>> {
        loop {
            self.poll();
            if self.opening.is_none()
                && let Some(outcome) = self.advance(exchange)?
            {
                let frame = self.answer.map(|(_, frame)| frame);
                return Ok(std::mem::take(&mut self.caused).answered(outcome, frame));
            }
            self.turn()?;
            if let Some((Cause::Reset(_), frame)) = self.answer.filter(|_| self.opening.is_some()) {
                return Ok(std::mem::take(&mut self.caused).answered(Outcome::Refused, Some(frame)));
            }
            if self.answer.is_some() {
                self.opening = None;
            }
            if self.opening.is_some() && !self.open()? {
                let closed = self.watchers.main.closed();
                return Ok(std::mem::take(&mut self.caused).unanswered(closed));
            }
        }
    }

    /// Ends it at once, by a reset.
    fn abort(&mut self) -> Result<()> {
        self.sockets.get_mut::<Socket<'_>>(self.socket).abort();
        self.send()
    }

    /// Ends it after the peer has: so its end of the connection is the one that waits (RFC 9293 section 3.6, TIME-WAIT).
    fn close(&mut self) -> Result<()> {
        loop {
            self.poll();
            let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
            match socket.state() {
                State::CloseWait => socket.close(),
                State::Closed => return self.send(),
                _ if self.watchers.expired() => anyhow::bail!("the peer did not close the connection"),
                _ => {}
            }
            self.turn()?;
        }
    }

    /// Sends what is to be sent, and takes in what comes until there is more to do.
    fn turn(&mut self) -> Result<()> {
        self.send()?;
        let pause = self.interface.poll_delay(self.clock(), &self.sockets);
        let wake = pause.map(|pause| Instant::now() + Duration::from(pause));
        let until = self.opening.as_ref().and_then(|opening| opening.until).filter(|until| Instant::now() < *until);
        let wake = wake.into_iter().chain(until).min();
        for event in self.watchers.turn(wake)? {
            self.take(event);
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.poll();
        self.vantage.station.send(std::mem::take(&mut self.wire.outward))
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Delivered(_, frame) => self.wire.inward.push_back(frame.to_vec()),
            Event::Seen(seen) => {
                let evidence = self.caused.sort(&seen, &self.identity, self.terms, self.vantage.segment);
                match evidence.map(|evidence| (evidence.cause, evidence)) {
                    Some((cause @ (Cause::SynAck(_) | Cause::Reset(_)), _)) => {
                        self.answer.get_or_insert((cause, seen.number));
                    }
                    Some((_, evidence)) if self.answer.is_none() => self.caused.stray.push(evidence),
                    Some(_) | None => {}
                }
            }
        }
    }

    /// The next round of an unanswered SYN, when its canary is answered; `false` after the last.
    fn open(&mut self) -> Result<bool> {
        let Some(opening) = &mut self.opening else { return Ok(true) };
        let closed = self.watchers.main.closed().is_some_and(|closed| closed.canary >= opening.canary);
        let waited = opening.until.is_none_or(|until| until <= Instant::now());
        if !closed || !self.watchers.others_closed() || !waited && self.caused.refused.is_none() {
            return Ok(true);
        }
        if opening.round > TRIES || self.caused.refused.is_some() {
            return Ok(false);
        }
        if opening.round < TRIES {
            self.vantage.station.send(vec![opening.syn.clone()])?;
        } else {
            self.watchers.call_others()?;
            opening.until = Some(Instant::now() + self.terms.grace);
        }
        opening.round += 1;
        opening.canary = self.watchers.main.call()?;
        Ok(true)
    }

    fn advance<E: Exchange>(&mut self, exchange: &mut E) -> Result<Option<Outcome<E::Answer>>> {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        if matches!(socket.state(), State::SynSent | State::SynReceived) {
            return Ok(None);
        }
        if let Some(outcome) = exchange.advance(socket)? {
            return Ok(Some(outcome));
        }
        let late = "connected, then the exchange had no end before the deadline";
        Ok(self.watchers.expired().then(|| Outcome::Other(late.to_owned())))
    }

    fn poll(&mut self) {
        // Again as long as the wire itself has answered: smoltcp asks for the peer before its first segment.
        loop {
            let now = self.clock();
            self.interface.poll(now, &mut self.wire, &mut self.sockets);
            if self.wire.inward.is_empty() {
                return;
            }
        }
    }

    fn clock(&self) -> Clock {
        // Microseconds of one session fit many times over.
        Clock::from_micros(i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// smoltcp's device: two queues, and the one neighbour that is known.
#[derive(Debug)]
struct Wire {
    peer: Host,
    inward: VecDeque<Vec<u8>>,
    outward: Vec<Vec<u8>>,
}

struct Inward(Vec<u8>);
struct Outward<'a>(&'a mut Wire);

impl RxToken for Inward {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Outward<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        match packet::question(&frame) {
            Some(_) => self.0.inward.extend(packet::reply(&frame, self.0.peer.mac, &[self.0.peer.ip], false)),
            None if is_session(&frame) => self.0.outward.push(frame),
            None => {}
        }
        result
    }
}

/// MLD reports and the like are the interface's own affair, not the probe's.
fn is_session(frame: &[u8]) -> bool {
    matches!(packet::Packet::of(frame), packet::Packet::Ip(ip) if ip.tcp().is_some())
}

impl Device for Wire {
    type RxToken<'a> = Inward;
    type TxToken<'a> = Outward<'a>;

    fn receive(&mut self, _: Clock) -> Option<(Inward, Outward<'_>)> {
        let frame = self.inward.pop_front()?;
        Some((Inward(frame), Outward(self)))
    }

    fn transmit(&mut self, _: Clock) -> Option<Outward<'_>> {
        Some(Outward(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        // An Ethernet header and 1,500 bytes.
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}
