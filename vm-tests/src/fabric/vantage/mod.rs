//! Vantages: stations that probes come from, driven by the caller's thread.
//!
//! A [`Vantage`] has a MAC and addresses on a segment; the fabric answers ARP and ND for them at any time. Questions of
//! one frame are in `ask`, TCP sessions (smoltcp's sockets) in `session`, what is said over them in `http`, `tls` and, where
//! a real client says it, `forward`.

mod ask;
mod forward;
mod http;
mod session;
mod tls;

use std::net::IpAddr;

use anyhow::{Result, anyhow};
use smoltcp::wire::EthernetAddress;

pub use http::{HttpReply, WANTS_TLS};
pub use session::Opened;
pub use tls::ClientTls;

use super::Fabric;
use super::canary::Closed;
use super::inbox::{Inbox, Station, Watch};
use super::judge::Evidence;
use super::packet::Host;
use super::source_ports;
use super::switch::{PortId, Segment};
use super::watchers::Infrastructure;

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was served, with this.
    Serves(T),
    /// RST, or an ICMP error that quotes it.
    Refused,
    /// The connection was made and TLS turned the client's certificate away, with this alert.
    Denied(String),
    /// No frame on any port of the fabric, and a later canary was answered.
    Silent,
    /// Neither: what is said here. A probe without an answer that yet caused a frame is here, not silent.
    Other(String),
}

impl<T> Outcome<T> {
    /// The same outcome with another answer.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Serves(answer) => Outcome::Serves(of(answer)),
            Self::Refused => Outcome::Refused,
            Self::Denied(alert) => Outcome::Denied(alert),
            Self::Silent => Outcome::Silent,
            Self::Other(text) => Outcome::Other(text),
        }
    }
}

/// An outcome with the frames it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<T> {
    /// What came of the probe.
    pub outcome: Outcome<T>,
    /// The number of the frame that answered it.
    pub frame: Option<u64>,
    /// ARP and ND for the probe's source through the right NIC and segment.
    pub asked: Vec<Evidence>,
    /// Other frames that the probe caused, foremost those by another port or segment.
    pub stray: Vec<Evidence>,
    /// The canary's answer that closed the window, where silence was to be judged.
    pub closed: Option<Closed>,
}

impl<T> Finding<T> {
    /// The same finding with another answer.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Finding<U> {
        let Self { outcome, frame, asked, stray, closed } = self;
        Finding { outcome: outcome.map(of), frame, asked, stray, closed }
    }
}

/// Who is asked: an address, and its MAC if the vantage is not to resolve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its IP address.
    pub ip: IpAddr,
    /// Where frames for it go; `None`: as ARP or ND says.
    pub mac: Option<EthernetAddress>,
}

impl From<IpAddr> for Peer {
    fn from(ip: IpAddr) -> Self {
        Self { ip, mac: None }
    }
}

impl From<Host> for Peer {
    fn from(Host { mac, ip }: Host) -> Self {
        Self { ip, mac: Some(mac) }
    }
}

/// A station that probes come from.
#[derive(Debug)]
pub struct Vantage {
    inbox: Inbox,
    station: Station,
    segment: Segment,
    mac: EthernetAddress,
    addresses: Vec<IpAddr>,
}

impl Fabric {
    /// A vantage on a segment. MAC and addresses must be nobody else's there.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn vantage(&self, segment: Segment, mac: EthernetAddress, addresses: &[IpAddr]) -> Result<Vantage> {
        self.vantage_via(segment, mac, addresses, &[])
    }

    /// A vantage beyond a gateway: its addresses are off-link, and it stands in for the gateways' addresses on the
    /// segment, for which the fabric answers ARP and ND with `mac`.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn vantage_via(
        &self,
        segment: Segment,
        mac: EthernetAddress,
        addresses: &[IpAddr],
        gateways: &[IpAddr],
    ) -> Result<Vantage> {
        let inbox = self.inbox(Watch::Nothing)?;
        let answers: Vec<IpAddr> = addresses.iter().chain(gateways).copied().collect();
        let station = inbox.station(segment, mac, &answers, true)?;
        Ok(Vantage { inbox, station, segment, mac, addresses: addresses.to_vec() })
    }
}

impl Vantage {
    /// Its segment.
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// Its port of the switch.
    pub fn port(&self) -> PortId {
        self.station.port()
    }

    /// Sends frames as they are. The port is an access port: an outer priority tag (VID 0) is taken off and what is
    /// inside goes on as it is, so `[VID 0][VID 0] body` arrives at an untagged NIC with one priority tag.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn send(&self, frames: Vec<Vec<u8>>) -> Result<()> {
        self.station.send(frames)
    }

    /// The address it asks `target` from: its first of that IP version.
    fn source(&self, target: IpAddr) -> Result<Host> {
        let ip = self.addresses.iter().find(|ip| ip.is_ipv4() == target.is_ipv4());
        let ip = *ip.ok_or_else(|| anyhow!("the vantage on {} has no address to ask {target} from", self.segment))?;
        Ok(Host { mac: self.mac, ip })
    }

    /// A source port that this fabric has not used lately.
    fn local_port(&self) -> u16 {
        source_ports::session(self.inbox.fresh())
    }

    /// Runs a probe while the inbox hears the guest's frames.
    fn watching<T>(&self, probe: impl FnOnce() -> Result<T>) -> Result<T, Infrastructure> {
        self.inbox.watch(Watch::FromGuest)?;
        let result = probe();
        self.inbox.watch(Watch::Nothing)?;
        Ok(result?)
    }
}
