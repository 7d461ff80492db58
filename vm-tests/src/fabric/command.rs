//! How callers and the fabric's thread speak: commands in, figures and the state of links out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use mio::Waker;
use smoltcp::wire::EthernetAddress;

use super::inbox::{Events, Watch, stopped};
use super::switch::{PortId, Refusal, Segment};

/// What the fabric's thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// A new inbox.
    Open { client: u64, watch: Watch, events: Events },
    /// An inbox is told of other frames than before.
    Watch { client: u64, watch: Watch },
    /// An inbox's thread has something else to look at: it is woken without an event.
    Poke { client: u64 },
    /// An inbox is gone.
    Close { client: u64 },
    /// A new station.
    Attach {
        segment: Segment,
        mac: EthernetAddress,
        addresses: Vec<IpAddr>,
        deliver: Option<u64>,
        /// Whether it tells of itself as a router where one is asked for.
        router: bool,
        reply: Sender<PortId>,
    },
    /// A station is gone.
    Detach { port: PortId },
    /// Frames from a station.
    Inject { port: PortId, frames: Vec<Vec<u8>> },
    /// Write the capture out and tell the figures.
    Report { reply: Sender<Result<Counters>> },
    /// The end.
    Stop,
}

/// What was not forwarded, and what was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames in the capture.
    pub captured: u64,
    /// Frames that belong to no segment, by port and reason.
    pub refused: BTreeMap<(PortId, Refusal), u64>,
    /// Frames for a guest that was not connected.
    pub unlinked: BTreeMap<PortId, u64>,
    /// Frames for a guest that did not read.
    pub overrun: BTreeMap<PortId, u64>,
}

/// Which guests are connected; shared with callers that wait for it.
#[derive(Debug, Default)]
pub(super) struct Links {
    up: Mutex<Vec<PortId>>,
    changed: Condvar,
}

impl Links {
    pub(super) fn set(&self, port: PortId, linked: bool) {
        let mut up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        up.retain(|other| *other != port);
        if linked {
            up.push(port);
        }
        self.changed.notify_all();
    }

    /// Waits until a port is connected; `false` at the deadline.
    pub(super) fn wait(&self, port: PortId, deadline: Instant) -> bool {
        let up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(up, left, |up| !up.contains(&port));
        waited.unwrap_or_else(PoisonError::into_inner).0.contains(&port)
    }
}

/// How callers reach the thread.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) commands: Sender<Command>,
    pub(super) waker: Arc<Waker>,
    pub(super) ids: Arc<AtomicU64>,
}

impl Handle {
    pub(super) fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| stopped())?;
        self.waker.wake().context("cannot wake the fabric's thread")
    }

    /// A number that this fabric has not given before.
    pub(super) fn fresh(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}
