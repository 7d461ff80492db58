//! Hostile frames, from the wire and from containers: each kind is a row of its own in the report.
//!
//! * `attacks`, `lies`: the list, made from the plan; `frames`: what they are made of;
//! * `captive`, `deeds`: the same from containers, up to one on the uplink itself with the right to make frames;
//! * `networks`: what a user of an API makes on uplinks for them; `row`: what came of it;
//! * `floods`: what would fill the tables that all share, from both;
//! * `state`: addresses, routes and neighbours of every namespace, before and after.
//!
//! A row holds if nothing was answered where nothing is due, and if no mark of a lie is in the guest's tables afterwards.

mod attacks;
mod captive;
mod deeds;
mod floods;
mod frames;
mod lies;
mod networks;
mod row;
mod state;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan, Interface, InterfaceName, Owner};
use ipnet::IpNet;

use self::networks::Networks;
use self::row::Row;
use self::state::State;
use super::Stage;
use super::asker::Gateways;
use super::canaries::Canaries;
use super::question::{Inner, Place, Subject, Target, Vantage, probe_ports, targets};
use super::report::Fact;
use super::stations::Stations;
use super::topology::mac;
use crate::bed::Testbed;
use crate::fabric::{Host, Mac};

/// For one round, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What hostile frames are made from.
#[derive(Debug)]
struct Scene<'a> {
    plan: &'a HostPlan,
    targets: Vec<Target>,
    inner: Vec<IpAddr>,
    /// Containers on the segments of interfaces.
    on_segment: Vec<(InterfaceName, Host)>,
    stations: &'a Stations,
    ports: std::cell::Cell<u16>,
}

/// Frames of one station to the guest.
#[derive(Debug, Clone)]
struct Round {
    vantage: Vantage,
    source: Host,
    frames: Vec<Vec<u8>>,
    due: Due,
    marks: Vec<Mark>,
}

/// What may come of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// No frame at all.
    Nothing,
    /// Answers, if they stay on the wire that the frames came by and none of the frames is passed on.
    SameWire,
}

/// What a lie would leave in the guest's tables.
#[derive(Debug, Clone)]
struct Mark {
    text: String,
    /// The interface in whose namespace it may be.
    but_at: Option<InterfaceName>,
}

impl Mark {
    fn text(text: String) -> Self {
        Self { text, but_at: None }
    }

    fn anywhere(mac: Mac) -> Self {
        Self::text(mac.to_string().replace('-', ":"))
    }

    fn but_at(mac: Mac, name: &InterfaceName) -> Self {
        Self { but_at: Some(name.clone()), ..Self::anywhere(mac) }
    }
}

impl<'a> Scene<'a> {
    fn of(plan: &'a HostPlan, inner: &[Inner], stations: &'a Stations) -> Self {
        // Those on a segment are neighbours there as any others.
        let behind = inner.iter().filter(|inner| inner.parent(plan).is_none());
        let mut addresses: Vec<IpAddr> = behind.map(|inner| inner.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let neighbours = inner.iter().filter(|inner| inner.place == Place::Container).filter_map(|inner| {
            let parent = inner.parent(plan)?;
            let own = plan.mac_of(&plan.interfaces[parent]).map(mac);
            Some((parent.clone(), Host { mac: inner.mac.or(own)?, ip: inner.address }))
        });
        let (on_segment, ports) = (neighbours.collect(), std::cell::Cell::new(5000));
        Self { plan, targets: targets(plan), inner: addresses, on_segment, stations, ports }
    }

    /// VLANs that somebody lives on, with their VIDs.
    fn vlans(&self) -> Vec<(InterfaceName, u16)> {
        let lived = self.plan.interfaces.values().filter(|interface| attacks::lived_on(&interface.owner));
        lived.filter_map(|interface| Some((interface.name.clone(), attacks::vid(&interface.kind)?))).collect()
    }

    /// Interfaces that somebody lives on.
    fn homes(&self) -> Vec<InterfaceName> {
        let lived = self.plan.interfaces.values().filter(|interface| attacks::lived_on(&interface.owner));
        lived.map(|interface| interface.name.clone()).collect()
    }

    fn trunks(&self) -> Vec<Vantage> {
        let carriers = self.plan.interfaces.values().filter(|interface| interface.owner == Owner::Carrier);
        carriers.map(|interface| Vantage::Trunk(interface.name.clone())).collect()
    }

    /// The untagged side of every NIC.
    fn untagged(&self) -> Vec<Vantage> {
        let nics = self.plan.interfaces.values().filter(|interface| attacks::vid(&interface.kind).is_none());
        nics.map(|interface| match interface.owner {
            Owner::Carrier => Vantage::Trunk(interface.name.clone()),
            Owner::Host | Owner::Daemon(_) => Vantage::Vlan(interface.name.clone()),
        })
        .collect()
    }

    fn nic_mac(&self, vantage: &Vantage) -> Option<Mac> {
        self.plan.mac_of(&self.plan.interfaces[vantage.interface()?]).map(mac)
    }

    /// Containers that are reached by their own addresses, over each interface where they are, with its MAC address.
    fn routed(&self) -> Vec<(&'a Daemon, IpAddr, Vantage, Mac)> {
        let mut all = Vec::new();
        for daemon in self.plan.daemons.values() {
            for name in self.plan.routed_by(daemon) {
                let vantage = Vantage::Vlan(name.clone());
                let Some(mac) = self.nic_mac(&vantage) else { continue };
                let own = self.inner.iter().copied().filter(|address| daemon.routes(*address));
                all.extend(own.map(|address| (daemon, address, vantage.clone(), mac)));
            }
        }
        all
    }

    fn address_on(&self, name: &InterfaceName, v4: bool) -> Option<IpAddr> {
        let own = self.targets.iter().filter(|target| target.interface == *name);
        own.map(|target| target.address).find(|address| address.is_ipv4() == v4)
    }

    /// The pools of the daemon that an interface belongs to.
    fn pools_of(&self, interface: &Interface) -> Vec<IpNet> {
        match &interface.owner {
            Owner::Daemon(name) => self.plan.daemons[name].pools.iter().map(|pool| pool.base).collect(),
            Owner::Host | Owner::Carrier => Vec::new(),
        }
    }

    /// A TCP port that somebody listens on.
    fn served(&self, subject: &Subject) -> u16 {
        match subject {
            Subject::Host => 22,
            Subject::Daemon(name) => {
                let daemon = &self.plan.daemons[name];
                let api = daemon.api.as_ref().map(|api| api.port);
                probe_ports(daemon).open.or(api).unwrap_or(8000)
            }
        }
    }

    /// A fresh source port.
    fn port(&self) -> u16 {
        let port = self.ports.get();
        self.ports.set(port + 1);
        port
    }
}

/// All rows; with `until_red` no further ones after a part of them with one that is not as planned.
///
/// # Errors
/// If the machine or the fabric has ended.
pub fn facts(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    (stations, canaries): (&Stations, &Canaries),
    until_red: bool,
    stage: Stage<'_>,
) -> Result<Vec<Fact>> {
    let scene = Scene::of(plan, inner, stations);
    let before = State::read(plan, &bed.guest)?;
    stage("hostile frames from the wire");
    let mut rows = Vec::new();
    let enough = |rows: &[Row]| until_red && rows.iter().any(|row| !row.offences.is_empty());
    for (name, make) in attacks::ROWS {
        rows.push(Row::of(name, make(&scene), plan, bed, canaries)?);
    }
    let mut left = Networks::default();
    if !enough(&rows) {
        stage("hostile frames from containers");
        let _gateways = Gateways::play(plan, bed)?;
        let (more, networks) = captive::rows(&scene, bed, inner, canaries)?;
        rows.extend(more);
        left = networks;
    }
    // Floods crowd out what a lie has left in a table.
    let lied = State::read(plan, &bed.guest)?;
    // What the guest does on the way is done when its state is read.
    let flooded = std::thread::scope(|scope| {
        let removed = scope.spawn(|| left.remove(bed));
        let mut flooded = Vec::new();
        if !enough(&rows) {
            stage("floods");
            flooded = floods::rows(&scene, bed, inner, canaries)?;
        }
        flooded.extend(removed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        anyhow::Ok(flooded)
    })?;
    let after = State::read(plan, &bed.guest)?;
    let facts = rows.into_iter().map(|row| row.fact(plan, &lied));
    let mut facts: Vec<Fact> = facts.chain(flooded.into_iter().map(|row| row.fact(plan, &after))).collect();
    facts.push(before.unchanged(&after));
    Ok(facts)
}

/// One row of those from the wire, by its name, and what it changes of addresses and routes.
///
/// # Errors
/// As [`facts`], and if there is none of this name.
pub(in crate::proof) fn row(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    (stations, canaries): (&Stations, &Canaries),
    name: &str,
) -> Result<[Fact; 2]> {
    let scene = Scene::of(plan, inner, stations);
    let (_, make) = attacks::ROWS.iter().find(|(own, _)| *own == name).with_context(|| format!("no row {name}"))?;
    let before = State::read(plan, &bed.guest)?;
    let row = Row::of(name, make(&scene), plan, bed, canaries)?;
    let after = State::read(plan, &bed.guest)?;
    Ok([row.fact(plan, &after), before.unchanged(&after)])
}

/// The rows of containers.
///
/// # Errors
/// As [`facts`].
pub(in crate::proof) fn containers(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    (stations, canaries): (&Stations, &Canaries),
) -> Result<Vec<Fact>> {
    let scene = Scene::of(plan, inner, stations);
    let _gateways = Gateways::play(plan, bed)?;
    let (mut rows, networks) = captive::rows(&scene, bed, inner, canaries)?;
    rows.extend(networks.remove(bed)?);
    let after = State::read(plan, &bed.guest)?;
    Ok(rows.into_iter().map(|row| row.fact(plan, &after)).collect())
}
