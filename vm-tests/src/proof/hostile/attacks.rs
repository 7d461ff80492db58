//! The list of hostile frames from the wire. Each row makes its rounds from the plan; most ask for something that an honest
//! frame from the right place would get, so that an answer is what would be wrong.

use std::net::IpAddr;

use dmhost_layout::plan::{Daemon, InterfaceKind, InterfaceName, Owner};
use smoltcp::wire::TcpControl;

use super::{Due, Mark, Round, Scene};
use super::{frames, lies};
use crate::fabric::{Host, Mac, packet};
use crate::proof::question::{CONTAINER_PORT, Subject, Target, Vantage, on_no_network, probe_ports};

/// A row: its name, and what makes its rounds.
pub(super) type Row = (&'static str, fn(&Scene<'_>) -> Vec<Round>);

/// Every row, in the order of the report.
pub(super) const ROWS: &[Row] = &[
    ("double tag", double_tag),
    ("unplanned VID", unplanned_vid),
    ("priority tag on a trunk", priority_tag),
    ("tagged on an untagged NIC", tagged_on_access),
    ("source of another interface's subnet", source_of_another),
    ("source of a daemon's pool", source_of_a_pool),
    ("source of a range that is routed here", source_of_a_route),
    ("source is the target itself", source_is_target),
    ("ARP and ND lies about strangers", lies::about_strangers),
    ("ARP and ND lies about a gateway", lies::about_gateways),
    ("ARP and ND lies about its own addresses", lies::about_own),
    ("rogue router advertisement", lies::rogue_router),
    ("rogue DHCP", lies::rogue_dhcp),
    ("ICMP redirect", lies::redirects),
    ("ICMP error about nothing that was sent", lies::too_big),
    ("an address elsewhere, through this host", through),
    ("TTL 1 to an address elsewhere", last_hop),
    ("source route", source_routes),
    ("another zone's address at this MAC", other_zone),
    ("fragments that split a TCP header", split_header),
];

/// A SYN to what serves, an echo request and a question for the neighbour: whoever takes one answers it.
fn knock(scene: &Scene<'_>, from: Host, to: Host, subject: &Subject) -> Vec<Vec<u8>> {
    let syn = packet::tcp(from, to, (scene.port(), scene.served(subject)), TcpControl::Syn, 1);
    [syn, packet::echo(from, to, 0xd057, 1), packet::who_has(from, from.mac, to.ip)].into_iter().flatten().collect()
}

/// Frames of a station on `vantage` to each address that `pick` picks, as `change` makes them.
fn rounds(
    scene: &Scene<'_>,
    vantage: &Vantage,
    due: Due,
    pick: impl Fn(&Target) -> bool,
    source: impl Fn(&Scene<'_>, &Target) -> Option<Host>,
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

fn beside(scene: &Scene<'_>, target: &Target) -> Option<Host> {
    scene.stations.like(target.address)
}

fn double_tag(scene: &Scene<'_>) -> Vec<Round> {
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

fn unplanned_vid(scene: &Scene<'_>) -> Vec<Round> {
    let planned: Vec<u16> = scene.vlans().into_iter().map(|(_, vid)| vid).collect();
    let vid = (2..4095).rev().find(|vid| !planned.contains(vid)).unwrap_or(4094);
    let change = |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, vid), 0)).collect();
    let untagged = scene.untagged();
    untagged.iter().flat_map(|vantage| rounds(scene, vantage, Due::Nothing, |_| true, beside, change)).collect()
}

fn priority_tag(scene: &Scene<'_>) -> Vec<Round> {
    let change = |list: Vec<Vec<u8>>| list.iter().map(|frame| frames::tagged(&frames::tagged(frame, 0), 0)).collect();
    let trunks: Vec<Vantage> =
        scene.untagged().into_iter().filter(|vantage| matches!(vantage, Vantage::Trunk(_))).collect();
    trunks.iter().flat_map(|vantage| rounds(scene, vantage, Due::Nothing, |_| true, beside, change)).collect()
}

fn tagged_on_access(scene: &Scene<'_>) -> Vec<Round> {
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
    scene: &Scene<'_>,
    due: Due,
    source: impl Fn(&Scene<'_>, &Target) -> Option<Host>,
    change: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>,
) -> Vec<Round> {
    let homes = scene.homes();
    let each = |name: &InterfaceName| {
        let on = |target: &Target| target.interface == *name;
        rounds(scene, &Vantage::Vlan(name.clone()), due, on, &source, &change)
    };
    homes.iter().flat_map(each).collect()
}

fn source_of_another(scene: &Scene<'_>) -> Vec<Round> {
    let source = |scene: &Scene<'_>, target: &Target| {
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

fn source_of_a_pool(scene: &Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for address in scene.inner.clone() {
        let source = |scene: &Scene<'_>, target: &Target| {
            (target.address.is_ipv4() == address.is_ipv4()).then(|| scene.stations.at(address))
        };
        all.extend(at_home(scene, Due::SameWire, source, |list| list));
    }
    all
}

/// To containers by their own addresses, from an address of the range that a router would lead back here: the answer would leave.
fn source_of_a_route(scene: &Scene<'_>) -> Vec<Round> {
    let of = |(daemon, address, vantage, mac): (&Daemon, IpAddr, Vantage, Mac)| {
        let port = probe_ports(daemon).open.unwrap_or(CONTAINER_PORT);
        on_no_network(daemon).into_iter().map(move |ip| {
            let (source, to) = (scene.stations.at(ip), Host { mac, ip: address });
            let ports = [CONTAINER_PORT, port].into_iter();
            let syns = ports.filter_map(|port| packet::tcp(source, to, (scene.port(), port), TcpControl::Syn, 1));
            let frames = syns.chain(packet::echo(source, to, 0xd057, 1)).collect();
            Round { vantage: vantage.clone(), source, frames, due: Due::Nothing, marks: Vec::new() }
        })
    };
    scene.routed().into_iter().flat_map(of).collect()
}

fn source_is_target(scene: &Scene<'_>) -> Vec<Round> {
    let source = |scene: &Scene<'_>, target: &Target| Some(scene.stations.at(target.address));
    // What is asked of the neighbour alone: an address conflict is told of, by everybody.
    let packets = |list: Vec<Vec<u8>>| list.into_iter().take(2).collect();
    at_home(scene, Due::Nothing, source, packets)
}

fn through(scene: &Scene<'_>) -> Vec<Round> {
    beyond(scene, |frame| frame)
}

fn last_hop(scene: &Scene<'_>) -> Vec<Round> {
    let mut all = beyond(scene, |frame| frames::hops(frame, 1));
    // Who leads on to containers would say that it ends here.
    for (daemon, address, vantage, mac) in scene.routed() {
        let near = vantage.interface().and_then(|name| scene.address_on(name, false));
        let Some(source) = near.and_then(|near| scene.stations.like(near)) else { continue };
        for ip in on_no_network(daemon).into_iter().chain([address]) {
            let to = Host { mac, ip };
            let syn = packet::tcp(source, to, (scene.port(), CONTAINER_PORT), TcpControl::Syn, 1);
            let frames = syn.into_iter().chain(packet::echo(source, to, 0xd057, 1));
            let frames = frames.map(|frame| frames::hops(frame, 1)).collect();
            all.push(Round { vantage: vantage.clone(), source, frames, due: Due::Nothing, marks: Vec::new() });
        }
    }
    all
}

/// Frames for an address off-link, and for one on each other network of the host, given to the host as to a router.
fn beyond(scene: &Scene<'_>, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        for v4 in [true, false] {
            let vantage = Vantage::Vlan(name.clone());
            let near = scene.address_on(&name, v4).and_then(|near| scene.stations.like(near));
            let (Some(from), Some(mac)) = (near, scene.nic_mac(&vantage)) else { continue };
            let neighbours = neighbours_of(scene, &name, v4);
            for ip in scene.stations.far(v4).into_iter().chain(neighbours.iter().copied()) {
                let list = knock(scene, from, Host { mac, ip }, &Subject::Host);
                let frames = list.into_iter().take(2).map(&change).collect();
                all.push(Round {
                    vantage: vantage.clone(),
                    source: from,
                    frames,
                    due: Due::Nothing,
                    marks: Vec::new(),
                });
            }
            // Whoever passes one on asks for the neighbour first.
            all.extend(neighbours.into_iter().map(|ip| Round {
                vantage: vantage.clone(),
                source: scene.stations.at(ip),
                frames: Vec::new(),
                due: Due::Nothing,
                marks: vec![Mark::text(format!("\"{ip}\""))],
            }));
        }
    }
    all
}

/// Addresses on the other networks that somebody lives on: nobody's, so that who asks for one was told to.
fn neighbours_of(scene: &Scene<'_>, name: &InterfaceName, v4: bool) -> Vec<IpAddr> {
    let others = scene.homes().into_iter().filter(|other| other != name);
    let nets = others.flat_map(|other| scene.plan.interfaces[&other].addresses.clone());
    nets.filter(|net| net.addr().is_ipv4() == v4).filter_map(|net| scene.stations.unmet(net)).collect()
}

/// Not followed. That a routing header of type 0 is wrong may be told to its sender (RFC 5095 section 3).
fn source_routes(scene: &Scene<'_>) -> Vec<Round> {
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

fn other_zone(scene: &Scene<'_>) -> Vec<Round> {
    let homes = scene.homes();
    let each = |name: &InterfaceName| {
        let on = |target: &Target| target.interface != *name;
        rounds(scene, &Vantage::Vlan(name.clone()), Due::Nothing, on, beside, |list| list)
    };
    homes.iter().flat_map(each).collect()
}

fn split_header(scene: &Scene<'_>) -> Vec<Round> {
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
