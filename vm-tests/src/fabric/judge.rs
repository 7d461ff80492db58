//! Attribution: did this probe cause that frame of the guest?
//!
//! Pure. A frame belongs to a probe by its tuple or its cookie, by the header that an ICMP error quotes, or as ARP or ND
//! on its behalf; with an address that only this probe uses, by that address alone.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use smoltcp::wire::{EthernetAddress, IpProtocol, NdiscRepr};

use super::packet::{self, Ip, Packet};
use super::switch::{PortId, Segment};

/// Sequence numbers that only their maker can foretell: a keyed hash of the two ports.
#[derive(Debug, Clone, Default)]
pub struct Cookies(RandomState);

impl Cookies {
    /// A fresh key.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sequence number of the SYN between these ports.
    pub fn of(&self, local: u16, remote: u16) -> u32 {
        // The lower half of a 64-bit keyed hash is as good as the whole.
        (self.0.hash_one((local, remote)) & 0xffff_ffff) as u32
    }
}

/// A number that nobody foretells, from the randomness that the standard library's maps use.
pub(super) fn random() -> u32 {
    (RandomState::new().hash_one(0) & 0xffff_ffff) as u32
}

/// An identifier for echo requests, by which nobody else's are taken for them.
pub fn echo_ident() -> u16 {
    (random() & 0xffff) as u16
}

/// What tells one probe's frames from all others.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The address it asks from.
    pub source: IpAddr,
    /// The address it asks.
    pub target: IpAddr,
    /// What it asks by.
    pub flow: Flow,
    /// Whether nothing else uses `source`, so that whatever touches it belongs to the probe.
    pub exclusive: bool,
}

/// What a probe asks by.
#[derive(Debug, Clone)]
pub enum Flow {
    /// TCP segments.
    Tcp {
        /// Its own ports.
        local: Vec<u16>,
        /// The port asked; `None`: any.
        remote: Option<u16>,
        /// What its sequence numbers come from, if they are foretold.
        cookies: Option<Cookies>,
    },
    /// UDP datagrams.
    Udp {
        /// Its own port.
        local: u16,
        /// The port asked; `None`: any.
        remote: Option<u16>,
    },
    /// Echo requests with this identifier.
    Echo(u16),
    /// ARP or ND alone.
    Neighbour,
}

/// How a frame belongs to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The port asked answers with SYN and ACK.
    SynAck(u16),
    /// The port asked answers with RST.
    Reset(u16),
    /// Another TCP segment of the tuple, or one whose acknowledgement does not fit the cookie.
    Segment(u16),
    /// A datagram of the tuple.
    Datagram,
    /// An echo reply.
    EchoReply,
    /// ARP or ND: the target has this address.
    IsAt(EthernetAddress),
    /// An ICMP error (or redirect) that quotes the probe.
    IcmpError {
        /// ICMP or ICMPv6 type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The port that the quoted header asked.
        port: Option<u16>,
        /// Whether it says "unreachable", in whatever code.
        unreachable: bool,
    },
    /// ARP or ND for the probe's source.
    AskedForSource,
    /// ARP or ND for the probe's target: it is about to be passed on.
    AskedForTarget,
    /// The probe itself leaves the guest again, perhaps with other addresses.
    Forwarded,
    /// Anything else to or from an address that only the probe uses.
    Addressed,
}

/// A frame that a probe caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Its number in the capture.
    pub frame: u64,
    /// The guest's port that it left by.
    pub port: PortId,
    /// Its segment; `None` for a VID that nobody planned.
    pub segment: Option<Segment>,
    /// When the fabric handled it.
    pub at: Instant,
    /// How it belongs to the probe.
    pub cause: Cause,
}

impl Identity {
    /// Whether, and how, the probe caused this frame of the guest.
    pub fn judge(&self, frame: &[u8]) -> Option<Cause> {
        match Packet::of(frame) {
            Packet::Arp { .. } => self.neighbour(frame),
            Packet::Ip(ip) if ip.protocol == IpProtocol::Icmpv6 => {
                self.neighbour(frame).or_else(|| self.redirect(&ip)).or_else(|| self.packet(&ip))
            }
            Packet::Ip(ip) => self.packet(&ip),
            Packet::Other => None,
        }
    }

    fn neighbour(&self, frame: &[u8]) -> Option<Cause> {
        if let Some((asked, by)) = packet::question(frame) {
            // Who asks for its own address announces it, or looks for a double.
            let own = by.ip == asked || by.ip.is_unspecified();
            return match asked {
                _ if own => None,
                ip if ip == self.source => Some(Cause::AskedForSource),
                ip if ip == self.target => Some(Cause::AskedForTarget),
                _ => None,
            };
        }
        let (who, told) = packet::answer(frame)?;
        match self.flow {
            Flow::Neighbour if told == self.source && who.ip == self.target => Some(Cause::IsAt(who.mac)),
            _ => (self.exclusive && told == self.source).then_some(Cause::Addressed),
        }
    }

    /// An ICMPv6 redirect names the destination outside of the quoted header too.
    fn redirect(&self, ip: &Ip<'_>) -> Option<Cause> {
        let NdiscRepr::Redirect { dest_addr, .. } = ip.ndisc()? else { return None };
        let ours = ip.target == self.source && IpAddr::from(dest_addr) == self.target;
        ours.then_some(Cause::IcmpError { kind: 137, code: 0, port: None, unreachable: false })
    }

    fn packet(&self, ip: &Ip<'_>) -> Option<Cause> {
        if let Some(cause) = self.icmp_error(ip) {
            return Some(cause);
        }
        if ip.target == self.source
            && let Some(cause) = self.answer(ip)
        {
            // An answer from an address that was not asked answers nothing; a group's members speak for themselves.
            let asked = ip.source == self.target || self.target.is_multicast();
            return Some(if asked { cause } else { Cause::Addressed });
        }
        if self.carried_by(ip) {
            return Some(Cause::Forwarded);
        }
        let touches = ip.target == self.source || ip.source == self.source;
        (self.exclusive && touches).then_some(Cause::Addressed)
    }

    fn answer(&self, ip: &Ip<'_>) -> Option<Cause> {
        match &self.flow {
            Flow::Tcp { local, remote, cookies } => {
                let (from, to) = ip.ports().filter(|_| ip.protocol == IpProtocol::Tcp)?;
                if !local.contains(&to) || remote.is_some_and(|remote| remote != from) {
                    return None;
                }
                let tcp = ip.tcp()?;
                let proven = cookies.as_ref().is_none_or(|cookies| {
                    tcp.ack() && tcp.ack_number().0.cast_unsigned() == cookies.of(to, from).wrapping_add(1)
                });
                Some(match (proven, tcp.rst(), tcp.syn() && tcp.ack()) {
                    (true, true, _) => Cause::Reset(from),
                    (true, false, true) => Cause::SynAck(from),
                    (true | false, _, _) => Cause::Segment(from),
                })
            }
            Flow::Udp { local, remote } => {
                let (from, to) = ip.ports().filter(|_| ip.protocol == IpProtocol::Udp)?;
                (to == *local && remote.is_none_or(|remote| remote == from)).then_some(Cause::Datagram)
            }
            Flow::Echo(ident) => match ip.icmp()? {
                (0 | 129, 0, header) if header[4..6] == ident.to_be_bytes() => Some(Cause::EchoReply),
                _ => None,
            },
            Flow::Neighbour => None,
        }
    }

    fn icmp_error(&self, ip: &Ip<'_>) -> Option<Cause> {
        let (kind, code, message) = ip.icmp()?;
        // RFC 792: 3 unreachable, 4 source quench, 5 redirect, 11 time exceeded, 12 parameter problem. RFC 4443: 1 to 4.
        let (error, unreachable) = match ip.protocol {
            IpProtocol::Icmp => (matches!(kind, 3 | 4 | 5 | 11 | 12), kind == 3),
            _ => (kind < 128, kind == 1),
        };
        let quoted = Ip::of(message.get(8..)?).filter(|_| error)?;
        let port = quoted.ports().map(|(_, to)| to);
        self.carried_by(&quoted).then_some(Cause::IcmpError { kind, code, port, unreachable })
    }

    /// Whether a packet, or a quoted header, is the probe's own.
    fn carried_by(&self, ip: &Ip<'_>) -> bool {
        match &self.flow {
            Flow::Tcp { local, remote, cookies } => {
                let Some((from, to)) = ip.ports().filter(|_| ip.protocol == IpProtocol::Tcp) else { return false };
                let tuple =
                    ip.source == self.source && local.contains(&from) && remote.is_none_or(|remote| remote == to);
                // Address translation keeps the sequence number and the port asked.
                let cookie = cookies.as_ref().is_some_and(|cookies| {
                    ip.sequence().is_some_and(|sequence| local.iter().any(|local| cookies.of(*local, to) == sequence))
                });
                tuple || cookie
            }
            Flow::Udp { local, remote } => {
                let Some((from, to)) = ip.ports().filter(|_| ip.protocol == IpProtocol::Udp) else { return false };
                ip.source == self.source && from == *local && remote.is_none_or(|remote| remote == to)
            }
            Flow::Echo(ident) => {
                let request = matches!(ip.icmp(), Some((8 | 128, 0, header)) if header[4..6] == ident.to_be_bytes());
                request && ip.source == self.source
            }
            Flow::Neighbour => false,
        }
    }
}
