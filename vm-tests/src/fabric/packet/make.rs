//! The frames that probes and stations send, made by `smoltcp::wire`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet,
    Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscRepr, NdiscRouterFlags, RawHardwareAddress, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    UdpPacket, UdpRepr,
};

use super::{Host, Packet, question};

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

/// The answer to the datagram in a frame, from whom it was for; `None` if there is none.
pub fn udp_answer(frame: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let Packet::Ip(ip) = Packet::of(frame) else { return None };
    let (from, to) = ip.ports().filter(|_| ip.protocol == IpProtocol::Udp)?;
    let mac = |at: usize| frame.get(at..at + 6).map(EthernetAddress::from_bytes);
    let (asked, guest) = (Host { mac: mac(0)?, ip: ip.target }, Host { mac: mac(6)?, ip: ip.source });
    udp(asked, guest, (to, from), payload)
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
    answer(mac, ip, asker, NdiscNeighborFlags::empty())
}

fn answer(mac: EthernetAddress, ip: IpAddr, asker: Host, flags: NdiscNeighborFlags) -> Option<Vec<u8>> {
    match (ip, asker.ip) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Some(arp(mac, asker.mac, ArpOperation::Reply, (mac, source), (asker.mac, target)))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let flags = flags | NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE;
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

/// What a router tells all nodes of a segment (RFC 4861 section 4.2): that it leads anywhere, for as long as can be said, and nothing else.
pub fn router(from: Host) -> Option<Vec<u8>> {
    let IpAddr::V6(source) = from.ip else { return None };
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let to = Host { mac: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]), ip: group.into() };
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 0,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: Duration::from_secs(9000),
        reachable_time: Duration::ZERO,
        retrans_time: Duration::ZERO,
        lladdr: Some(RawHardwareAddress::from_bytes(from.mac.as_bytes())),
        mtu: None,
        prefix_info: None,
    });
    icmpv6(from, to, (source, group), &repr, 255)
}

/// The reply of a station with these addresses to a question about one of them; `None` if it was not asked. A router says that it is one:
/// else it is none any more (RFC 4861 section 7.2.5).
pub fn reply(frame: &[u8], mac: EthernetAddress, addresses: &[IpAddr], router: bool) -> Option<Vec<u8>> {
    let (wanted, asker) = question(frame)?;
    if asker.ip.is_unspecified() || !addresses.contains(&wanted) {
        return None;
    }
    let flags = if router { NdiscNeighborFlags::ROUTER } else { NdiscNeighborFlags::empty() };
    answer(mac, wanted, asker, flags)
}
