//! The fabric: an Ethernet switch inside the test process, with QEMU's NICs on its ports.
//!
//! One thread ([`Builder::start`]'s) holds switch, links and capture. Whoever probes does so from a thread of their own,
//! by an [`Inbox`]: it puts [`Station`]s on segments and hears of every frame that crosses a guest's port. Every
//! such frame stands in the capture under the number that a report names.

mod canary;
mod capture;
mod command;
pub mod datagrams;
mod dispatch;
mod inbox;
pub mod judge;
#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod kernel_bed;
pub mod link;
#[cfg(test)]
mod link_tests;
pub mod packet;
pub mod provoke;
pub mod scan;
#[cfg(test)]
mod scan_tests;
mod source_ports;
pub mod switch;
#[cfg(test)]
mod switch_tests;
pub mod tag;
pub mod vantage;
#[cfg(test)]
mod vantage_tests;
pub(crate) mod veth;
mod watchers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use mio::net::UnixListener;
use mio::{Interest, Poll, Token, Waker};

pub use canary::{Canary, CanaryKind, Closed, Terms};
pub use capture::{Capture, Direction};
pub use command::Counters;
pub use inbox::{Event, Inbox, Seen, Station, Watch};
pub use packet::Host;
pub use smoltcp::wire::EthernetAddress as Mac;
pub use switch::{PortId, Segment};
pub use tag::Vid;
pub use vantage::{ClientTls, Finding, HttpReply, Outcome, Peer, Vantage};
pub use watchers::Infrastructure;

use command::{Command, Handle, Links};
use dispatch::{Core, Guest};
use switch::{Port, Switch};

/// A fabric that is being laid out: segments and guests' ports.
#[derive(Debug)]
pub struct Builder {
    dir: PathBuf,
    capture: PathBuf,
    switch: Switch,
    segments: Vec<String>,
    guests: Vec<(String, PortId)>,
}

impl Builder {
    /// A new segment. The name is for people.
    pub fn segment(&mut self, name: &str) -> Segment {
        self.segments.push(name.to_owned());
        // Cannot truncate: segments are made one by one.
        Segment(u32::try_from(self.segments.len() - 1).unwrap_or(u32::MAX))
    }

    /// A guest's NIC on an access port: its frames are untagged. `name` names socket and capture interface.
    pub fn guest_access(&mut self, name: &str, segment: Segment) -> PortId {
        self.guest(name, Port::access(segment))
    }

    /// A guest's NIC on a trunk: VIDs with their segments, and the segment of untagged frames. Frames with any other
    /// VID are dropped and counted.
    ///
    /// # Errors
    /// If a number is no VID, or one segment has two tags.
    pub fn guest_trunk(&mut self, name: &str, tagged: &[(u16, Segment)], native: Option<Segment>) -> Result<PortId> {
        let tagged = tagged
            .iter()
            .map(|(number, segment)| {
                Ok((Vid::new(*number).ok_or_else(|| anyhow!("{number} is no VID: 1 to 4094"))?, *segment))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let port = Port::trunk(&tagged, native).with_context(|| format!("trunk `{name}` cannot be"))?;
        Ok(self.guest(name, port))
    }

    fn guest(&mut self, name: &str, port: Port) -> PortId {
        let id = self.switch.add(port);
        self.guests.push((name.to_owned(), id));
        id
    }

    /// Listens on every guest's socket, opens the capture and starts the thread.
    ///
    /// # Errors
    /// If a socket or the capture cannot be made. A socket's path has at most 107 bytes.
    pub fn start(self) -> Result<Fabric> {
        let poll = Poll::new().context("cannot make a poll")?;
        let waker = Waker::new(poll.registry(), dispatch::WAKE).context("cannot make a waker")?;
        let (commands, orders) = channel();
        let handle =
            Handle { commands, waker: Arc::new(waker), ids: Arc::new(AtomicU64::new(u64::from(judge::random()))) };
        let names: Vec<String> = self.guests.iter().map(|(name, _)| name.clone()).collect();
        let capture = Capture::create(&self.capture, &names)?;
        let mut guests = Vec::new();
        let mut sockets = BTreeMap::new();
        for (index, (name, port)) in self.guests.iter().enumerate() {
            let path = self.dir.join(format!("{name}.sock"));
            let mut listener =
                UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
            let registry = poll.registry();
            registry.register(&mut listener, Token(2 * index), Interest::READABLE).context("cannot watch a socket")?;
            guests.push(Guest { port: *port, listener, link: None });
            sockets.insert(*port, (name.clone(), path));
        }
        let links = Arc::new(Links::default());
        let core = Core::new(poll, orders, self.switch, guests, capture, Arc::clone(&links));
        let thread = std::thread::Builder::new().name("fabric".to_owned());
        let thread = thread.spawn(move || core.run()).context("cannot start the fabric's thread")?;
        Ok(Fabric { handle, links, sockets, segments: self.segments, capture: self.capture, thread: Some(thread) })
    }
}

/// A running fabric; it stops with its drop.
#[derive(Debug)]
pub struct Fabric {
    handle: Handle,
    links: Arc<Links>,
    sockets: BTreeMap<PortId, (String, PathBuf)>,
    segments: Vec<String>,
    capture: PathBuf,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Fabric {
    /// Begins a fabric whose sockets are in `dir`, which must be there, and whose frames go to `capture`.
    pub fn builder(dir: impl AsRef<Path>, capture: impl AsRef<Path>) -> Builder {
        Builder {
            dir: dir.as_ref().to_owned(),
            capture: capture.as_ref().to_owned(),
            switch: Switch::new(),
            segments: Vec::new(),
            guests: Vec::new(),
        }
    }

    /// The socket that QEMU dials for a guest's port:
    /// `-netdev stream,server=off,addr.type=unix,addr.path=PATH`. `None` for a port that is no guest's.
    pub fn socket_path(&self, port: PortId) -> Option<&Path> {
        self.sockets.get(&port).map(|(_, path)| path.as_path())
    }

    /// The name of a guest's port.
    pub fn port_name(&self, port: PortId) -> Option<&str> {
        self.sockets.get(&port).map(|(name, _)| name.as_str())
    }

    /// The name of a segment.
    pub fn segment_name(&self, segment: Segment) -> Option<&str> {
        self.segments.get(segment.0 as usize).map(String::as_str)
    }

    /// The capture file. It is whole after [`Fabric::report`] or [`Fabric::stop`].
    pub fn capture(&self) -> &Path {
        &self.capture
    }

    /// Waits until QEMU has dialled a guest's port.
    ///
    /// # Errors
    /// If it has not by the deadline.
    pub fn wait_linked(&self, port: PortId, deadline: Instant) -> Result<()> {
        if self.links.wait(port, deadline) {
            return Ok(());
        }
        Err(anyhow!("nobody has connected to the socket of `{}`", self.port_name(port).unwrap_or("no such NIC")))
    }

    /// A new inbox for the calling thread.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn inbox(&self, watch: Watch) -> Result<Inbox> {
        Inbox::open(self.handle.clone(), watch)
    }

    /// Writes the capture out and gives the figures so far.
    ///
    /// # Errors
    /// If the fabric has stopped or the disk is full.
    pub fn report(&self) -> Result<Counters> {
        let (reply, counters) = channel();
        self.handle.send(Command::Report { reply })?;
        counters.recv().map_err(|_| inbox::stopped())?
    }

    /// Stops, writes the capture out and gives the figures.
    ///
    /// # Errors
    /// Whatever stopped the thread earlier, for example a full disk.
    pub fn stop(mut self) -> Result<Counters> {
        let counters = self.report();
        self.join()?;
        counters
    }

    fn join(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // A thread that has ended takes no command; why it ended is told by the join.
        let _ = self.handle.send(Command::Stop);
        thread.join().map_err(|_| anyhow!("the fabric's thread panicked"))?
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        // `stop` is the way to hear of an error.
        let _ = self.join();
        for (_, path) in self.sockets.values() {
            // Gone already, or the folder is: nothing is left to do.
            let _ = fs_err::remove_file(path);
        }
    }
}
