//! Packets: what a frame says, read without trust; what probes are made of is in `make`.
//!
//! Reading is lenient where a header is quoted: an ICMP error carries but the first bytes of what it is about.

mod make;

use std::net::IpAddr;

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv6Packet, IpProtocol, Ipv4Packet, Ipv6Packet, NdiscRepr,
    TcpPacket,
};

pub use make::{echo, is_at, reply, router, tcp, udp, udp_answer, who_has};

use super::tag;

/// A station's two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Host {
    /// Its Ethernet address.
    pub mac: EthernetAddress,
    /// Its IP address.
    pub ip: IpAddr,
}

/// A frame's packet, behind all tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// ARP for IPv4.
    Arp {
        /// A request or a reply.
        request: bool,
        /// Who sends.
        source: Host,
        /// Who is asked or told.
        target: Host,
    },
    /// IPv4 or IPv6.
    Ip(Ip<'a>),
    /// Neither.
    Other,
}

/// An IP packet, perhaps cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip<'a> {
    /// From where.
    pub source: IpAddr,
    /// To where.
    pub target: IpAddr,
    /// What the payload is.
    pub protocol: IpProtocol,
    /// What follows the IP headers.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// What a frame carries.
    pub fn of(frame: &'a [u8]) -> Self {
        match tag::innermost(frame) {
            Some((0x0806, body)) => Self::arp(body).unwrap_or(Self::Other),
            Some((0x0800 | 0x86dd, body)) => Ip::of(body).map_or(Self::Other, Self::Ip),
            Some(_) | None => Self::Other,
        }
    }

    fn arp(body: &[u8]) -> Option<Self> {
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
        } = ArpRepr::parse(&ArpPacket::new_checked(body).ok()?).ok()?
        else {
            return None;
        };
        Some(Self::Arp {
            request: operation == ArpOperation::Request,
            source: Host { mac: source_hardware_addr, ip: source_protocol_addr.into() },
            target: Host { mac: target_hardware_addr, ip: target_protocol_addr.into() },
        })
    }
}

impl<'a> Ip<'a> {
    /// Reads an IP packet that may be cut short; `None` if not even its headers are there.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes),
            6 => Self::v6(bytes),
            _ => None,
        }
    }

    fn v4(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..20)?;
        let packet = Ipv4Packet::new_unchecked(bytes);
        let (header, total) = (usize::from(packet.header_len()), usize::from(packet.total_len()));
        let payload = bytes.get(header..total.clamp(header, bytes.len().max(header)))?;
        Some(Self {
            source: packet.src_addr().into(),
            target: packet.dst_addr().into(),
            protocol: packet.next_header(),
            payload,
        })
    }

    fn v6(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..40)?;
        let packet = Ipv6Packet::new_unchecked(bytes);
        let mut payload = &bytes[40..packet.total_len().clamp(40, bytes.len())];
        let mut protocol = packet.next_header();
        // RFC 8200 section 4: options and routing count 8-byte units after the first; a fragment header has 8 bytes.
        loop {
            let length = match protocol {
                IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts => {
                    8 + 8 * usize::from(*payload.get(1)?)
                }
                IpProtocol::Ipv6Frag => 8,
                _ => break,
            };
            protocol = IpProtocol::from(*payload.first()?);
            payload = payload.get(length..)?;
        }
        Some(Self { source: packet.src_addr().into(), target: packet.dst_addr().into(), protocol, payload })
    }

    /// Source and destination port of TCP or UDP, even of a quoted header.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let [a, b, c, d] = *self.payload.first_chunk()?;
        matches!(self.protocol, IpProtocol::Tcp | IpProtocol::Udp)
            .then(|| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// TCP's sequence number, even of a quoted header.
    pub fn sequence(&self) -> Option<u32> {
        let bytes = self.payload.get(4..8)?.first_chunk()?;
        (self.protocol == IpProtocol::Tcp).then(|| u32::from_be_bytes(*bytes))
    }

    /// A whole TCP header.
    pub fn tcp(&self) -> Option<TcpPacket<&'a [u8]>> {
        if self.protocol == IpProtocol::Tcp { TcpPacket::new_checked(self.payload).ok() } else { None }
    }

    /// Type, code and the eight bytes of header with what follows, of ICMP in either version.
    pub fn icmp(&self) -> Option<(u8, u8, &'a [u8])> {
        let [kind, code, ..] = *self.payload.first_chunk::<8>()?;
        matches!(self.protocol, IpProtocol::Icmp | IpProtocol::Icmpv6).then_some((kind, code, self.payload))
    }

    /// The neighbour discovery message, if it is one.
    pub fn ndisc(&self) -> Option<NdiscRepr<'a>> {
        if self.protocol != IpProtocol::Icmpv6 {
            return None;
        }
        let packet = Icmpv6Packet::new_checked(self.payload).ok()?;
        if packet.msg_type().is_ndisc() { NdiscRepr::parse(&packet).ok() } else { None }
    }
}

/// Who asks for whom: the target of an ARP request or a neighbour solicitation, and the asker's addresses. An asker
/// without an address (duplicate address detection) has an unspecified one.
pub fn question(frame: &[u8]) -> Option<(IpAddr, Host)> {
    match Packet::of(frame) {
        Packet::Arp { request: true, source, target } => Some((target.ip, source)),
        Packet::Ip(ip) => match ip.ndisc()? {
            NdiscRepr::NeighborSolicit { target_addr, lladdr } => {
                let stated = lladdr.and_then(|address| <[u8; 6]>::try_from(address.as_bytes()).ok());
                let mac = EthernetAddress(stated.or_else(|| frame.get(6..12)?.try_into().ok())?);
                Some((target_addr.into(), Host { mac, ip: ip.source }))
            }
            NdiscRepr::RouterSolicit { .. }
            | NdiscRepr::RouterAdvert { .. }
            | NdiscRepr::NeighborAdvert { .. }
            | NdiscRepr::Redirect { .. } => None,
        },
        Packet::Arp { request: false, .. } | Packet::Other => None,
    }
}

/// Whether a frame asks for the routers of its segment.
pub fn asks_for_a_router(frame: &[u8]) -> bool {
    matches!(Packet::of(frame), Packet::Ip(ip) if matches!(ip.ndisc(), Some(NdiscRepr::RouterSolicit { .. })))
}

/// Who answered, and to whom: an ARP reply or a neighbour advertisement.
pub fn answer(frame: &[u8]) -> Option<(Host, IpAddr)> {
    match Packet::of(frame) {
        Packet::Arp { request: false, source, target } => Some((source, target.ip)),
        Packet::Ip(ip) => match ip.ndisc()? {
            NdiscRepr::NeighborAdvert { target_addr, lladdr, .. } => {
                let stated = lladdr.and_then(|address| <[u8; 6]>::try_from(address.as_bytes()).ok());
                let mac = EthernetAddress(stated.or_else(|| frame.get(6..12)?.try_into().ok())?);
                Some((Host { mac, ip: target_addr.into() }, ip.target))
            }
            NdiscRepr::RouterSolicit { .. }
            | NdiscRepr::RouterAdvert { .. }
            | NdiscRepr::NeighborSolicit { .. }
            | NdiscRepr::Redirect { .. } => None,
        },
        Packet::Arp { request: true, .. } | Packet::Other => None,
    }
}
