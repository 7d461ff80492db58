//! What a caller holds of a running fabric: an [`Inbox`] of events, and [`Station`]s that put frames on a segment.
//!
//! An inbox belongs to one thread. The fabric's thread sends it batches; nothing is lost between attaching and
//! detaching, since commands and frames are handled in the order in which they came.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use anyhow::{Result, anyhow};
use smoltcp::wire::EthernetAddress;

use super::capture::Direction;
use super::command::{Command, Handle};
use super::switch::{PortId, Segment};

/// A frame that crossed a guest's port.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its number in the capture, from 1.
    pub number: u64,
    /// When the fabric handled it.
    pub at: Instant,
    /// The guest's port.
    pub port: PortId,
    /// Which way it went.
    pub direction: Direction,
    /// The segment it is on; `None` if the port carries no such VID, so that it went nowhere.
    pub segment: Option<Segment>,
    /// The frame as it was on the wire, with its tag.
    pub frame: Arc<[u8]>,
}

/// What an inbox receives.
#[derive(Debug, Clone)]
pub enum Event {
    /// A frame for one of the inbox's stations, untagged. ARP and ND questions that the fabric answered are not among them.
    Delivered(PortId, Arc<[u8]>),
    /// A frame on a guest's port.
    Seen(Seen),
}

/// Which guest frames an inbox is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// None.
    Nothing,
    /// Those the guest sends.
    FromGuest,
    /// Those the guest is given, too.
    Both,
}

/// The receiving end of an observer and its stations.
#[derive(Debug)]
pub struct Inbox {
    handle: Handle,
    client: u64,
    events: Receiver<Vec<Event>>,
}

impl Inbox {
    pub(super) fn open(handle: Handle, watch: Watch) -> Result<Self> {
        let (sender, events) = channel();
        let client = handle.fresh();
        handle.send(Command::Open { client, watch, events: sender })?;
        Ok(Self { handle, client, events })
    }

    /// Puts a station on a segment. The fabric answers ARP and ND for `addresses` itself, at once; with `listen`,
    /// other frames for it come to this inbox.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn station(
        &self,
        segment: Segment,
        mac: EthernetAddress,
        addresses: &[IpAddr],
        listen: bool,
    ) -> Result<Station> {
        self.attach(segment, mac, addresses, listen.then_some(self.client), false)
    }

    /// Puts a router on a segment, which is a station too: where one is asked for, the fabric tells of it at once.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn router(&self, segment: Segment, mac: EthernetAddress, address: Ipv6Addr) -> Result<Station> {
        self.attach(segment, mac, &[address.into()], None, true)
    }

    fn attach(
        &self,
        segment: Segment,
        mac: EthernetAddress,
        addresses: &[IpAddr],
        deliver: Option<u64>,
        router: bool,
    ) -> Result<Station> {
        let (reply, port) = channel();
        self.handle.send(Command::Attach { segment, mac, addresses: addresses.to_vec(), deliver, router, reply })?;
        let port = port.recv().map_err(|_| stopped())?;
        Ok(Station { handle: self.handle.clone(), port })
    }

    /// A number that this fabric has not given before.
    pub(super) fn fresh(&self) -> u64 {
        self.handle.fresh()
    }

    /// Wakes this inbox's thread from another, without an event.
    pub(super) fn waker(&self) -> impl Fn() + Send + use<> {
        let (handle, client) = (self.handle.clone(), self.client);
        // A fabric that has stopped has woken everybody.
        move || drop(handle.send(Command::Poke { client }))
    }

    /// Changes what the inbox is told of, from now on, and drops what it was told before.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn watch(&self, watch: Watch) -> Result<()> {
        self.handle.send(Command::Watch { client: self.client, watch })?;
        self.events.try_iter().for_each(drop);
        Ok(())
    }

    /// Waits for events until a moment; empty if none came.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn wait(&self, until: Instant) -> Result<Vec<Event>> {
        match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(mut events) => {
                events.extend(self.events.try_iter().flatten());
                Ok(events)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => Err(stopped()),
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // A fabric that has stopped has nothing to close.
        let _ = self.handle.send(Command::Close { client: self.client });
    }
}

/// A port of the tests on a segment; it leaves with its drop.
#[derive(Debug)]
pub struct Station {
    handle: Handle,
    port: PortId,
}

impl Station {
    /// Its port.
    pub fn port(&self) -> PortId {
        self.port
    }

    /// Sends frames in their order, as one batch.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn send(&self, frames: Vec<Vec<u8>>) -> Result<()> {
        if frames.is_empty() { Ok(()) } else { self.handle.send(Command::Inject { port: self.port, frames }) }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // A fabric that has stopped has nothing to detach.
        let _ = self.handle.send(Command::Detach { port: self.port });
    }
}

pub(super) fn stopped() -> anyhow::Error {
    anyhow!("the fabric has stopped")
}

/// Where an inbox's events go.
pub(super) type Events = Sender<Vec<Event>>;
