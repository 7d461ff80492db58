//! The one thread of the fabric: it alone holds switch, links and capture, and sleeps in one poll.
//!
//! Callers send commands and are woken by batches of events; guests are sockets. Each turn takes the commands, reads
//! each ready socket once (so that no guest starves another), and gives out what gathered with one write per guest.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::net::{UnixListener, UnixStream};
use mio::{Events as Ready, Interest, Poll, Token};
use smoltcp::wire::EthernetAddress;

use super::capture::{Capture, Direction};
use super::command::{Command, Counters, Links};
use super::inbox::{Event, Events, Seen, Watch};
use super::link::{Deframer, Outbox};
use super::switch::{Port, PortId, Segment, Switch};
use super::{Host, packet, tag};

/// A guest's NIC: its listening socket and its connection.
pub(super) struct Guest {
    pub(super) port: PortId,
    pub(super) listener: UnixListener,
    pub(super) link: Option<Link>,
}

/// A connection with QEMU.
pub(super) struct Link {
    stream: UnixStream,
    inward: Deframer,
    outward: Outbox,
    /// Epoll is edge-triggered: these stay true until a call says `WouldBlock`.
    readable: bool,
    writable: bool,
}

struct Client {
    watch: Watch,
    events: Events,
    batch: Vec<Event>,
}

struct Resident {
    segment: Segment,
    mac: EthernetAddress,
    addresses: Vec<IpAddr>,
    deliver: Option<u64>,
    router: bool,
}

/// The token of the waker; guests have 2n for the listener and 2n + 1 for the link.
pub(super) const WAKE: Token = Token(usize::MAX);

/// All that the thread holds.
pub(super) struct Core {
    pub(super) poll: Poll,
    pub(super) commands: Receiver<Command>,
    pub(super) switch: Switch,
    pub(super) guests: Vec<Guest>,
    pub(super) capture: Capture,
    pub(super) links: Arc<Links>,
    clients: BTreeMap<u64, Client>,
    residents: BTreeMap<PortId, Resident>,
    counters: Counters,
}

impl Core {
    pub(super) fn new(
        poll: Poll,
        commands: Receiver<Command>,
        switch: Switch,
        guests: Vec<Guest>,
        capture: Capture,
        links: Arc<Links>,
    ) -> Self {
        let (clients, residents, counters) = (BTreeMap::new(), BTreeMap::new(), Counters::default());
        Self { poll, commands, switch, guests, capture, links, clients, residents, counters }
    }

    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// If the poll or the capture fails; a guest's broken connection is no error.
    pub(super) fn run(mut self) -> Result<()> {
        let mut ready = Ready::with_capacity(64);
        loop {
            let busy = self.guests.iter().filter_map(|guest| guest.link.as_ref()).any(|link| link.readable);
            match self.poll.poll(&mut ready, busy.then_some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled.context("cannot wait for the guests' sockets")?,
            }
            for event in &ready {
                if event.token() == WAKE {
                    continue;
                }
                let guest = event.token().0 / 2;
                if event.token().0.is_multiple_of(2) {
                    self.accept(guest)?;
                } else if let Some(link) = &mut self.guests[guest].link {
                    link.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                    link.writable |= event.is_writable();
                }
            }
            if !self.obey()? {
                return self.capture.flush();
            }
            for guest in 0..self.guests.len() {
                self.read(guest)?;
            }
            for guest in 0..self.guests.len() {
                self.write(guest);
            }
            for client in self.clients.values_mut().filter(|client| !client.batch.is_empty()) {
                // An inbox that was dropped is closed by a command that is under way.
                let _ = client.events.send(std::mem::take(&mut client.batch));
            }
        }
    }

    /// Takes every waiting connection of a guest; the newest is the one that counts (a restored VM dials again).
    fn accept(&mut self, index: usize) -> Result<()> {
        loop {
            let guest = &mut self.guests[index];
            let mut stream = match guest.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept a guest's connection"),
            };
            self.unlink(index);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            registry
                .register(&mut stream, Token(2 * index + 1), interest)
                .context("cannot watch a guest's connection")?;
            let guest = &mut self.guests[index];
            let (inward, outward) = (Deframer::default(), Outbox::default());
            guest.link = Some(Link { stream, inward, outward, readable: true, writable: true });
            self.links.set(guest.port, true);
        }
    }

    fn unlink(&mut self, index: usize) {
        let guest = &mut self.guests[index];
        if let Some(mut link) = guest.link.take() {
            // The socket is closed with its drop in any case.
            let _ = self.poll.registry().deregister(&mut link.stream);
            self.links.set(guest.port, false);
            self.switch.forget(guest.port);
        }
    }

    /// Does what callers asked; `false` when they asked to stop.
    fn obey(&mut self) -> Result<bool> {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Open { client, watch, events } => {
                    self.clients.insert(client, Client { watch, events, batch: Vec::new() });
                }
                Command::Watch { client, watch } => {
                    if let Some(client) = self.clients.get_mut(&client) {
                        client.watch = watch;
                    }
                }
                Command::Poke { client } => {
                    if let Some(client) = self.clients.get(&client) {
                        // An inbox that is gone needs no waking.
                        let _ = client.events.send(Vec::new());
                    }
                }
                Command::Close { client } => drop(self.clients.remove(&client)),
                Command::Attach { segment, mac, addresses, deliver, router, reply } => {
                    let port = self.switch.add(Port::access(segment));
                    self.switch.learn(segment, mac, port);
                    self.residents.insert(port, Resident { segment, mac, addresses, deliver, router });
                    // Who asked may have given up; it would then detach nothing, so the station goes at once.
                    if reply.send(port).is_err() {
                        self.detach(port);
                    }
                }
                Command::Detach { port } => self.detach(port),
                Command::Inject { port, frames } => {
                    for frame in frames {
                        self.pass(port, frame)?;
                    }
                }
                Command::Report { reply } => {
                    let counters = self.counters.clone();
                    // Who asked may have given up.
                    let _ = reply.send(self.capture.flush().map(|()| counters));
                }
                Command::Stop => return Ok(false),
            }
        }
        Ok(true)
    }

    fn detach(&mut self, port: PortId) {
        self.switch.remove(port);
        self.residents.remove(&port);
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let guest = &mut self.guests[index];
        let port = guest.port;
        let Some(link) = guest.link.as_mut().filter(|link| link.readable) else { return Ok(()) };
        match link.inward.fill(&mut link.stream) {
            Ok(0) => {
                self.unlink(index);
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                link.readable = false;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(_) => {
                self.unlink(index);
                return Ok(());
            }
        }
        // The buffer leaves the link while its frames are passed on, which needs the whole of `self`.
        let mut inward = std::mem::take(&mut link.inward);
        let in_step = loop {
            match inward.next_frame() {
                Ok(Some(frame)) => self.pass(port, inward.bytes(frame).to_vec())?,
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        match &mut self.guests[index].link {
            Some(link) if in_step => link.inward = inward,
            Some(_) | None => self.unlink(index),
        }
        Ok(())
    }

    fn write(&mut self, index: usize) {
        let Some(link) = &mut self.guests[index].link else { return };
        if !link.writable || link.outward.is_empty() {
            return;
        }
        match link.outward.flush(&mut link.stream) {
            Ok(emptied) => link.writable = emptied,
            Err(_) => self.unlink(index),
        }
    }

    /// A frame on its way through the switch, with the replies of stations to it.
    fn pass(&mut self, from: PortId, frame: Vec<u8>) -> Result<()> {
        let mut waiting = VecDeque::from([(from, frame)]);
        while let Some((from, frame)) = waiting.pop_front() {
            let forwarded = self.switch.forward(from, &frame);
            if let Some(interface) = self.guests.iter().position(|guest| guest.port == from) {
                let segment = forwarded.as_ref().ok().map(|forwarded| forwarded.segment);
                self.record(interface, Direction::FromGuest, segment, frame)?;
            }
            let forwarded = match forwarded {
                Ok(forwarded) => forwarded,
                Err(refusal) => {
                    *self.counters.refused.entry((from, refusal)).or_default() += 1;
                    continue;
                }
            };
            // Who stands in for one gateway shares its address: what is for it is for each of them, wherever it was seen last.
            let twins = match &forwarded.egress[..] {
                [(to, frame)] => self.twins(*to).map(|twin| (twin, frame.clone())).collect(),
                _ => Vec::new(),
            };
            for (to, frame) in forwarded.egress.into_iter().chain(twins) {
                if let Some(guest) = self.guests.iter().position(|guest| guest.port == to) {
                    self.give(guest, forwarded.segment, frame)?;
                } else if let Some(reply) = self.deliver(to, frame) {
                    waiting.push_back((to, reply));
                }
            }
        }
        Ok(())
    }

    /// Other stations with the address of this one, on its segment.
    fn twins(&self, of: PortId) -> impl Iterator<Item = PortId> {
        let same = self.residents.get(&of).map(|resident| (resident.segment, resident.mac));
        let twin = move |(port, resident): (&PortId, &Resident)| {
            (*port != of && Some((resident.segment, resident.mac)) == same).then_some(*port)
        };
        self.residents.iter().filter_map(twin)
    }

    fn give(&mut self, index: usize, segment: Segment, frame: Vec<u8>) -> Result<()> {
        let guest = &mut self.guests[index];
        let Some(link) = &mut guest.link else {
            *self.counters.unlinked.entry(guest.port).or_default() += 1;
            return Ok(());
        };
        if !link.outward.push(&frame) {
            *self.counters.overrun.entry(guest.port).or_default() += 1;
            return Ok(());
        }
        self.record(index, Direction::ToGuest, Some(segment), frame)
    }

    /// Gives a station its frame, or the reply it makes by itself.
    fn deliver(&mut self, to: PortId, frame: Vec<u8>) -> Option<Vec<u8>> {
        let resident = self.residents.get(&to)?;
        // No reply to a tagged frame: what is inside a second tag is opaque.
        if tag::outer(&frame).is_some_and(|(tag, _)| tag.is_none()) {
            let Resident { mac, addresses, .. } = resident;
            let router = || addresses.first().filter(|_| resident.router && packet::asks_for_a_router(&frame));
            let told = || packet::router(Host { mac: *mac, ip: *router()? });
            // Who stands in for a router is one.
            let is_router = || {
                let at = |other: &Resident| (other.segment, other.mac);
                self.residents.values().any(|other| other.router && at(other) == at(resident))
            };
            if let Some(reply) = packet::reply(&frame, *mac, addresses, is_router()).or_else(told) {
                return Some(reply);
            }
        }
        let client = self.clients.get_mut(&resident.deliver?)?;
        client.batch.push(Event::Delivered(to, frame.into()));
        None
    }

    fn record(&mut self, index: usize, direction: Direction, segment: Option<Segment>, frame: Vec<u8>) -> Result<()> {
        // Cannot truncate: a guest has a handful of NICs.
        let interface = u32::try_from(index).unwrap_or(u32::MAX);
        let number = self.capture.write(interface, direction, &frame)?;
        self.counters.captured = number;
        let wanted = |watch: Watch| match direction {
            Direction::FromGuest => watch != Watch::Nothing,
            Direction::ToGuest => watch == Watch::Both,
        };
        if self.clients.values().any(|client| wanted(client.watch)) {
            let port = self.guests[index].port;
            let seen = Seen { number, at: Instant::now(), port, direction, segment, frame: frame.into() };
            for client in self.clients.values_mut().filter(|client| wanted(client.watch)) {
                client.batch.push(Event::Seen(seen.clone()));
            }
        }
        Ok(())
    }
}
