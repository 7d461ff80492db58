//! Floods that would fill the tables which all namespaces share, from the wire and from containers. Meanwhile whoever is not
//! flooded is asked by stations that it has never seen: an answer takes a place in the same table.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, Interface, Owner};
use smoltcp::wire::TcpControl;

use super::row::{Row, offence};
use super::{Due, PATIENCE, Round, Scene};
use crate::bed::Testbed;
use crate::fabric::scan::{PortState, Scan};
use crate::fabric::{Host, Terms, packet};
use crate::proof::canaries::{Canaries, service};
use crate::proof::containers::{DEFAULT, PROGRAM, exec};
use crate::proof::inside::enter;
use crate::proof::question::{Inner, Network, Place, Vantage};
use crate::proof::topology::{FLOODED, mac};

/// How many neighbours, and how many connections, a flood from the wire has on each address.
const FROM_WIRE: u32 = 2000;
/// How many neighbours a container asks for: more than the whole of an untuned kernel's table (`gc_thresh3`, 1024).
const FROM_CONTAINER: u32 = 3000;
/// How many stations ask each address that is not flooded.
const STATIONS: usize = 2;
/// How long an answer may take, on the reference machine.
const GRACE: Duration = Duration::from_secs(10);
/// For the containers' part, on the reference machine.
const RUN: Duration = Duration::from_secs(60);

/// A row for each interface that somebody lives on.
pub(super) fn rows(scene: &Scene<'_>, bed: &Testbed, inner: &[Inner], canaries: &Canaries) -> Result<Vec<Row>> {
    scene.homes().iter().map(|name| row(scene, bed, inner, canaries, &scene.plan.interfaces[name])).collect()
}

fn row(scene: &Scene<'_>, bed: &Testbed, inner: &[Inner], canaries: &Canaries, interface: &Interface) -> Result<Row> {
    let rounds = from_wire(scene, interface);
    let mut row = Row {
        name: format!("flood of {}", interface.name),
        frames: rounds.iter().map(|round| round.frames.len()).sum(),
        ..Row::default()
    };
    let (script, mut expected) = match &interface.owner {
        Owner::Daemon(name) => from_containers(&scene.plan.daemons[name], interface, inner),
        Owner::Host | Owner::Carrier => (String::new(), [0; 2]),
    };
    let strangers = strangers(scene, interface);
    row.frames += strangers.iter().map(|round| round.frames.len()).sum::<usize>();
    expected[0] += if strangers.is_empty() { 0 } else { FROM_WIRE * 3 / 4 };
    let rounds = [rounds, strangers].concat();
    let script = format!("{script}cat /proc/net/stat/arp_cache /proc/net/stat/ndisc_cache");
    let (mut asked, mut lost, mut full) = (0, Vec::new(), [0; 2]);
    let act = || {
        full = entries(&bed.guest.must(&script, RUN)?).context("the kernel does not count its neighbours")?;
        (asked, lost) = others_serve(scene, bed, canaries, interface)?;
        Ok(())
    };
    row.offences.extend(offence(&rounds, scene.plan, bed, canaries, act)?);
    row.offences.extend(lost);
    for ((full, expected), version) in full.iter().zip(&expected).zip(["IPv4", "IPv6"]) {
        if full < expected {
            row.offences.push(format!("only {full} neighbours are in the table of {version}: that is no flood"));
        }
    }
    let (frames, [v4, v6]) = (row.frames, full);
    row.good = format!("{frames} frames; {v4} neighbours of IPv4, {v6} of IPv6; {asked} new stations served elsewhere");
    Ok(row)
}

/// Echo requests and SYNs, each from another neighbour.
fn from_wire(scene: &Scene<'_>, interface: &Interface) -> Vec<Round> {
    let vantage = Vantage::Vlan(interface.name.clone());
    let mut all = Vec::new();
    for target in scene.targets.iter().filter(|target| target.interface == interface.name) {
        let own = |net: &&ipnet::IpNet| net.addr() == target.address && net.prefix_len() + 8 <= net.max_prefix_len();
        let net = interface.addresses.iter().find(own);
        let (Some(net), Some(mac), Some(source)) = (net, scene.nic_mac(&vantage), scene.stations.like(target.address))
        else {
            continue;
        };
        let to = Host { mac, ip: target.address };
        let served = scene.served(&target.subject);
        let mut frames = Vec::new();
        for nth in 0..FROM_WIRE {
            let ip = match net.network() {
                IpAddr::V4(base) => IpAddr::from(Ipv4Addr::from(u32::from(base) + 1 + nth % FLOODED)),
                IpAddr::V6(base) => IpAddr::from(Ipv6Addr::from(u128::from(base) + 0x1_0000 + u128::from(nth))),
            };
            if ip == target.address {
                continue;
            }
            let from = Host { mac: source.mac, ip };
            // Below 3,024: the remainder fits.
            let port = 1024 + (nth % FROM_WIRE) as u16;
            frames.extend(packet::echo(from, to, 0xd057, 1));
            frames.extend(packet::tcp(from, to, (port, served), TcpControl::Syn, nth));
        }
        all.push(Round { vantage: vantage.clone(), source, frames, due: Due::SameWire, marks: Vec::new() });
    }
    all
}

/// Questions for the interface's own address by senders that no subnet holds: a subnet has too few to fill a table. The kernel takes them
/// for neighbours if a route leads to them.
fn strangers(scene: &Scene<'_>, interface: &Interface) -> Vec<Round> {
    let vantage = Vantage::Vlan(interface.name.clone());
    let own = scene.address_on(&interface.name, true).filter(|_| interface.gateways.iter().any(IpAddr::is_ipv4));
    let source = own.and_then(|own| scene.stations.like(own));
    let (Some(own), Some(source), Some(IpAddr::V4(first))) = (own, source, scene.stations.far(true)) else {
        return Vec::new();
    };
    let from = |nth| Host { mac: source.mac, ip: Ipv4Addr::from(u32::from(first).wrapping_sub(nth + 1)).into() };
    let frames = (0..FROM_WIRE).filter_map(|nth| packet::who_has(from(nth), source.mac, own)).collect();
    vec![Round { vantage, source, frames, due: Due::SameWire, marks: Vec::new() }]
}

/// What containers do: one on the bridge asks for neighbours there, one on the uplink itself, in its namespace, for
/// neighbours on the wire. Gives the script and how many neighbours of each IP version that makes at the least.
fn from_containers(daemon: &Daemon, interface: &Interface, inner: &[Inner]) -> (String, [u32; 2]) {
    let (mut script, mut expected) = (String::from("set -eu\n"), [0; 2]);
    let container = inner.iter().find(|inner| {
        inner.daemon == daemon.name && inner.network == Network::Default && inner.place == Place::Container
    });
    if let Some(IpAddr::V4(own)) = container.map(|inner| inner.address) {
        let pool = daemon.pools.iter().find(|pool| pool.base.contains(&IpAddr::V4(own)));
        let size = pool.map_or(24, |pool| pool.size);
        let count = FROM_CONTAINER.min((1 << (32 - u32::from(size))) - 16);
        let base = Ipv4Addr::from((u32::from(own) >> (32 - size) << (32 - size)) + 8);
        let _ = writeln!(script, "{} flood {base} {count}", exec(&daemon.name, DEFAULT));
        expected[0] += count / 2;
    }
    // Where `egress` is a list nobody asks for neighbours that it does not have.
    if daemon.egress.is_none()
        && let Some(net) = interface.addresses.iter().find(|net| net.addr().is_ipv6() && net.prefix_len() <= 112)
        && let IpAddr::V6(network) = net.network()
    {
        let base = Ipv6Addr::from(u128::from(network) + 0x8000);
        let _ = writeln!(script, "{}{PROGRAM} flood {base} {FROM_CONTAINER}", enter(daemon));
        expected[1] += FROM_CONTAINER / 2;
    }
    (script, expected)
}

/// The tables' sizes: the first column of each, in hexadecimal digits, the same on each processor's line.
fn entries(told: &str) -> Option<[u32; 2]> {
    let lines: Vec<&str> = told.lines().collect();
    let tables = lines.iter().zip(lines.iter().skip(1)).filter(|(head, _)| head.starts_with("entries"));
    let sizes: Vec<u32> =
        tables.filter_map(|(_, line)| u32::from_str_radix(line.split_whitespace().next()?, 16).ok()).collect();
    sizes.try_into().ok()
}

/// Asks what is promised on every other interface, each time from a new station; gives their number and what is lost.
fn others_serve(
    scene: &Scene<'_>,
    bed: &Testbed,
    canaries: &Canaries,
    flooded: &Interface,
) -> Result<(usize, Vec<String>)> {
    let (mut asked, mut lost) = (0, Vec::new());
    let canaries = canaries.apart(scene.stations).context("no addresses are left for canaries")?;
    for interface in scene.plan.interfaces.values().filter(|interface| interface.name != flooded.name) {
        let nic = bed.topology.nic(scene.plan, &interface.name)?;
        for net in &interface.addresses {
            let Some((port, within)) = service(scene.plan, interface, net.addr()) else { continue };
            for _ in 0..STATIONS {
                let Some(source) = scene.stations.beside(*net, &within) else { continue };
                let Some(terms) = canaries.terms(nic.port, bed, PATIENCE) else { continue };
                let terms = Terms { grace: bed.vm.pace().scale(GRACE), ..terms };
                let target = Host { mac: mac(nic.mac), ip: net.addr() };
                let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
                // Asked again once, as any question: one frame may be lost.
                let expected = BTreeSet::from([port]);
                let scan = Scan { segment, source, via: None, target, ports: vec![port], expected, terms };
                asked += 1;
                match bed.fabric.scan(&scan) {
                    Ok(report) if matches!(report.ports.get(&port), Some(PortState::Serves(_))) => {}
                    Ok(_) => lost.push(format!(
                        "{}: port {port} of {} is silent to a new station",
                        interface.name,
                        net.addr()
                    )),
                    Err(error) => lost.push(format!("{}: no verdict: {error}", interface.name)),
                }
            }
        }
    }
    Ok((asked, lost))
}

#[cfg(test)]
mod tests {
    use super::entries;

    #[test]
    fn the_kernels_tables_are_counted_once_each() {
        let told = "entries  allocs   destroys\n00000010  00000001 0\n00000010  00000002 0\n\
                    entries  allocs   destroys\n0000000a  00000001 0\n0000000a  00000002 0\n";
        assert_eq!(entries(told), Some([16, 10]));
        assert_eq!(entries("entries\n00000010\n"), None);
    }
}
