//! One positive flow through each NIC: what answers closes the windows of every probe through it.
//!
//! A canary is tried before it is trusted. What the plan promises comes first; then whatever answers through the NIC at all,
//! so that a host that is not as planned is still judged by frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Admin, Api, HostPlan, Interface, Owner};
use ipnet::IpNet;

use super::question::Vantage;
use super::stations::Stations;
use super::topology::{Nic, mac};
use crate::bed::Outside;
use crate::fabric::scan::Scan;
use crate::fabric::{Canary, CanaryKind, Host, PortId, Terms};

/// Until another canary is sent in place of one without an answer.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long a candidate may take to answer, on the reference machine.
const TRIAL: Duration = Duration::from_secs(4);

/// How many candidates are tried at a time.
const TOGETHER: usize = 32;

/// The canaries of a host, by NIC.
#[derive(Debug)]
pub struct Canaries(BTreeMap<PortId, Tried>);

/// A canary that was answered, and where its sources may be.
#[derive(Debug, Clone)]
struct Tried {
    canary: Canary,
    beside: IpNet,
    within: Vec<IpNet>,
}

impl Canaries {
    /// Finds one for each NIC that answers anything.
    ///
    /// # Errors
    /// If the fabric has stopped.
    pub fn find(plan: &HostPlan, bed: &Outside, stations: &Stations) -> Result<Self> {
        let mut found = BTreeMap::new();
        for nic in &bed.topology.nics {
            let candidates = candidates(plan, bed, stations, nic)?;
            // What is promised answers at once. Where it does not, each of the others takes its whole time, so they are tried
            // together.
            let (first, rest) = candidates.split_at(candidates.len().min(1));
            for some in std::iter::once(first).chain(rest.chunks(TOGETHER)) {
                if let Some(candidate) = first_answered(bed, stations, some)? {
                    found.insert(nic.port, candidate.clone());
                    break;
                }
            }
        }
        Ok(Self(found))
    }

    /// What closes the windows of a probe through a NIC; `None` if nothing answers there.
    pub fn terms(&self, nic: PortId, bed: &Outside, deadline: Duration) -> Option<Terms> {
        let canary = self.0.get(&nic)?.canary.clone();
        let others = self.0.iter().filter(|(port, _)| **port != nic).map(|(_, tried)| tried.canary.clone()).collect();
        Some(Terms { canary, others, grace: Duration::ZERO, deadline: bed.deadline(deadline) })
    }

    /// The same with sources of their own, for probes beside these. `None` where a subnet has no free address left.
    pub fn apart(&self, stations: &Stations) -> Option<Self> {
        let apart = |(port, tried): (&PortId, &Tried)| {
            let source = stations.settled(tried.beside, &tried.within)?;
            Some((*port, Tried { canary: Canary { source, ..tried.canary.clone() }, ..tried.clone() }))
        };
        self.0.iter().map(apart).collect::<Option<_>>().map(Self)
    }
}

/// The first of these that is answered; all are tried at once.
fn first_answered<'c>(bed: &Outside, stations: &Stations, candidates: &'c [Tried]) -> Result<Option<&'c Tried>> {
    std::thread::scope(|scope| {
        let trying: Vec<_> = candidates
            .iter()
            .map(|candidate| (candidate, scope.spawn(|| answers(bed, stations, &candidate.canary))))
            .collect();
        let mut first = None;
        for (candidate, thread) in trying {
            let answered = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            first = first.or(answered.then_some(candidate));
        }
        Ok(first)
    })
}

/// Whether a candidate is answered: a scan of no port has its canary alone.
fn answers(bed: &Outside, stations: &Stations, candidate: &Canary) -> Result<bool> {
    let Some(source) = stations.like(candidate.source.ip) else { return Ok(false) };
    let scan = Scan {
        segment: candidate.segment,
        source,
        via: None,
        target: candidate.target,
        ports: Vec::new(),
        expected: BTreeSet::new(),
        terms: Terms {
            canary: candidate.clone(),
            others: Vec::new(),
            grace: Duration::ZERO,
            deadline: bed.deadline(TRIAL),
        },
    };
    bed.alive()?;
    Ok(bed.fabric.scan(&scan).is_ok())
}

/// What might answer through a NIC: services as planned, then echo and neighbours as planned, then any address on any of the
/// NIC's segments.
fn candidates(plan: &HostPlan, bed: &Outside, stations: &Stations, nic: &Nic) -> Result<Vec<Tried>> {
    let behind: Vec<&Interface> =
        plan.interfaces.values().filter(|interface| plan.nic_of(interface).name == nic.name).collect();
    let mut found = Vec::new();
    let mut add = |on: &Interface, address: &IpNet, within: &[IpNet], kind| -> Result<()> {
        let vantage = match on.owner {
            Owner::Carrier => Vantage::Trunk(on.name.clone()),
            Owner::Host | Owner::Daemon(_) => Vantage::Vlan(on.name.clone()),
        };
        let Some(source) = stations.settled(*address, within) else { return Ok(()) };
        let target = Host { mac: mac(nic.mac), ip: address.addr() };
        let segment = bed.topology.segment(&vantage)?;
        let canary = Canary { nic: nic.port, segment, source, target, kind, patience: PATIENCE };
        found.push(Tried { canary, beside: *address, within: within.to_vec() });
        Ok(())
    };
    for interface in &behind {
        for address in &interface.addresses {
            if let Some((port, from)) = service(plan, interface, address.addr()) {
                add(interface, address, &from, CanaryKind::Tcp(port))?;
            }
        }
    }
    for kind in [CanaryKind::Echo, CanaryKind::Neighbour] {
        for interface in &behind {
            for address in &interface.addresses {
                add(interface, address, &[], kind)?;
            }
        }
    }
    for on in &behind {
        for interface in behind.iter().filter(|interface| interface.name != on.name) {
            for address in &interface.addresses {
                add(on, address, &[], CanaryKind::Neighbour)?;
            }
        }
    }
    Ok(found)
}

/// A TCP port that the plan promises on an address, and the sources it is promised to (empty: all).
pub(super) fn service(plan: &HostPlan, interface: &Interface, address: IpAddr) -> Option<(u16, Vec<IpNet>)> {
    match &interface.owner {
        Owner::Carrier => None,
        Owner::Host => match &plan.host.admin {
            Some(Admin { interface: admin, .. }) if *admin == interface.name => Some((22, Vec::new())),
            Some(_) | None => None,
        },
        Owner::Daemon(name) => {
            let Api { port, addresses, from, .. } = plan.daemons[name].api.as_ref()?;
            let from = from.clone().unwrap_or_default();
            addresses.contains(&address).then_some((*port, from))
        }
    }
}
