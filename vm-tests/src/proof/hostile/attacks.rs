//! The list of hostile frames from the wire. Each row makes its rounds from the plan; most ask for something that an honest
//! frame from the right place would get, so that an answer is what would be wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dmhost_layout::plan::{InterfaceKind, InterfaceName, Owner};
use ipnet::IpNet;
use smoltcp::wire::TcpControl;

use super::frames;
use super::{Due, Mark, Round, Scene};
use crate::fabric::{Host, Mac, packet};
use crate::proof::question::{Subject, Target, Vantage, probe_ports};
use crate::proof::topology::link_local;

/// A row: its name, and what makes its rounds.
pub(super) type Row = (&'static str, fn(&mut Scene<'_>) -> Vec<Round>);

/// Every row, in the order of the report.
pub(super) const ROWS: &[Row] = &[
    ("double tag", double_tag),
    ("unplanned VID", unplanned_vid),
    ("priority tag on a trunk", priority_tag),
    ("tagged on an untagged NIC", tagged_on_access),
    ("source of another interface's subnet", source_of_another),
    ("source of a daemon's pool", source_of_a_pool),
    ("source is the target itself", source_is_target),
    ("unsolicited ARP and ND for strangers", lies_about_strangers),
    ("gratuitous ARP and ND for a gateway", lies_about_gateways),
    ("gratuitous ARP and ND for the host's own address", lies_about_own),
    ("rogue router advertisement", rogue_router),
    ("rogue DHCP", rogue_dhcp),
    ("ICMP redirect", redirects),
    ("TTL 1 to an address beyond", last_hop),
    ("source route", source_routes),
    ("another zone's address at this MAC", other_zone),
    ("fragments that split a TCP header", split_header),
    ("neighbour flood", neighbour_flood),
    ("connection flood", connection_flood),
];

/// A SYN to what serves, an echo request and a question for the neighbour: whoever takes one answers it.
fn knock(scene: &Scene<'_>, from: Host, to: Host, subject: &Subject) -> Vec<Vec<u8>> {
    let syn = packet::tcp(from, to, (scene.port(), scene.served(subject)), TcpControl::Syn, 1);
    [syn, packet::echo(from, to, 0xd057, 1), packet::who_has(from, from.mac, to.ip)].into_iter().flatten().collect()
}

/// Frames of a station on `vantage` to each address that `pick` picks, as `change` makes them.
fn rounds(
    scene: &mut Scene<'_>,
    vantage: &Vantage,
    due: Due,
    pick: impl Fn(&Target) -> bool,
    source: impl Fn(&mut Scene<'_>, &Target) -> Option<Host>,
    change: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>,
) -> Vec<Round> {
    let targets: Vec<Target> = scene.targets.iter().filter(|target| pick(target)).cloned().collect();
    let round = |target: Target| {
        let from = source(scene, &target)?;
        let to = Host { mac: scene.nic_mac(vantage)?, ip: target.address };
        let frames = change(knock(scene, from, to, &target.subject));
        Some(Round { vantage: vantage.clone(), source: from, frames, due, marks: Vec::new() })
    };
    targets.into_iter().filter_map(round).collect()
}

fn beside(scene: &mut Scene<'_>, target: &Target) -> Option<Host> {
    scene.stations.like(target.address)
}

fn double_tag(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for (outer, _) in scene.vlans() {
        for (inner, vid) in scene.vlans() {
            // Within the same VLAN too: a second tag is nobody's.
            let on = |target: &Target| target.interface == inner;
            let change =
                |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, vid), 0)).collect();
            all.extend(rounds(scene, &Vantage::Vlan(outer.clone()), Due::Nothing, on, beside, change));
        }
    }
    all
}

fn unplanned_vid(scene: &mut Scene<'_>) -> Vec<Round> {
    let planned: Vec<u16> = scene.vlans().into_iter().map(|(_, vid)| vid).collect();
    let vid = (2..4095).rev().find(|vid| !planned.contains(vid)).unwrap_or(4094);
    let change = |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, vid), 0)).collect();
    let untagged = scene.untagged();
    untagged.iter().flat_map(|vantage| rounds(scene, vantage, Due::Nothing, |_| true, beside, change)).collect()
}

fn priority_tag(scene: &mut Scene<'_>) -> Vec<Round> {
    let change = |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, 0), 0)).collect();
    let trunks: Vec<Vantage> =
        scene.untagged().into_iter().filter(|vantage| matches!(vantage, Vantage::Trunk(_))).collect();
    trunks.iter().flat_map(|vantage| rounds(scene, vantage, Due::Nothing, |_| true, beside, change)).collect()
}

fn tagged_on_access(scene: &mut Scene<'_>) -> Vec<Round> {
    let access: Vec<Vantage> =
        scene.untagged().into_iter().filter(|vantage| matches!(vantage, Vantage::Vlan(_))).collect();
    let vids: Vec<u16> = scene.vlans().into_iter().map(|(_, vid)| vid).chain([1]).collect();
    let mut all = Vec::new();
    for vantage in &access {
        for vid in &vids {
            let change =
                |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, *vid), 0)).collect();
            all.extend(rounds(scene, vantage, Due::Nothing, |_| true, beside, change));
        }
    }
    all
}

/// On each segment, to the addresses that live there.
fn at_home(
    scene: &mut Scene<'_>,
    due: Due,
    source: impl Fn(&mut Scene<'_>, &Target) -> Option<Host>,
    change: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>,
) -> Vec<Round> {
    let homes = scene.homes();
    let each = |name: &InterfaceName| {
        let on = |target: &Target| target.interface == *name;
        rounds(scene, &Vantage::Vlan(name.clone()), due, on, &source, &change)
    };
    homes.iter().flat_map(each).collect()
}

fn source_of_another(scene: &mut Scene<'_>) -> Vec<Round> {
    let source = |scene: &mut Scene<'_>, target: &Target| {
        let other = scene
            .targets
            .iter()
            .find(|other| other.interface != target.interface && other.address.is_ipv4() == target.address.is_ipv4())?;
        let address = other.address;
        scene.stations.like(address)
    };
    // Off-link as any other: answered through the own gateway, or not at all.
    at_home(scene, Due::SameWire, source, |list| list)
}

fn source_of_a_pool(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for address in scene.inner.clone() {
        let source = |scene: &mut Scene<'_>, target: &Target| {
            (target.address.is_ipv4() == address.is_ipv4()).then(|| scene.stations.at(address))
        };
        all.extend(at_home(scene, Due::SameWire, source, |list| list));
    }
    all
}

fn source_is_target(scene: &mut Scene<'_>) -> Vec<Round> {
    let source = |scene: &mut Scene<'_>, target: &Target| Some(scene.stations.at(target.address));
    // What is asked of the neighbour alone: an address conflict is told of, by everybody.
    let packets = |list: Vec<Vec<u8>>| list.into_iter().take(2).collect();
    at_home(scene, Due::Nothing, source, packets)
}

fn last_hop(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        for v4 in [true, false] {
            let vantage = Vantage::Vlan(name.clone());
            let near = scene.address_on(&name, v4).and_then(|near| scene.stations.like(near));
            let beyond = scene.stations.far(v4);
            let (Some(from), Some(ip), Some(mac)) = (near, beyond, scene.nic_mac(&vantage)) else { continue };
            let list = knock(scene, from, Host { mac, ip }, &Subject::Host);
            let frames = list.into_iter().take(2).map(|frame| frames::hops(frame, 1)).collect();
            all.push(Round { vantage, source: from, frames, due: Due::Nothing, marks: Vec::new() });
        }
    }
    all
}

/// Not followed. That a routing header of type 0 is wrong may be told to its sender (RFC 5095 section 3).
fn source_routes(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        for target in scene.targets.clone().iter().filter(|target| target.interface == name) {
            let vantage = Vantage::Vlan(name.clone());
            let from = scene.stations.like(target.address);
            let beyond = scene.stations.far(target.address.is_ipv4());
            let (Some(from), Some(beyond), Some(mac)) = (from, beyond, scene.nic_mac(&vantage)) else { continue };
            let list = knock(scene, from, Host { mac, ip: target.address }, &target.subject);
            let frames = list.iter().take(2).map(|frame| frames::source_routed(frame, beyond)).collect();
            all.push(Round { vantage, source: from, frames, due: Due::SameWire, marks: Vec::new() });
        }
    }
    all
}

fn other_zone(scene: &mut Scene<'_>) -> Vec<Round> {
    let homes = scene.homes();
    let each = |name: &InterfaceName| {
        let on = |target: &Target| target.interface != *name;
        rounds(scene, &Vantage::Vlan(name.clone()), Due::Nothing, on, beside, |list| list)
    };
    homes.iter().flat_map(each).collect()
}

fn split_header(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        for target in scene.targets.clone().iter().filter(|target| target.interface == name) {
            let vantage = Vantage::Vlan(name.clone());
            // Somebody listens, and the network may not: or nobody does, and a refusal would say so.
            let closed = match &target.subject {
                Subject::Daemon(name) => probe_ports(&scene.plan.daemons[name]).closed.unwrap_or(22),
                Subject::Host => 2376,
            };
            let (Some(from), Some(mac)) = (scene.stations.like(target.address), scene.nic_mac(&vantage)) else {
                continue;
            };
            let to = Host { mac, ip: target.address };
            let syn = packet::tcp(from, to, (scene.port(), closed), TcpControl::Syn, 1);
            let frames = syn.map(|syn| frames::fragments(&syn, 0xd057)).unwrap_or_default();
            all.push(Round { vantage, source: from, frames, due: Due::Nothing, marks: Vec::new() });
        }
    }
    all
}

/// A lie on each segment: `frames` makes it from a liar with a link-local address and the name of the segment.
fn lies(
    scene: &mut Scene<'_>,
    due: Due,
    lie: impl Fn(&mut Scene<'_>, Host, &InterfaceName) -> Option<(Vec<Vec<u8>>, Vec<Mark>)>,
) -> Vec<Round> {
    let mut all = Vec::new();
    let vantages: Vec<Vantage> = scene.homes().into_iter().map(Vantage::Vlan).chain(scene.trunks()).collect();
    for vantage in vantages {
        let Some(name) = vantage.interface().cloned() else { continue };
        let liar = scene.stations.link_local();
        let Some((frames, marks)) = lie(scene, liar, &name) else { continue };
        all.push(Round { vantage, source: liar, frames, due, marks });
    }
    all
}

fn told(mac: Mac, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Vec<u8>> {
    let one = |address| match address {
        IpAddr::V4(address) => Some(frames::gratuitous(mac, address)),
        IpAddr::V6(address) => frames::unsolicited(mac, address),
    };
    addresses.into_iter().filter_map(one).collect()
}

fn lies_about_strangers(scene: &mut Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, name| {
        let nets: Vec<IpNet> = scene.plan.interfaces[name].addresses.clone();
        let strangers: Vec<IpAddr> =
            nets.iter().filter_map(|net| scene.stations.beside(*net, &[]).map(|host| host.ip)).collect();
        Some((told(liar.mac, strangers), vec![Mark::anywhere(liar.mac)]))
    })
}

fn lies_about_gateways(scene: &mut Scene<'_>) -> Vec<Round> {
    lies(scene, Due::SameWire, |scene, liar, name| {
        let gateways: Vec<IpAddr> = scene.plan.interfaces.values().flat_map(|other| other.gateways.clone()).collect();
        // ARP has no proof of anything: whoever is on the segment may lie to the zone that lives there, and to it alone.
        Some((told(liar.mac, gateways), vec![Mark::but_at(liar.mac, name)]))
    })
}

fn lies_about_own(scene: &mut Scene<'_>) -> Vec<Round> {
    lies(scene, Due::SameWire, |scene, liar, _| {
        let own: Vec<IpAddr> = scene.targets.iter().map(|target| target.address).collect();
        Some((told(liar.mac, own), vec![Mark::anywhere(liar.mac)]))
    })
}

fn rogue_router(scene: &mut Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, _| {
        let prefix = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, scene.port(), 0, 0, 0, 0);
        let frame = frames::router(liar, prefix)?;
        let text = prefix.to_string();
        let text = text.trim_end_matches(':').to_owned();
        Some((vec![frame], vec![Mark::text(text), Mark::text(link_local(liar.mac.0).to_string())]))
    })
}

fn rogue_dhcp(scene: &mut Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, name| {
        let server = Ipv4Addr::new(192, 0, 0, 171);
        let offered = Ipv4Addr::new(192, 0, 0, 170);
        let from = Host { mac: liar.mac, ip: server.into() };
        let client = scene.nic_mac(&Vantage::Vlan(name.clone()))?;
        let to = Host { mac: Mac::BROADCAST, ip: Ipv4Addr::BROADCAST.into() };
        let one = |kind| packet::udp(from, to, (67, 68), &frames::dhcp(kind, client, offered, server));
        Some(([2, 5].into_iter().filter_map(one).collect(), vec![Mark::text("192.0.0.17".to_owned())]))
    })
}

fn redirects(scene: &mut Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        let interface = scene.plan.interfaces[&name].clone();
        for net in &interface.addresses {
            let v4 = net.addr().is_ipv4();
            let vantage = Vantage::Vlan(name.clone());
            // A redirect is believed from the gateway, if from anybody.
            let gateway = interface.gateways.iter().find(|gateway| gateway.is_ipv4() == v4).copied();
            let (from, via) = (scene.stations.beside(*net, &[]), scene.stations.beside(*net, &[]));
            let (Some(mut from), Some(via), Some(mac)) = (from, via, scene.nic_mac(&vantage)) else { continue };
            from.ip = gateway.unwrap_or(from.ip);
            let Some(beyond) = scene.stations.far(v4) else { continue };
            let frames = frames::redirect(from, Host { mac, ip: net.addr() }, beyond, via).into_iter().collect();
            let marks = vec![Mark::text(beyond.to_string())];
            all.push(Round { vantage, source: from, frames, due: Due::Nothing, marks });
        }
    }
    all
}

/// How many neighbours, and how many connections, a flood has on each segment.
const FLOOD: u32 = 2000;

fn neighbour_flood(scene: &mut Scene<'_>) -> Vec<Round> {
    flood(scene, |from, to, _| packet::echo(from, to, 0xd057, 1))
}

fn connection_flood(scene: &mut Scene<'_>) -> Vec<Round> {
    flood(scene, |from, to, (served, nth)| {
        packet::tcp(from, to, (1024 + (nth % 60_000) as u16, served), TcpControl::Syn, nth)
    })
}

fn flood(scene: &mut Scene<'_>, make: impl Fn(Host, Host, (u16, u32)) -> Option<Vec<u8>>) -> Vec<Round> {
    let mut all = Vec::new();
    for target in scene.targets.clone() {
        let vantage = Vantage::Vlan(target.interface.clone());
        let nets = scene.plan.interfaces[&target.interface].addresses.clone();
        let net =
            nets.into_iter().find(|net| net.addr() == target.address && net.prefix_len() <= net.max_prefix_len() - 8);
        let (Some(net), Some(mac), Some(source)) = (net, scene.nic_mac(&vantage), scene.stations.like(target.address))
        else {
            continue;
        };
        let served = scene.served(&target.subject);
        let to = Host { mac, ip: target.address };
        let frames = (0..FLOOD).filter_map(|nth| {
            let ip = match net.network() {
                IpAddr::V4(base) => IpAddr::from(Ipv4Addr::from(u32::from(base) + 1 + nth % 250)),
                IpAddr::V6(base) => IpAddr::from(Ipv6Addr::from(u128::from(base) + 0x1_0000 + u128::from(nth))),
            };
            let mac = source.mac;
            if ip == target.address { None } else { make(Host { mac, ip }, to, (served, nth)) }
        });
        let frames = frames.collect();
        all.push(Round { vantage, source, frames, due: Due::SameWire, marks: Vec::new() });
    }
    all
}

/// Which interface a VLAN is, by its VID.
pub(super) fn vid(kind: &InterfaceKind) -> Option<u16> {
    match kind {
        InterfaceKind::Vlan { id, .. } => Some(*id),
        InterfaceKind::Nic(_) => None,
    }
}

/// Whether somebody lives on an interface.
pub(super) fn lived_on(owner: &Owner) -> bool {
    match owner {
        Owner::Host | Owner::Daemon(_) => true,
        Owner::Carrier => false,
    }
}
