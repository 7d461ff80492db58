//! Hostile frames from containers, with the rights that Docker gives by default: those include raw sockets.
//!
//! A container on a bridge lies to its zone; one on the host's network (`--network host`, here the zone's) stands on the
//! uplink itself. Whatever carries the mark and leaves the machine is an offence.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Daemon, Interface};

use super::frames;
use super::{PATIENCE, Scene};
use crate::bed::Testbed;
use crate::fabric::provoke::Provocation;
use crate::fabric::{Host, Mac, Seen, packet};
use crate::proof::canaries::Canaries;
use crate::proof::containers::DEFAULT;
use crate::proof::question::Vantage;
use crate::proof::report::Fact;

/// For one container, on the reference machine.
const RUN: Duration = Duration::from_secs(60);
/// What the frames carry, so that they are known wherever they come out.
const MARK: &[u8] = b"dmhost-hostile-frame";

/// What a container does.
type Deed = (&'static str, fn(&mut Scene<'_>, &Interface, Mac) -> Vec<Vec<u8>>);

const DEEDS: &[Deed] = &[
    ("spoofed source addresses", spoofed),
    ("spoofed source MAC", spoofed_mac),
    ("a tag of its own", tagged),
    ("ARP and ND lies", lies),
    ("router advertisement and DHCP", servers),
    ("neither IP nor ARP", other),
];

/// One row for each deed and daemon on the uplink, and one for a macvlan and for a container on a bridge.
pub(super) fn rows(scene: &mut Scene<'_>, bed: &Testbed, canaries: &Canaries) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    let plan = scene.plan;
    for daemon in plan.daemons.values() {
        let name = &daemon.name;
        let docker = format!("docker -H unix://{}", name.socket());
        for interface in plan.interfaces_of(daemon) {
            let uplink = &interface.name;
            let Some(mac) = scene.nic_mac(&Vantage::Vlan(uplink.clone())) else { continue };
            let mut sheet = Vec::new();
            for (_, make) in DEEDS {
                sheet.extend(make(scene, interface, mac));
            }
            let deeds: Vec<&str> = DEEDS.iter().map(|(what, _)| *what).collect();
            let script = format!(
                "{docker} run --rm -i --network host {DEFAULT} /probe send {uplink} <<'FRAMES'\n{}FRAMES",
                hex(&sheet)
            );
            let what = format!("hostile: container of {name} on {uplink} itself");
            let good = format!("{} frames ({}), none left", sheet.len(), deeds.join(", "));
            facts.push(run(scene, bed, canaries, interface, &what, good, &script)?);

            // A macvlan of a user's: its MAC address is not the NIC's.
            let mut wild = spoofed(scene, interface, Mac([0x06, 0xd2, 0, 0, 0, 1]));
            wild.extend(lies(scene, interface, Mac([0x06, 0xd2, 0, 0, 0, 1])));
            let script = format!(
                "set -eu
                 {docker} network create -d macvlan -o parent={uplink} --subnet 198.18.77.0/24 dmhost-probe-macvlan >/dev/null
                 trap '{docker} network rm dmhost-probe-macvlan >/dev/null' EXIT
                 {docker} run --rm -i --network dmhost-probe-macvlan {DEFAULT} /probe send eth0 <<'FRAMES'\n{}FRAMES\n",
                hex(&wild)
            );
            let what = format!("hostile: a user's macvlan on {uplink}");
            let good = format!("{} frames, none left", wild.len());
            facts.push(run(scene, bed, canaries, interface, &what, good, &script)?);
        }
        let Some(interface) = plan.interfaces_of(daemon).next() else { continue };
        facts.push(bridged(scene, bed, canaries, daemon, interface, &docker)?);
    }
    Ok(facts)
}

/// A container on the default bridge sends through its gateway as somebody else.
fn bridged(
    scene: &mut Scene<'_>,
    bed: &Testbed,
    canaries: &Canaries,
    daemon: &Daemon,
    interface: &Interface,
    docker: &str,
) -> Result<Fact> {
    // The bridge's MAC is asked of the zone: a container knows it too.
    let script = format!("ip netns exec {} cat /sys/class/net/docker0/address", daemon.name.netns());
    let told = bed.guest.run(&script, RUN)?.text();
    let octets: Vec<u8> = told.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let what = format!("hostile: container of {} on its bridge", daemon.name);
    let Ok(octets) = <[u8; 6]>::try_from(octets) else {
        return Ok(Fact {
            name: what,
            holds: false,
            found: format!("the bridge's MAC address is not known: {told:?}"),
        });
    };
    let sheet: Vec<Vec<u8>> = spoofed(scene, interface, Mac([0x06, 0xd2, 0, 0, 0, 2]))
        .into_iter()
        .map(|frame| [&octets[..], &frame[6..]].concat())
        .collect();
    let script = format!("{docker} exec -i {DEFAULT} /probe send eth0 <<'FRAMES'\n{}FRAMES", hex(&sheet));
    let good = format!("{} frames with spoofed sources, none left", sheet.len());
    run(scene, bed, canaries, interface, &what, good, &script)
}

/// Runs a script while every frame that leaves is looked at.
fn run(
    scene: &mut Scene<'_>,
    bed: &Testbed,
    canaries: &Canaries,
    interface: &Interface,
    name: &str,
    good: String,
    script: &str,
) -> Result<Fact> {
    let fact = |holds, found| Fact { name: name.to_owned(), holds, found };
    let nic = bed.topology.nic(scene.plan, &interface.name)?;
    let vantage = Vantage::Vlan(interface.name.clone());
    let near = interface.addresses.first().and_then(|net| scene.stations.beside(*net, &[]));
    let (Some(terms), Some(source)) = (canaries.terms(nic.port, bed, PATIENCE + RUN), near) else {
        return Ok(fact(false, "nothing answers through its NIC, so that silence says nothing".to_owned()));
    };
    let provocation =
        Provocation { segment: bed.topology.segment(&vantage)?, sources: vec![source], frames: Vec::new(), terms };
    let marked = |seen: &Seen| {
        let wild = seen.frame.get(6..9) == Some(&[0x06, 0xd2, 0]);
        wild || seen.frame.windows(MARK.len()).any(|window| window == MARK)
    };
    let act = || bed.guest.must(script, RUN).map(drop);
    match bed.fabric.provoke(&provocation, act, marked) {
        Ok(left) => Ok(match left.first() {
            None => fact(true, good),
            Some(first) => fact(false, format!("{} frames left, the first is {}", left.len(), first.number)),
        }),
        Err(error) => {
            bed.alive()?;
            Ok(fact(false, format!("no verdict: {error}")))
        }
    }
}

fn hex(frames: &[Vec<u8>]) -> String {
    let line = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    frames.iter().map(line).collect()
}

/// Every address of the plan but the interface's own, one of each container, a stranger on the same subnet.
fn others(scene: &mut Scene<'_>, interface: &Interface) -> Vec<IpAddr> {
    let own = |address: &IpAddr| interface.addresses.iter().any(|net| net.addr() == *address);
    let mut all: Vec<IpAddr> = scene.targets.iter().map(|target| target.address).filter(|ip| !own(ip)).collect();
    all.extend(scene.inner.iter().copied());
    all.extend(interface.addresses.iter().filter_map(|net| scene.stations.beside(*net, &[]).map(|host| host.ip)));
    all.extend([true, false].into_iter().filter_map(|v4| scene.stations.far(v4)));
    all
}

/// Datagrams to a neighbour, each from an address that is not the sender's.
fn spoofed(scene: &mut Scene<'_>, interface: &Interface, mac: Mac) -> Vec<Vec<u8>> {
    let datagram = |scene: &mut Scene<'_>, ip: IpAddr| {
        let to = scene.stations.far(ip.is_ipv4())?;
        packet::udp(Host { mac, ip }, Host { mac: Mac([0x06, 0xd3, 0, 0, 0, 1]), ip: to }, (53, 53), MARK)
    };
    others(scene, interface).into_iter().filter_map(|ip| datagram(scene, ip)).collect()
}

/// The own address, from a MAC address that is not the NIC's.
fn spoofed_mac(scene: &mut Scene<'_>, interface: &Interface, _: Mac) -> Vec<Vec<u8>> {
    let mac = Mac([0x06, 0xd2, 0, 0, 0, 3]);
    let datagram = |net: &ipnet::IpNet| {
        let to = Host { mac: Mac([0x06, 0xd3, 0, 0, 0, 1]), ip: scene.stations.far(net.addr().is_ipv4())? };
        packet::udp(Host { mac, ip: net.addr() }, to, (53, 53), MARK)
    };
    interface.addresses.iter().filter_map(datagram).collect()
}

/// Honest but for a tag inside the VLAN's own: another VID of the plan, and one of nobody's.
fn tagged(scene: &mut Scene<'_>, interface: &Interface, mac: Mac) -> Vec<Vec<u8>> {
    let vids: Vec<u16> = scene.vlans().into_iter().map(|(_, vid)| vid).chain([0, 4000]).collect();
    let mut all = Vec::new();
    for net in &interface.addresses {
        let Some(to) = scene.stations.far(net.addr().is_ipv4()) else { continue };
        let to = Host { mac: Mac([0x06, 0xd3, 0, 0, 0, 1]), ip: to };
        let Some(frame) = packet::udp(Host { mac, ip: net.addr() }, to, (53, 53), MARK) else { continue };
        all.extend(vids.iter().map(|vid| frames::tagged(&frame, *vid)));
    }
    all
}

/// That a gateway and the neighbours' addresses are at another MAC address.
fn lies(scene: &mut Scene<'_>, interface: &Interface, _: Mac) -> Vec<Vec<u8>> {
    let liar = Mac([0x06, 0xd2, 0, 0, 0, 4]);
    let addresses = interface.gateways.iter().copied().chain(others(scene, interface));
    addresses
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(frames::gratuitous(liar, address)),
            IpAddr::V6(address) => frames::unsolicited(liar, address),
        })
        .collect()
}

/// A router and a DHCP server that are none.
fn servers(_: &mut Scene<'_>, _: &Interface, mac: Mac) -> Vec<Vec<u8>> {
    let from = Host { mac, ip: crate::proof::topology::link_local(mac.0).into() };
    let prefix = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0);
    let server = Ipv4Addr::new(192, 0, 0, 171);
    let payload = [&frames::dhcp(2, mac, Ipv4Addr::new(192, 0, 0, 170), server)[..], MARK].concat();
    let everybody = Host { mac: Mac::BROADCAST, ip: Ipv4Addr::BROADCAST.into() };
    let offer = packet::udp(Host { mac, ip: server.into() }, everybody, (67, 68), &payload);
    let router = frames::router(from, prefix).map(|frame| [&frame[..], MARK].concat());
    [router, offer].into_iter().flatten().collect()
}

/// A protocol that nobody planned: an ethertype for local experiments (IEEE 802).
fn other(_: &mut Scene<'_>, _: &Interface, mac: Mac) -> Vec<Vec<u8>> {
    vec![[&Mac::BROADCAST.0[..], &mac.0, &[0x88, 0xb5], MARK].concat()]
}
