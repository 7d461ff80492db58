//! Hostile frames from containers, with the rights that Docker gives by default: those include raw sockets.
//!
//! A container on a bridge lies to its zone; one on the host's network (`--network host`, here the zone's) stands on the
//! uplink itself; a user's macvlan and ipvlan hang below it, and below a VLAN of the user's own. What leaves the machine with
//! the tell of one of them is an offence, but for the honest frames of the first two and of a network of the spec: those have to leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, Interface, Isolation};
use serde_json::{Value, json};

use super::deeds::{self, Honest, Liar, Tell};
use super::{PATIENCE, Row, Scene};
use crate::bed::Testbed;
use crate::fabric::provoke::Provocation;
use crate::fabric::{Host, Mac, Seen};
use crate::proof::canaries::Canaries;
use crate::proof::containers::{DEFAULT, HOST, USER, call, container, exec};
use crate::proof::destinations::{self, What};
use crate::proof::question::{Inner, Network, Place, Vantage};

/// For the containers of one interface, on the reference machine.
const RUN: Duration = Duration::from_secs(90);
/// The VLAN that a user makes below an uplink. `NAME.VID` must be a device's name: 15 bytes.
const VID: u16 = 77;
/// The family of sockets that send past netfilter (socket(2)).
const AF_XDP: u16 = 44;

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// On its daemon's default bridge.
    Bridge,
    /// On the uplink itself.
    Uplink,
    /// On a network of this driver on the uplink.
    Below(&'static str),
    /// On a network of this driver on a VLAN of the uplink.
    Tagged(&'static str),
    /// On the network that the spec puts on the uplink.
    Segment,
}

impl Stand {
    fn letter(self) -> u8 {
        match self {
            Self::Bridge => b'b',
            Self::Uplink => b'u',
            Self::Below(driver) => driver.as_bytes()[0],
            Self::Tagged(driver) => driver.as_bytes()[0].to_ascii_uppercase(),
            Self::Segment => b's',
        }
    }

    fn title(self, daemon: &Daemon, interface: &Interface) -> String {
        let (daemon, uplink) = (&daemon.name, &interface.name);
        match self {
            Self::Bridge => format!("container of {daemon} on its bridge"),
            Self::Uplink => format!("container of {daemon} on {uplink} itself"),
            Self::Below(driver) => format!("a user's {driver} on {uplink}"),
            Self::Tagged(driver) => format!("a user's {driver} on a VLAN of {uplink}"),
            Self::Segment => format!("container of {daemon} on the segment of {uplink}"),
        }
    }

    /// The parent and the driver of the user's network, if it takes one.
    fn network(self, uplink: &str) -> Option<(String, &'static str)> {
        match self {
            Self::Bridge | Self::Uplink | Self::Segment => None,
            Self::Below(driver) => Some((uplink.to_owned(), driver)),
            Self::Tagged(driver) => Some((format!("{uplink}.{VID}"), driver)),
        }
    }
}

/// Where they stand. A macvlan has a MAC address of its own, an ipvlan the NIC's: below the uplink the latter is what stands on the
/// uplink itself, and on a VLAN of the user's the former is stopped twice.
const STANDS: [Stand; 5] =
    [Stand::Bridge, Stand::Uplink, Stand::Below("macvlan"), Stand::Tagged("ipvlan"), Stand::Segment];

/// All that the containers of one daemon do on one interface.
#[derive(Debug)]
struct Trial {
    provocation: Provocation,
    script: String,
    /// What has its networks go.
    undo: String,
    /// Each with its honest frames, which leave.
    stands: Vec<(BTreeSet<Honest>, Tell, Row)>,
}

/// A row for each place that a container can stand in, all daemons at once; and what is left of it in the guest.
pub(super) fn rows(
    scene: &Scene<'_>,
    bed: &Testbed,
    inner: &[Inner],
    canaries: &Canaries,
) -> Result<(Vec<Row>, Networks)> {
    let plan = scene.plan;
    let (mut tells, mut all) = (0..=u8::MAX, Vec::new());
    for daemon in plan.daemons.values() {
        let mut trials = Vec::new();
        for interface in plan.interfaces_of(daemon) {
            let nth = tells.next().context("more interfaces than tells")?;
            trials.push(Trial::of(scene, bed, (inner, canaries), (daemon, interface), nth)?);
        }
        all.push(trials);
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = all.into_iter().map(|trials| scope.spawn(|| one_by_one(trials, bed))).collect();
        let (mut rows, mut left) = (Vec::new(), Networks::default());
        for thread in running {
            let (of_one, networks) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            rows.extend(of_one);
            left.0.extend(networks);
        }
        Ok((rows, left))
    })
}

/// The trials of one daemon: it does not make two networks at a time without a complaint. Gives what makes the last one's go.
fn one_by_one(trials: Vec<Trial>, bed: &Testbed) -> Result<(Vec<Row>, Option<String>)> {
    let (mut rows, mut left) = (Vec::new(), Networks::default());
    for trial in trials {
        rows.extend(left.remove(bed)?);
        left = Networks(vec![trial.undo.clone()]);
        rows.extend(trial.run(bed)?);
    }
    Ok((rows, left.0.pop()))
}

/// Networks that users have made on uplinks, by the scripts that have them go.
#[derive(Debug, Default)]
pub(super) struct Networks(Vec<String>);

impl Networks {
    /// Has them go, all daemons' at once; a row if one stays.
    pub(super) fn remove(&self, bed: &Testbed) -> Result<Option<Row>> {
        let stay = std::thread::scope(|scope| {
            let removing: Vec<_> =
                self.0.iter().map(|script| scope.spawn(|| bed.guest.must(script, RUN).map(drop))).collect();
            let done = removing
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            done.filter_map(Result::err).map(|error| format!("{error:#}")).collect::<Vec<_>>()
        });
        bed.alive()?;
        let name = "a user's networks go".to_owned();
        Ok((!stay.is_empty()).then(|| Row { name, offences: stay, ..Row::default() }))
    }
}

impl Trial {
    fn of(
        scene: &Scene<'_>,
        bed: &Testbed,
        (inner, canaries): (&[Inner], &Canaries),
        (daemon, interface): (&Daemon, &Interface),
        nth: u8,
    ) -> Result<Self> {
        let uplink = &interface.name;
        let vantage = Vantage::Vlan(uplink.clone());
        let nic = bed.topology.nic(scene.plan, uplink)?;
        let own = scene.nic_mac(&vantage).with_context(|| format!("{uplink} has no MAC address"))?;
        let terms = canaries.apart(scene.stations).and_then(|apart| apart.terms(nic.port, bed, PATIENCE + RUN));
        let terms = terms.with_context(|| format!("nothing answers through {}", nic.name))?;
        let near = |v4: bool| {
            let net = interface.addresses.iter().find(|net| net.addr().is_ipv4() == v4)?;
            scene.stations.beside(*net, &[])
        };
        let neighbours: Vec<Host> = [true, false].into_iter().filter_map(near).collect();
        let bridge = bridge(bed, daemon)?;
        let outlets = outlets(scene, inner, daemon);
        let (mut script, mut stands) = (String::from("set -eu\n"), Vec::new());
        let mut sheets = Vec::new();
        let network = scene.plan.network_on(interface).map(|network| Network::Declared(network.name.clone()));
        let network = network.as_ref();
        for stand in STANDS.into_iter().filter(|stand| stand.is_possible(daemon, interface, network)) {
            let tell = [nth, stand.letter()];
            let (mac, bridge) = match stand {
                Stand::Segment => (network.and_then(|network| on(inner, daemon, network).1).unwrap_or(own), None),
                Stand::Bridge => (deeds::nobody(tell), Some(bridge)),
                Stand::Uplink | Stand::Tagged(_) => (own, None),
                Stand::Below(_) => (deeds::nobody(tell), None),
            };
            let addresses = match stand {
                Stand::Bridge => on(inner, daemon, &Network::Default).0,
                Stand::Segment => network.map(|network| on(inner, daemon, network).0).unwrap_or_default(),
                Stand::Uplink | Stand::Below(_) | Stand::Tagged(_) => {
                    interface.addresses.iter().map(ipnet::IpNet::addr).collect()
                }
            };
            let tagged = matches!(stand, Stand::Tagged(_));
            let listed = stand == Stand::Uplink && daemon.egress.is_some();
            let neighbours = &neighbours;
            let apart = stand == Stand::Segment && mac != own;
            let liar = Liar { tell, mac, bridge, tagged, listed, apart, own: addresses, interface, neighbours };
            let (mut frames, marks) = deeds::deeds(scene, &liar);
            let count = frames.len();
            let honest = match stand {
                Stand::Bridge if daemon.egress.is_some() => deeds::honest(&liar, &outlets),
                // Where there is a list, of frames made by hand ARP alone leaves.
                Stand::Uplink if listed => deeds::honest_questions(&liar),
                // What stands on the uplink itself passes no rules but the uplink's own.
                Stand::Bridge | Stand::Uplink | Stand::Segment => {
                    let near: Vec<(Host, u16)> = neighbours.iter().map(|host| (*host, 53)).collect();
                    let settling = if stand == Stand::Segment { deeds::settling(&liar) } else { Vec::new() };
                    [deeds::honest(&liar, &near), settling].concat()
                }
                Stand::Below(_) | Stand::Tagged(_) => Vec::new(),
            };
            let leave: BTreeSet<_> = honest.iter().filter_map(|frame| deeds::honest_of(frame)).collect();
            frames.extend(honest);
            let name = stand.title(daemon, interface);
            let good = match leave.len() {
                0 => format!("{count} frames, none left"),
                honest => format!("{count} frames, none left; {honest} honest ones, all left"),
            };
            stands.push((leave, tell, Row { name, frames: count, good, marks, ..Row::default() }));
            sheets.push((stand, frames));
        }
        let wires: Vec<Wire> = sheets.iter().filter_map(|(stand, _)| Wire::of(*stand, uplink.as_str())).collect();
        run_all(&mut script, daemon, (uplink.as_str(), network), &wires, &sheets);
        let undo = undo(daemon, &wires);
        let segment = bed.topology.segment(&vantage)?;
        let on_link = |host: &Host| interface.addresses.iter().any(|net| net.contains(&host.ip));
        let near = |host: &Host| on_link(host) && !interface.gateways.contains(&host.ip);
        let listed = outlets.iter().map(|(host, _)| *host).filter(near);
        let sources = neighbours.iter().copied().chain(listed).collect();
        let provocation = Provocation { segment, sources, frames: Vec::new(), terms };
        Ok(Self { provocation, script, undo, stands })
    }

    /// Runs the script while every frame that leaves is looked at.
    fn run(mut self, bed: &Testbed) -> Result<Vec<Row>> {
        let told = |seen: &Seen| deeds::told_by(&seen.frame).is_some() || deeds::honest_of(&seen.frame).is_some();
        let act = || bed.guest.must(&self.script, RUN).map(drop);
        // Those before it have taken their time.
        self.provocation.terms.deadline = bed.deadline(PATIENCE + RUN);
        match bed.fabric.provoke(&self.provocation, act, told) {
            Ok(left) => {
                let home = |seen: &&Seen| seen.segment == Some(self.provocation.segment);
                let honest: BTreeSet<Honest> =
                    left.iter().filter(home).filter_map(|seen| deeds::honest_of(&seen.frame)).collect();
                for (leave, tell, row) in &mut self.stands {
                    let theirs = |seen: &&Seen| deeds::told_by(&seen.frame) == Some(*tell);
                    let offences: Vec<&Seen> = left.iter().filter(theirs).collect();
                    if let Some(first) = offences.first() {
                        row.offences.push(format!("{} frames left, the first is {}", offences.len(), first.number));
                    }
                    let stayed: Vec<String> = leave.difference(&honest).map(|(_, number)| number.to_string()).collect();
                    if !stayed.is_empty() {
                        let (stayed, all) = (stayed.join(", "), leave.len());
                        row.offences.push(format!("of its {all} honest frames did not leave: {stayed}"));
                    }
                }
            }
            Err(error) => {
                bed.alive()?;
                for (.., row) in &mut self.stands {
                    row.offences.push(format!("no verdict: {error:#}"));
                }
            }
        }
        Ok(self.stands.into_iter().map(|(.., row)| row).collect())
    }
}

impl Stand {
    /// `network`: what the spec puts on the interface.
    fn is_possible(self, daemon: &Daemon, interface: &Interface, network: Option<&Network>) -> bool {
        match self {
            // One bridge is enough, whichever interface its frames would leave by.
            Self::Bridge => daemon.interfaces.first() == Some(&interface.name),
            Self::Uplink => true,
            // Docker makes one network on an interface.
            Self::Below(_) => network.is_none(),
            Self::Segment => network.is_some(),
            Self::Tagged(_) => format!("{}.{VID}", interface.name).len() <= 15,
        }
    }
}

/// A network that a user makes on an uplink, and the address that a container has on it.
struct Wire {
    name: String,
    config: Value,
    address: String,
}

impl Wire {
    /// For a stand that takes one.
    fn of(stand: Stand, uplink: &str) -> Option<Self> {
        let (letter, (parent, driver)) = (stand.letter(), stand.network(uplink)?);
        let name = format!("dmhost-probe-{letter}");
        let config = json!({
            "Name": name,
            "Driver": driver,
            "Options": { "parent": parent },
            "IPAM": { "Config": [{ "Subnet": format!("198.18.{letter}.0/24") }] },
        });
        Some(Self { name, config, address: format!("198.18.{letter}.2") })
    }
}

/// Lines of a script that has these containers send their frames side by side. The container on a user's network stands on those that
/// a user makes on the uplink as well.
fn run_all(
    script: &mut String,
    daemon: &Daemon,
    (uplink, network): (&str, Option<&Network>),
    wires: &[Wire],
    sheets: &[(Stand, Vec<Vec<u8>>)],
) {
    let post = |path: &str, body: &Value| call(&daemon.name, "POST", path, body) + " >/dev/null\n";
    for Wire { name, config, address } in wires {
        *script += &post("/networks/create", config);
        let end = json!({ "Container": USER, "EndpointConfig": { "IPAMConfig": { "IPv4Address": address } } });
        *script += &post(&format!("/networks/{name}/connect"), &end);
    }
    let mut of_one: BTreeMap<String, String> = BTreeMap::new();
    for (stand, frames) in sheets {
        let (container, on) = match (stand, Wire::of(*stand, uplink)) {
            (_, Some(Wire { address, .. })) => (USER.to_owned(), address),
            (Stand::Uplink, None) => (HOST.to_owned(), uplink.to_owned()),
            (Stand::Segment, None) => (container(network.unwrap_or(&Network::Default)), "eth0".to_owned()),
            (Stand::Bridge | Stand::Below(_) | Stand::Tagged(_), None) => (DEFAULT.to_owned(), "eth0".to_owned()),
        };
        // A socket that passes by every rule of a link is given to nobody.
        let refused = if *stand == Stand::Uplink { format!("refused {AF_XDP}\n") } else { String::new() };
        let _ = write!(of_one.entry(container).or_default(), "on {on}\n{refused}{}", hex(frames));
    }
    for (container, sheet) in of_one {
        let probe = exec(&daemon.name, &container);
        let _ = write!(script, "{probe} send <<'FRAMES' &\n{sheet}FRAMES\npids=\"${{pids-}} $!\"\n");
    }
    // Each has to end well.
    script.push_str("failed=0; for pid in ${pids-}; do wait \"$pid\" || failed=1; done\n[ $failed = 0 ]\n");
}

/// A script that has these networks go.
fn undo(daemon: &Daemon, wires: &[Wire]) -> String {
    let call = |method, path: &str, body: &Value| call(&daemon.name, method, path, body) + " >/dev/null\n";
    let mut script = String::from("set -eu\n");
    for Wire { name, .. } in wires {
        script += &call("POST", &format!("/networks/{name}/disconnect"), &json!({ "Container": USER }));
        script += &call("DELETE", &format!("/networks/{name}"), &Value::Null);
    }
    script
}

/// Datagrams that a daemon with a list lets out, one for each IP version.
fn outlets(scene: &Scene<'_>, inner: &[Inner], daemon: &Daemon) -> Vec<(Host, u16)> {
    let aims =
        destinations::aims(scene.plan, inner, daemon, &destinations::Stand::On(Network::Default), scene.stations);
    let mut all: Vec<(Host, u16)> = Vec::new();
    for aim in aims.into_iter().filter(|aim| aim.leaves) {
        let What::Udp(port) = aim.what else { continue };
        if all.iter().all(|(host, _)| host.ip.is_ipv4() != aim.address.is_ipv4()) {
            all.push((scene.stations.at(aim.address), port));
        }
    }
    all
}

/// The addresses of a daemon's container on a network, and the MAC address, if it has one of its own on a segment.
fn on(inner: &[Inner], daemon: &Daemon, network: &Network) -> (Vec<std::net::IpAddr>, Option<Mac>) {
    let own = || {
        let here = |inner: &&Inner| inner.daemon == daemon.name && inner.network == *network;
        inner.iter().filter(here).filter(|inner| inner.place == Place::Container)
    };
    (own().map(|inner| inner.address).collect(), own().find_map(|inner| inner.mac))
}

/// The MAC address of the default bridge, which every container on it knows.
fn bridge(bed: &Testbed, daemon: &Daemon) -> Result<Mac> {
    let script = match daemon.isolation {
        Isolation::Zone => format!("ip netns exec {} cat /sys/class/net/docker0/address", daemon.name.netns()),
        Isolation::Shared => format!("cat /sys/class/net/{}/address", daemon.name.bridge()),
    };
    let told = bed.guest.must(&script, RUN)?;
    let octets: Vec<u8> = told.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let octets = <[u8; 6]>::try_from(octets).ok();
    octets.map(Mac).with_context(|| format!("the bridge's MAC address is not known: {told:?}"))
}

fn hex(frames: &[Vec<u8>]) -> String {
    let line = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    frames.iter().map(line).collect()
}
