//! Frames that no honest neighbour sends, made from honest ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet, Icmpv6Packet, IpProtocol, Ipv4Packet,
    Ipv4Repr, Ipv6Packet, Ipv6Repr,
};

use crate::fabric::Host;

/// Where a frame's IP header begins.
const IP: usize = 14;

/// The frame with a C-tag of this VID. A station's access port takes an outer VID 0 off: `tagged(tagged(f, v), 0)` arrives
/// with the tag `v` inside whatever the guest's port puts around it.
pub(super) fn tagged(frame: &[u8], vid: u16) -> Vec<u8> {
    let [high, low] = vid.to_be_bytes();
    [&frame[..12], &[0x81, 0x00, high, low], &frame[12..]].concat()
}

/// The frame with this number of hops left.
pub(super) fn hops(mut frame: Vec<u8>, left: u8) -> Vec<u8> {
    if frame[IP] >> 4 == 4 {
        frame[IP + 8] = left;
        Ipv4Packet::new_unchecked(&mut frame[IP..]).fill_checksum();
    } else {
        frame[IP + 7] = left;
    }
    frame
}

/// The frame with a source route through `via`: IPv4's loose one (RFC 791), or IPv6's routing header of type 0, which is
/// forbidden (RFC 5095).
pub(super) fn source_routed(frame: &[u8], via: IpAddr) -> Vec<u8> {
    let (head, packet) = frame.split_at(IP);
    match via {
        IpAddr::V4(via) => {
            // Type 131, length 7, pointer 4, one address, and an end of options.
            let options = [&[131, 7, 4][..], &via.octets(), &[0]].concat();
            let mut packet = [&packet[..20], &options, &packet[20..]].concat();
            packet[0] = 0x40 | 7;
            let total = length(packet.len());
            packet[2..4].copy_from_slice(&total);
            Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
            [head, &packet].concat()
        }
        IpAddr::V6(via) => {
            let routing = [&[packet[6], 2, 0, 1, 0, 0, 0, 0][..], &via.octets()].concat();
            let mut packet = [&packet[..40], &routing, &packet[40..]].concat();
            packet[6] = 43;
            let total = length(packet.len() - 40);
            packet[4..6].copy_from_slice(&total);
            [head, &packet].concat()
        }
    }
}

/// The frame in two fragments, the first with eight bytes of the transport's header: ports alone.
pub(super) fn fragments(frame: &[u8], ident: u16) -> Vec<Vec<u8>> {
    let (head, packet) = frame.split_at(IP);
    let v4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if v4 { 20 } else { 40 });
    let (first, second) = payload.split_at(8);
    [(first, 0_u16, true), (second, 1, false)]
        .into_iter()
        .map(|(part, offset, more)| {
            let mut packet = header.to_vec();
            if v4 {
                packet[2..4].copy_from_slice(&length(20 + part.len()));
                packet[4..6].copy_from_slice(&ident.to_be_bytes());
                packet[6..8].copy_from_slice(&(offset | if more { 0x2000 } else { 0 }).to_be_bytes());
                Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
            } else {
                packet[4..6].copy_from_slice(&length(8 + part.len()));
                packet[6] = 44;
                let [a, b] = (offset << 3 | u16::from(more)).to_be_bytes();
                let [c, d] = ident.to_be_bytes();
                packet.extend([header[6], 0, a, b, 0, 0, c, d]);
            }
            [head, &packet, part].concat()
        })
        .collect()
}

/// A header's length field. What is made here is far shorter than 64 KiB.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// An IP packet with any payload; `None` if the addresses are of two versions.
fn ip(from: Host, to: Host, protocol: IpProtocol, payload: &[u8]) -> Option<Vec<u8>> {
    let (ethertype, header) = match from.ip {
        IpAddr::V4(_) => (EthernetProtocol::Ipv4, 20),
        IpAddr::V6(_) => (EthernetProtocol::Ipv6, 40),
    };
    let mut bytes = vec![0; IP + header];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: from.mac, dst_addr: to.mac, ethertype }.emit(&mut frame);
    match (from.ip, to.ip) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let payload_len = payload.len();
            let repr = Ipv4Repr { src_addr, dst_addr, next_header: protocol, payload_len, hop_limit: 64 };
            let checksums = smoltcp::phy::ChecksumCapabilities::default();
            repr.emit(&mut Ipv4Packet::new_unchecked(frame.payload_mut()), &checksums);
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            // 255: neighbour discovery is believed from this link alone.
            let payload_len = payload.len();
            let repr = Ipv6Repr { src_addr, dst_addr, next_header: protocol, payload_len, hop_limit: 255 };
            repr.emit(&mut Ipv6Packet::new_unchecked(frame.payload_mut()));
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    Some([&bytes[..], payload].concat())
}

fn icmp(from: Host, to: Host, message: &[u8]) -> Option<Vec<u8>> {
    let mut message = message.to_vec();
    match (from.ip, to.ip) {
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&source, &target);
            ip(from, to, IpProtocol::Icmpv6, &message)
        }
        (IpAddr::V4(_), _) => {
            Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
            ip(from, to, IpProtocol::Icmp, &message)
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// All nodes of a link.
pub(super) fn all_nodes() -> Host {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    Host { mac: EthernetAddress([0x33, 0x33, 0, 0, 0, 1]), ip: group.into() }
}

/// A router advertisement (RFC 4861): a default route for so many seconds, a hop limit, an MTU, and a prefix to take addresses from and
/// to send to (RFC 4191).
pub(super) fn router(from: Host, lifetime: u16, prefix: Ipv6Addr) -> Option<Vec<u8>> {
    let [high, low] = lifetime.to_be_bytes();
    let mut message = vec![134, 0, 0, 0, 33, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([1, 1]);
    message.extend(from.mac.0);
    message.extend([5, 1, 0, 0, 0, 0, 5, 20]);
    // Prefix information: on-link and autonomous, valid for an hour.
    message.extend([3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0]);
    message.extend(prefix.octets());
    message.extend([24, 3, 56, 0, 0, 0, 0x0e, 0x10]);
    message.extend(prefix.octets());
    icmp(from, all_nodes(), &message)
}

/// A question for the routers of a segment (RFC 4861 section 4.1).
pub(super) fn solicitation(from: Host) -> Option<Vec<u8>> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let to = Host { mac: EthernetAddress([0x33, 0x33, 0, 0, 0, 2]), ip: group.into() };
    let message = [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &from.mac.0].concat();
    icmp(from, to, &message)
}

/// A question for a neighbour, without the asker's own MAC address (RFC 4862 section 5.4.2).
pub(super) fn question(from: Host, target: Ipv6Addr) -> Option<Vec<u8>> {
    icmp(from, solicited_node(target), &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat())
}

/// That the group of who has `own` is listened to from now on (MLDv2, RFC 3810 section 5.2), behind the option that it is for routers
/// (RFC 2711).
pub(super) fn listener_report(from: Host, own: Ipv6Addr) -> Option<Vec<u8>> {
    let group = solicited_node(own).ip;
    let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let to = Host { mac: EthernetAddress([0x33, 0x33, 0, 0, 0, 0x16]), ip: routers.into() };
    let (IpAddr::V6(source), IpAddr::V6(group)) = (from.ip, group) else { return None };
    // One record, of type CHANGE_TO_EXCLUDE_MODE.
    let mut message = [&[143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &group.octets()].concat();
    Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&source, &routers);
    let router_alert = [u8::from(IpProtocol::Icmpv6), 0, 5, 2, 0, 0, 1, 0];
    ip(from, to, IpProtocol::HopByHop, &[&router_alert[..], &message].concat()).map(|frame| hops(frame, 1))
}

/// The group that who has an address listens to (RFC 4291 section 2.7.1).
fn solicited_node(ip: Ipv6Addr) -> Host {
    let [.., a, b, c] = ip.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    Host { mac: EthernetAddress([0x33, 0x33, 0xff, a, b, c]), ip: group.into() }
}

/// An ICMP redirect: to reach `target`, go by `via`.
pub(super) fn redirect(from: Host, to: Host, target: IpAddr, via: Host) -> Option<Vec<u8>> {
    let quoted = answered(to, target)?;
    match (via.ip, target) {
        (IpAddr::V4(via), _) => icmp(from, to, &[&[5, 1, 0, 0][..], &via.octets(), &quoted].concat()),
        (IpAddr::V6(address), IpAddr::V6(target)) => {
            let lladdr = [&[2, 1][..], &via.mac.0].concat();
            let head = [&[137, 0, 0, 0, 0, 0, 0, 0][..], &address.octets(), &target.octets(), &lladdr].concat();
            // The redirected header, in units of eight bytes.
            let [_, units] = length(1 + quoted.len() / 8);
            let option = [&[4, units, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
            icmp(from, to, &[head, option].concat())
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// An ICMP error: what went to `target` was too big, and the way there takes 1,300 bytes (RFC 1191, RFC 8201).
pub(super) fn too_big(from: Host, to: Host, target: IpAddr) -> Option<Vec<u8>> {
    let head: [u8; 8] = if target.is_ipv4() { [3, 4, 0, 0, 0, 0, 5, 20] } else { [2, 0, 0, 0, 0, 0, 5, 20] };
    icmp(from, to, &[&head[..], &answered(to, target)?].concat())
}

/// An IP packet for an ICMP error to quote: an answer to an echo request, which a kernel might have sent without a socket.
fn answered(by: Host, target: IpAddr) -> Option<Vec<u8>> {
    let (protocol, answer) = if target.is_ipv4() { (IpProtocol::Icmp, 0) } else { (IpProtocol::Icmpv6, 129) };
    let frame = ip(by, Host { mac: by.mac, ip: target }, protocol, &[answer, 0, 0, 0, 0, 1, 0, 1])?;
    Some(frame[IP..].to_vec())
}

/// A neighbour advertisement to all nodes that nobody asked for: `ip` is at `mac`, override.
pub(super) fn unsolicited(mac: EthernetAddress, ip: Ipv6Addr) -> Option<Vec<u8>> {
    advertised(Host { mac, ip: ip.into() }, ip, mac)
}

/// A neighbour advertisement to all nodes that nobody asked for, by somebody else: `ip` is a router at `mac`, override. Of one that is none
/// a learnt route would go (RFC 4861 section 7.2.5), as its segment may have it.
pub(super) fn advertised(from: Host, ip: Ipv6Addr, mac: EthernetAddress) -> Option<Vec<u8>> {
    let message = [&[136, 0, 0, 0, 0xa0, 0, 0, 0][..], &ip.octets(), &[2, 1], &mac.0].concat();
    icmp(from, all_nodes(), &message)
}

/// The frame from another Ethernet address; what it says stays.
pub(super) fn sent_by(mut frame: Vec<u8>, mac: EthernetAddress) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac.0);
    frame
}

/// A gratuitous ARP reply: `ip` is at `mac`, told to everybody (RFC 5227).
pub(super) fn gratuitous(mac: EthernetAddress, ip: Ipv4Addr) -> Vec<u8> {
    let everybody = EthernetAddress::BROADCAST;
    let mut frame = [&everybody.0[..], &mac.0, &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2], &mac.0, &ip.octets()].concat();
    frame.extend(everybody.0);
    frame.extend(ip.octets());
    frame
}

/// The payload of a DHCP answer (RFC 2131) of this kind (2: offer, 5: acknowledgement) that nobody asked for.
pub(super) fn dhcp(kind: u8, client: EthernetAddress, offered: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0, 0, 0, 0xd0, 0x57, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend(offered.octets());
    message.extend(server.octets());
    message.extend([0; 4]);
    message.extend(client.0);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, kind, 54, 4]);
    message.extend(server.octets());
    message.extend([3, 4]);
    message.extend(server.octets());
    message.extend([1, 4, 255, 255, 255, 0, 51, 4, 0, 0, 0x0e, 0x10, 255]);
    message
}
