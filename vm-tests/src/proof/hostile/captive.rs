//! Hostile frames from containers, with the rights that Docker gives by default: those include raw sockets.
//!
//! A container on a bridge lies to its zone; one on the host's network (`--network host`, here the zone's) stands on the
//! uplink itself; a user's macvlan and ipvlan hang below it, and below a VLAN of the user's own. What leaves the machine with
//! the tell of one of them is an offence, but for the honest frames of the first two and of a network of the spec: those have to leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan, Interface, InterfaceKind, Isolation};

use super::deeds::{self, Honest, Liar, Tell};
use super::networks::{Networks, Wire};
use super::row::Row;
use super::{PATIENCE, Scene, attacks};
use crate::bed::Testbed;
use crate::fabric::provoke::Provocation;
use crate::fabric::{Host, Mac, Seen};
use crate::proof::canaries::Canaries;
use crate::proof::containers::{DEFAULT, HOST, USER, container, exec};
use crate::proof::destinations::{self, What};
use crate::proof::question::{Inner, Network, Place, Vantage};

/// For the containers of one interface, on the reference machine.
const RUN: Duration = Duration::from_secs(90);
/// The VLAN that a user makes below an uplink. `NAME.VID` must be a device's name: 15 bytes.
const VID: u16 = 77;
/// IEEE 802.1Q: 4095 is reserved.
const HIGHEST_VID: u16 = 4094;
/// Linux, `IFNAMSIZ` less the zero at its end.
const LONGEST_NAME: usize = 15;
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
    /// On a network of this driver on a VLAN of the NIC that carries the uplink.
    Beside(&'static str),
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
            Self::Beside(_) => b'n',
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
            Self::Beside(driver) => format!("a user's {driver} on a VLAN beside {uplink}"),
            Self::Segment => format!("container of {daemon} on the segment of {uplink}"),
        }
    }

    /// The parent and the driver of the user's network, if it takes one.
    fn network(self, plan: &HostPlan, uplink: &Interface) -> Option<(String, &'static str)> {
        let name = &uplink.name;
        match self {
            Self::Bridge | Self::Uplink | Self::Segment => None,
            Self::Below(driver) => Some((name.to_string(), driver)),
            Self::Tagged(driver) => Some((format!("{name}.{VID}"), driver)),
            Self::Beside(driver) => {
                let InterfaceKind::Vlan { parent, .. } = &uplink.kind else { return None };
                // Each uplink has one of its own: two daemons in one namespace would share it.
                let nth = plan.interfaces.keys().position(|other| other == name)?;
                let planned = |vid: &u16| plan.interfaces.values().any(|other| attacks::vid(&other.kind) == Some(*vid));
                let vid = (1..=HIGHEST_VID).rev().filter(|vid| !planned(vid)).nth(nth)?;
                Some((format!("{parent}.{vid}"), driver))
            }
        }
    }
}

/// Where they stand. A macvlan has a MAC address of its own, an ipvlan the NIC's: below the uplink the latter is what stands on the
/// uplink itself, and on a VLAN of the user's the former is stopped twice.
const STANDS: [Stand; 6] = [
    Stand::Bridge,
    Stand::Uplink,
    Stand::Below("macvlan"),
    Stand::Tagged("ipvlan"),
    Stand::Beside("ipvlan"),
    Stand::Segment,
];

/// All that the containers of one daemon do on one interface.
#[derive(Debug)]
struct Trial {
    provocation: Provocation,
    script: String,
    /// What it makes.
    networks: Networks,
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
            left.0.extend(networks.0);
        }
        Ok((rows, left))
    })
}

/// The trials of one daemon: it does not make two networks at a time without a complaint. Gives what makes the last one's go.
fn one_by_one(trials: Vec<Trial>, bed: &Testbed) -> Result<(Vec<Row>, Networks)> {
    let (mut rows, mut left) = (Vec::new(), Networks::default());
    for trial in trials {
        rows.extend(left.remove(bed)?);
        let (of_one, networks) = trial.run(bed)?;
        rows.extend(of_one);
        left = networks;
    }
    Ok((rows, left))
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
        for stand in STANDS.into_iter().filter(|stand| stand.is_possible(scene.plan, daemon, interface, network)) {
            let tell = [nth, stand.letter()];
            let (mac, bridge) = match stand {
                Stand::Segment => (network.and_then(|network| on(inner, daemon, network).1).unwrap_or(own), None),
                Stand::Bridge => (deeds::nobody(tell), Some(bridge)),
                Stand::Uplink | Stand::Tagged(_) | Stand::Beside(_) => (own, None),
                Stand::Below(_) => (deeds::nobody(tell), None),
            };
            let addresses = match stand {
                Stand::Bridge => on(inner, daemon, &Network::Default).0,
                Stand::Segment => network.map(|network| on(inner, daemon, network).0).unwrap_or_default(),
                Stand::Uplink | Stand::Below(_) | Stand::Tagged(_) | Stand::Beside(_) => {
                    interface.addresses.iter().map(ipnet::IpNet::addr).collect()
                }
            };
            let tagged = matches!(stand, Stand::Tagged(_) | Stand::Beside(_));
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
                Stand::Below(_) | Stand::Tagged(_) | Stand::Beside(_) => Vec::new(),
            };
            let leave: BTreeSet<_> = honest.iter().filter_map(|frame| deeds::honest_of(frame)).collect();
            frames.extend(honest);
            let name = stand.title(daemon, interface);
            let good = match leave.len() {
                0 => format!("{count} frames, none left"),
                honest => format!("{count} frames, none left; {honest} honest ones, all left"),
            };
            stands.push((leave, tell, Row { name, frames: count, good, marks, ..Row::default() }));
            sheets.push(Sheet { stand, wire: stand.wire(scene.plan, interface), frames });
        }
        let wires = || sheets.iter().filter_map(|sheet| sheet.wire.as_ref());
        script.extend(wires().map(|wire| wire.join(daemon)));
        run_all(&mut script, daemon, (uplink.as_str(), network), &sheets);
        let networks = Networks::of(daemon, wires());
        let segment = bed.topology.segment(&vantage)?;
        let on_link = |host: &Host| interface.addresses.iter().any(|net| net.contains(&host.ip));
        let near = |host: &Host| on_link(host) && !interface.gateways.contains(&host.ip);
        let listed = outlets.iter().map(|(host, _)| *host).filter(near);
        let sources = neighbours.iter().copied().chain(listed).collect();
        let provocation = Provocation { segment, sources, frames: Vec::new(), terms };
        Ok(Self { provocation, script, networks, stands })
    }

    /// Runs the script while every frame that leaves is looked at.
    fn run(mut self, bed: &Testbed) -> Result<(Vec<Row>, Networks)> {
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
        Ok((self.stands.into_iter().map(|(.., row)| row).collect(), self.networks))
    }
}

impl Stand {
    /// `network`: what the spec puts on the interface.
    fn is_possible(self, plan: &HostPlan, daemon: &Daemon, interface: &Interface, network: Option<&Network>) -> bool {
        let fits = || self.network(plan, interface).is_some_and(|(parent, _)| parent.len() <= LONGEST_NAME);
        match self {
            // One bridge is enough, whichever interface its frames would leave by.
            Self::Bridge => daemon.interfaces.first() == Some(&interface.name),
            Self::Uplink => true,
            // Docker makes one network on an interface.
            Self::Below(_) => network.is_none(),
            Self::Segment => network.is_some(),
            Self::Tagged(_) => fits(),
            // A zone has no carrier in it.
            Self::Beside(_) => daemon.isolation == Isolation::Shared && fits(),
        }
    }

    /// The user's network that it takes.
    fn wire(self, plan: &HostPlan, uplink: &Interface) -> Option<Wire> {
        let (parent, driver) = self.network(plan, uplink)?;
        Some(Wire::of(self.letter(), &parent, driver))
    }
}

/// What is sent from a stand.
struct Sheet {
    stand: Stand,
    /// The user's network that it takes.
    wire: Option<Wire>,
    frames: Vec<Vec<u8>>,
}

/// Lines of a script that has these containers send their frames side by side. The container on a user's network stands on those that
/// a user makes on the uplink as well.
fn run_all(script: &mut String, daemon: &Daemon, (uplink, network): (&str, Option<&Network>), sheets: &[Sheet]) {
    let mut of_one: BTreeMap<String, String> = BTreeMap::new();
    for Sheet { stand, wire, frames } in sheets {
        let (container, on) = match (stand, wire) {
            (_, Some(wire)) => (USER.to_owned(), wire.address.clone()),
            (Stand::Uplink, None) => (HOST.to_owned(), uplink.to_owned()),
            (Stand::Segment, None) => (container(network.unwrap_or(&Network::Default)), "eth0".to_owned()),
            (Stand::Bridge | Stand::Below(_) | Stand::Tagged(_) | Stand::Beside(_), None) => {
                (DEFAULT.to_owned(), "eth0".to_owned())
            }
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
