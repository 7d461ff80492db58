//! Packets: what a frame says, read without trust, and the frames that probes are made of (`smoltcp::wire`).
//!
//! Reading is lenient where a header is quoted: an ICMP error carries but the first bytes of what it is about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet,
    Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscRepr, RawHardwareAddress, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket,
    UdpRepr,
};

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

/// A frame with an IP packet whose payload `emit` writes; `None` if the addresses are of two versions.
fn ip_frame(
    from: Host,
    to: Host,
    protocol: IpProtocol,
    length: usize,
    hops: u8,
    emit: impl FnOnce(&mut [u8]),
) -> Option<Vec<u8>> {
    let (ethertype, header) = match (from.ip, to.ip) {
        (IpAddr::V4(_), IpAddr::V4(_)) => (EthernetProtocol::Ipv4, 20),
        (IpAddr::V6(_), IpAddr::V6(_)) => (EthernetProtocol::Ipv6, 40),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    let mut bytes = vec![0; 14 + header + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: from.mac, dst_addr: to.mac, ethertype }.emit(&mut frame);
    match (from.ip, to.ip) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let repr = Ipv4Repr { src_addr, dst_addr, next_header: protocol, payload_len: length, hop_limit: hops };
            repr.emit(&mut Ipv4Packet::new_unchecked(frame.payload_mut()), &ChecksumCapabilities::default());
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            let repr = Ipv6Repr { src_addr, dst_addr, next_header: protocol, payload_len: length, hop_limit: hops };
            repr.emit(&mut Ipv6Packet::new_unchecked(frame.payload_mut()));
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    emit(&mut bytes[14 + header..]);
    Some(bytes)
}

/// A TCP segment without payload: a SYN if `control` says so (with an MSS), an RST and so on.
/// `None` if the addresses are of two IP versions, as for all that follow.
pub fn tcp(from: Host, to: Host, ports: (u16, u16), control: TcpControl, sequence: u32) -> Option<Vec<u8>> {
    let repr = TcpRepr {
        src_port: ports.0,
        dst_port: ports.1,
        control,
        // The cast keeps the bits: smoltcp's sequence numbers are signed.
        seq_number: TcpSeqNumber(sequence.cast_signed()),
        ack_number: None,
        window_len: if control == TcpControl::Rst { 0 } else { 64_240 },
        window_scale: None,
        max_seg_size: (control == TcpControl::Syn).then_some(1220),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    ip_frame(from, to, IpProtocol::Tcp, repr.buffer_len(), 64, |bytes| {
        let ends = (IpAddress::from(from.ip), IpAddress::from(to.ip));
        repr.emit(&mut TcpPacket::new_unchecked(bytes), &ends.0, &ends.1, &ChecksumCapabilities::default());
    })
}

/// A UDP datagram.
pub fn udp(from: Host, to: Host, ports: (u16, u16), payload: &[u8]) -> Option<Vec<u8>> {
    let repr = UdpRepr { src_port: ports.0, dst_port: ports.1 };
    ip_frame(from, to, IpProtocol::Udp, 8 + payload.len(), 64, |bytes| {
        let ends = (IpAddress::from(from.ip), IpAddress::from(to.ip));
        let mut packet = UdpPacket::new_unchecked(bytes);
        let write = |into: &mut [u8]| into.copy_from_slice(payload);
        repr.emit(&mut packet, &ends.0, &ends.1, payload.len(), write, &ChecksumCapabilities::default());
    })
}

/// An ICMP or ICMPv6 echo request.
pub fn echo(from: Host, to: Host, ident: u16, seq_no: u16) -> Option<Vec<u8>> {
    let (v4, v6) = (
        Icmpv4Repr::EchoRequest { ident, seq_no, data: b"dmhost" },
        Icmpv6Repr::EchoRequest { ident, seq_no, data: b"dmhost" },
    );
    match (from.ip, to.ip) {
        (IpAddr::V4(_), _) => ip_frame(from, to, IpProtocol::Icmp, v4.buffer_len(), 64, |bytes| {
            v4.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
        }),
        (IpAddr::V6(source), IpAddr::V6(target)) => icmpv6(from, to, (source, target), &v6, 64),
        (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn icmpv6(from: Host, to: Host, ends: (Ipv6Addr, Ipv6Addr), repr: &Icmpv6Repr<'_>, hops: u8) -> Option<Vec<u8>> {
    ip_frame(from, to, IpProtocol::Icmpv6, repr.buffer_len(), hops, |bytes| {
        repr.emit(&ends.0, &ends.1, &mut Icmpv6Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    })
}

/// Asks who has `ip`: an ARP request or a neighbour solicitation, in a broadcast or to the solicited-node group. The
/// frame comes from `from.mac`; the answer is asked for at `claimed`, which may be another address.
pub fn who_has(from: Host, claimed: EthernetAddress, ip: IpAddr) -> Option<Vec<u8>> {
    match (from.ip, ip) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let unknown = EthernetAddress([0; 6]);
            Some(arp(from.mac, EthernetAddress::BROADCAST, ArpOperation::Request, (claimed, source), (unknown, target)))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let [.., a, b, c] = target.octets();
            let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
            let to = Host { mac: EthernetAddress([0x33, 0x33, 0xff, a, b, c]), ip: group.into() };
            let lladdr = Some(RawHardwareAddress::from_bytes(claimed.as_bytes()));
            let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: target, lladdr });
            icmpv6(from, to, (source, group), &repr, 255)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// The answer that `ip` is at `mac`, for whoever asked.
pub fn is_at(mac: EthernetAddress, ip: IpAddr, asker: Host) -> Option<Vec<u8>> {
    match (ip, asker.ip) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Some(arp(mac, asker.mac, ArpOperation::Reply, (mac, source), (asker.mac, target)))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let flags = NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE;
            let lladdr = Some(RawHardwareAddress::from_bytes(mac.as_bytes()));
            let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { flags, target_addr: source, lladdr });
            icmpv6(Host { mac, ip }, asker, (source, target), &repr, 255)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn arp(
    from: EthernetAddress,
    to: EthernetAddress,
    operation: ArpOperation,
    source: (EthernetAddress, Ipv4Addr),
    target: (EthernetAddress, Ipv4Addr),
) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: source.0,
        source_protocol_addr: source.1,
        target_hardware_addr: target.0,
        target_protocol_addr: target.1,
    };
    let mut bytes = vec![0; 14 + repr.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: from, dst_addr: to, ethertype: EthernetProtocol::Arp }.emit(&mut frame);
    repr.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
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

/// The reply of a station with these addresses to a question about one of them; `None` if it was not asked.
pub fn reply(frame: &[u8], mac: EthernetAddress, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let (wanted, asker) = question(frame)?;
    if asker.ip.is_unspecified() || !addresses.contains(&wanted) {
        return None;
    }
    is_at(mac, wanted, asker)
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
