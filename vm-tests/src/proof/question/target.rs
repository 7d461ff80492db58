//! Whom the proof asks: every address of the plan, and addresses that nobody planned to answer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dmhost_layout::plan::{Daemon, DaemonName, HostPlan, Interface, InterfaceName, MacAddress, Owner};
use ipnet::IpNet;

use super::{Network, Vantage};
use crate::fabric::Mac;
use crate::proof::topology::{self, Strangers, link_local};

/// Whose address is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The host itself.
    Host,
    /// A daemon.
    Daemon(DaemonName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Daemon(name) => write!(f, "{name}"),
        }
    }
}

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One of the plan.
    Planned,
    /// The link-local address that follows from a NIC's MAC address.
    LinkLocal,
    /// All nodes of a link, `ff02::1`.
    AllNodes,
    /// All hosts of an IPv4 subnet, or `255.255.255.255`.
    Broadcast,
    /// A free address in a subnet of the plan.
    Unplanned,
    /// A container's.
    Container,
    /// A Docker network's gateway.
    Bridge,
}

impl Place {
    /// The word for it in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::LinkLocal => "link-local",
            Self::AllNodes => "all-nodes",
            Self::Broadcast => "broadcast",
            Self::Unplanned => "unplanned",
            Self::Container => "container",
            Self::Bridge => "bridge",
        }
    }
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whose it is.
    pub subject: Subject,
    /// What kind it is.
    pub place: Place,
    /// The interface it is on; for an address that is on none, the one it is asked over.
    pub interface: InterfaceName,
    /// The address.
    pub address: IpAddr,
    /// Its MAC address, if it is a container's own.
    pub mac: Option<Mac>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Planned => write!(f, "{} {}", self.subject, self.address),
            place => write!(f, "{} {} {}", self.subject, place.as_str(), self.address),
        }
    }
}

impl Target {
    /// Whether it is the link-local address of the NIC with this MAC address.
    pub(super) fn is_link_local_of(&self, mac: MacAddress) -> bool {
        self.address == link_local(mac.octets())
    }
}

/// An address behind a daemon, as Docker gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    /// Whose.
    pub daemon: DaemonName,
    /// On which network.
    pub network: Network,
    /// A container's or a bridge's.
    pub place: Place,
    /// The address.
    pub address: IpAddr,
    /// Its MAC address on the segment, of a container that has one there.
    pub mac: Option<Mac>,
}

impl Inner {
    /// The interface whose segment a container is on; `None`: it is behind its daemon.
    pub fn parent<'p>(&self, plan: &'p HostPlan) -> Option<&'p InterfaceName> {
        self.network.of(&plan.daemons[&self.daemon])?.driver.parent()
    }
}

/// Every address of a host, in the order of its interfaces.
pub fn targets(plan: &HostPlan) -> Vec<Target> {
    plan.interfaces
        .values()
        .flat_map(|interface| {
            interface.addresses.iter().map(|net| Target {
                subject: subject(interface),
                place: Place::Planned,
                interface: interface.name.clone(),
                address: net.addr(),
                mac: None,
            })
        })
        .collect()
}

fn subject(interface: &Interface) -> Subject {
    match &interface.owner {
        Owner::Host | Owner::Carrier => Subject::Host,
        Owner::Daemon(name) => Subject::Daemon(name.clone()),
    }
}

/// The addresses that are asked from a vantage besides those of the plan.
pub(super) fn places(plan: &HostPlan, inner: &[Inner], vantage: &Vantage, over: &Interface) -> Vec<Target> {
    let target = |place, address, subject| Target { subject, place, interface: over.name.clone(), address, mac: None };
    let mut places = Vec::new();
    let beyond = matches!(vantage, Vantage::Beyond(_));
    if !beyond {
        let macs = plan.interfaces.values().filter_map(|interface| plan.mac_of(interface));
        places.extend(macs.map(|mac| target(Place::LinkLocal, link_local(mac.octets()).into(), subject(over))));
        places.push(target(Place::AllNodes, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(), subject(over)));
        places.push(target(Place::Broadcast, Ipv4Addr::BROADCAST.into(), subject(over)));
    }
    let at = |free: Target| Target { interface: over.name.clone(), ..free };
    places.extend(free(plan).0.into_iter().map(at));
    for own in inner {
        // On an ipvlan it is the interface's.
        let near = own.parent(plan) == Some(&over.name);
        let mac = own.mac.or_else(|| plan.mac_of(over).map(topology::mac)).filter(|_| near);
        let there = target(own.place, own.address, Subject::Daemon(own.daemon.clone()));
        places.push(Target { mac, ..there });
    }
    // Of a range that is led to a daemon what none of its networks has.
    for (name, daemon) in &plan.daemons {
        let nobodys = on_no_network(daemon).into_iter();
        places.extend(nobodys.map(|address| target(Place::Unplanned, address, Subject::Daemon(name.clone()))));
    }
    // Zones may have the same pools, and an interface two addresses of one subnet: asked once.
    let mut seen = Vec::new();
    places.retain(|target| {
        let new = !seen.contains(&target.address);
        seen.push(target.address);
        new && (!beyond || version_of_gateway(over, target.address))
    });
    places
}

/// Of each range that is led to a daemon an address that none of its networks has. Networks from a pool are of 64 bits, the first ones first.
pub fn on_no_network(daemon: &Daemon) -> Vec<IpAddr> {
    let subnets = || daemon.behind();
    let last = daemon.routed.iter().filter(|range| range.prefix_len() < 60).map(IpNet::broadcast);
    last.filter(|address| !subnets().any(|subnet| subnet.range.contains(address))).collect()
}

/// Of each subnet of the plan an address that nobody has, and the one that all have: as they are asked from the wire, and as
/// from inside, since what one side asks makes the guest ask too. An interface may have two addresses of one subnet: twins are
/// the caller's affair.
pub fn free(plan: &HostPlan) -> (Vec<Target>, Vec<Target>) {
    let mut strangers = Strangers::new(plan);
    let (mut wire, mut inside) = (Vec::new(), Vec::new());
    for interface in plan.interfaces.values() {
        let target = |place, address| Target {
            subject: subject(interface),
            place,
            interface: interface.name.clone(),
            address,
            mac: None,
        };
        for net in &interface.addresses {
            if net.addr().is_ipv4() && net.prefix_len() < 31 {
                wire.push(target(Place::Broadcast, net.broadcast()));
                inside.push(target(Place::Broadcast, net.broadcast()));
            }
            for side in [&mut wire, &mut inside] {
                side.extend(strangers.beside(*net, &[]).map(|free| target(Place::Unplanned, free)));
            }
        }
    }
    (wire, inside)
}

/// Whether an interface has a gateway for this IP version.
pub(super) fn version_of_gateway(interface: &Interface, address: IpAddr) -> bool {
    interface.gateways.iter().any(|gateway| gateway.is_ipv4() == address.is_ipv4())
}

/// The subnet that a target's neighbours are in, if it has one.
pub fn subnet_of(plan: &HostPlan, target: &Target) -> Option<IpNet> {
    let all = || plan.interfaces.values().flat_map(|interface| interface.addresses.iter().copied());
    match target.place {
        Place::Planned => all().find(|net| net.addr() == target.address),
        Place::Unplanned | Place::Broadcast => all().find(|net| net.contains(&target.address)),
        Place::LinkLocal | Place::AllNodes | Place::Container | Place::Bridge => None,
    }
}
