//! What is asked: each listed range at its ends and just beside them, its ports at their ends and just beside them, name servers,
//! and addresses near and far that no list names.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use dmhost_layout::plan::{Daemon, Destination, HostPlan, Interface, Isolation, Owner, PortRange, Protocol};
use ipnet::IpNet;

use super::Stand;
use crate::proof::question::{Inner, Place};
use crate::proof::stations::Stations;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proof) enum What {
    /// An echo request.
    Echo,
    /// The first segment of a connection to this port.
    Tcp(u16),
    /// A datagram to this port.
    Udp(u16),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo => f.write_str("echo"),
            Self::Tcp(port) => write!(f, "{port}/tcp"),
            Self::Udp(port) => write!(f, "{port}/udp"),
        }
    }
}

/// Something that is sent, and whether it ought to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proof) struct Aim {
    /// Where to.
    pub(in crate::proof) address: IpAddr,
    /// What.
    pub(in crate::proof) what: What,
    /// What the plan says of it.
    pub(in crate::proof) leaves: bool,
}

/// The interfaces that a stand's frames leave by.
pub(super) fn ways<'p>(plan: &'p HostPlan, daemon: &'p Daemon, stand: &Stand) -> Vec<&'p Interface> {
    if let Some(parent) = stand.network(daemon).and_then(|network| network.driver.parent()) {
        return vec![&plan.interfaces[parent]];
    }
    let hosts = *stand == Stand::Itself && daemon.isolation == Isolation::Shared;
    let of_host = plan.interfaces.values().filter(|interface| hosts && interface.owner == Owner::Host);
    plan.interfaces_of(daemon).chain(of_host).collect()
}

/// The interfaces of other daemons in its namespace: nothing that it says leaves there.
pub(super) fn elsewhere<'p>(plan: &'p HostPlan, daemon: &'p Daemon, stand: &Stand) -> Vec<&'p Interface> {
    let here = *stand == Stand::Itself && daemon.isolation == Isolation::Shared;
    let others = plan.shared().map(|(_, other)| other).filter(|other| here && other.name != daemon.name);
    others.flat_map(|other| plan.interfaces_of(other)).collect()
}

/// What a stand of a daemon asks, in the order of addresses.
pub(in crate::proof) fn aims(
    plan: &HostPlan,
    inner: &[Inner],
    daemon: &Daemon,
    stand: &Stand,
    stations: &Stations,
) -> BTreeSet<Aim> {
    let listed = daemon.egress.as_deref().unwrap_or_default();
    let inward = stand.network(daemon).is_some_and(|network| network.internal);
    let ways = ways(plan, daemon, stand);
    let servers: Vec<IpAddr> = ways.iter().flat_map(|way| way.dns.iter().copied()).collect();
    let elsewhere = elsewhere(plan, daemon, stand);
    let nets = || ways.iter().chain(&elsewhere).flat_map(|way| way.addresses.iter().copied());
    let away = |address: &IpAddr| elsewhere.iter().flat_map(|way| &way.addresses).any(|net| net.contains(address));
    let near = nets().filter_map(|net| stations.beside(net, &[])).map(|host| host.ip);
    let far = [true, false].into_iter().filter_map(|v4| stations.far(v4));
    let strangers: Vec<IpAddr> = near.chain(far).collect();

    let mut asked: BTreeSet<(IpAddr, What)> = BTreeSet::new();
    for address in strangers.iter().chain(&servers) {
        asked.extend(whats(listed).into_iter().map(|what| (*address, what)));
    }
    for destination in listed {
        for address in edges(destination.net) {
            asked.extend(whats(std::slice::from_ref(destination)).into_iter().map(|what| (address, what)));
        }
    }
    let possible = |address: &IpAddr| {
        speaks(inner, daemon, stand, *address, &ways)
            && reaches(plan, daemon, stand, *address)
            && (stations.is_vacant(*address)
                || strangers.contains(address)
                || servers.contains(address)
                || !nets().any(|net| net.contains(address)))
    };
    asked
        .into_iter()
        .filter(|(address, _)| possible(address))
        .map(|(address, what)| Aim {
            address,
            what,
            leaves: !inward && !away(&address) && leaves(daemon, &servers, address, what),
        })
        .collect()
}

/// What the plan says.
fn leaves(daemon: &Daemon, servers: &[IpAddr], address: IpAddr, what: What) -> bool {
    let Some(listed) = &daemon.egress else { return true };
    let name = matches!(what, What::Tcp(53) | What::Udp(53)) && servers.contains(&address);
    name || listed.iter().any(|Destination { net, ports }| {
        let of = |wanted: Protocol, port: u16| {
            ports.is_none_or(|PortRange { protocol, first, last }| protocol == wanted && (first..=last).contains(&port))
        };
        net.contains(&address)
            && match what {
                What::Echo => ports.is_none(),
                What::Tcp(port) => of(Protocol::Tcp, port),
                What::Udp(port) => of(Protocol::Udp, port),
            }
    })
}

/// Echo, and by both protocols a usual port, that of names and what is beside it, the ends of listed ports and what is beside those.
fn whats(listed: &[Destination]) -> Vec<What> {
    let ends = listed.iter().filter_map(|destination| destination.ports);
    let ends = ends
        .flat_map(|PortRange { first, last, .. }| [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)]);
    let ports = ends.flatten().chain([53, 54, 443]).filter(|port| *port != 0);
    ports.flat_map(|port| [What::Tcp(port), What::Udp(port)]).chain([What::Echo]).collect()
}

/// The ends of a range, what is within them and what is without.
fn edges(net: IpNet) -> Vec<IpAddr> {
    let near = |end: IpAddr| {
        let bits = match end {
            IpAddr::V4(v4) => u32::from(v4).into(),
            IpAddr::V6(v6) => u128::from(v6),
        };
        let beside = [bits.checked_sub(1), Some(bits), bits.checked_add(1)].into_iter().flatten();
        beside.filter_map(move |bits| match end {
            IpAddr::V4(_) => u32::try_from(bits).ok().map(|bits| IpAddr::V4(bits.into())),
            IpAddr::V6(_) => Some(IpAddr::V6(bits.into())),
        })
    };
    near(net.network()).chain(near(net.broadcast())).collect()
}

/// Whether a stand has an address of this IP version.
fn speaks(inner: &[Inner], daemon: &Daemon, stand: &Stand, address: IpAddr, ways: &[&Interface]) -> bool {
    match stand {
        Stand::On(network) => inner.iter().any(|own| {
            own.daemon == daemon.name
                && own.network == *network
                && own.place == Place::Container
                && own.address.is_ipv4() == address.is_ipv4()
        }),
        Stand::Itself => {
            ways.iter().flat_map(|way| &way.addresses).any(|net| net.addr().is_ipv4() == address.is_ipv4())
        }
    }
}

/// Whether a route leads to an address that may be somebody else's.
fn reaches(plan: &HostPlan, daemon: &Daemon, stand: &Stand, address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.octets()[0] >= 224 || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.to_bits() < 1 << 64 || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    let ways = ways(plan, daemon, stand);
    let elsewhere = elsewhere(plan, daemon, stand);
    let nets = || ways.iter().chain(&elsewhere).flat_map(|way| &way.addresses);
    let own = plan.interfaces.values().flat_map(|interface| &interface.addresses).any(|net| net.addr() == address);
    let inside = daemon.ranges().iter().any(|range| range.contains(&address));
    let near = nets().find(|net| net.contains(&address));
    // In the host's namespace a program that chose no address goes by the host's own routes, not by a daemon's.
    let by_host = *stand == Stand::Itself && daemon.isolation == Isolation::Shared;
    let leads = ways.iter().filter(|way| !by_host || way.owner == Owner::Host);
    let mut leads = leads.flat_map(|way| &way.gateways);
    let routed = match stand.network(daemon).filter(|network| network.driver.parent().is_some()) {
        // A container on a segment has the gateway that is in its subnet.
        Some(network) => network
            .subnets
            .iter()
            .filter_map(|subnet| subnet.gateway)
            .any(|gateway| gateway.is_ipv4() == address.is_ipv4()),
        None => leads.any(|gateway| gateway.is_ipv4() == address.is_ipv4()),
    };
    let whole = near.is_some_and(|net| {
        net.prefix_len() + 1 < net.max_prefix_len() && (address == net.network() || address == net.broadcast())
    });
    !special && !own && !inside && !whole && (near.is_some() || routed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that the example's daemon with a list asks from a container, and what of it ought to leave.
    #[test]
    fn ends_are_asked_on_both_sides() {
        let plan = crate::example("atlas");
        let daemon = plan.daemons.values().find(|daemon| daemon.name.as_str() == "web").expect("it has a list");
        let aims = aims(&plan, &[], daemon, &Stand::Itself, &Stations::new(&plan));
        let of = |text: &str, what: What| {
            let address: IpAddr = text.parse().expect("an address");
            aims.iter().find(|aim| aim.address == address && aim.what == what).map(|aim| aim.leaves)
        };
        for (address, what, expected) in [
            ("192.0.2.0", What::Tcp(443), Some(true)),
            ("192.0.2.0", What::Tcp(442), Some(false)),
            ("192.0.2.255", What::Tcp(444), Some(false)),
            ("192.0.2.0", What::Udp(443), Some(false)),
            ("192.0.2.0", What::Echo, Some(false)),
            ("192.0.1.255", What::Tcp(443), Some(false)),
            ("192.0.3.0", What::Tcp(443), Some(false)),
            ("198.51.100.127", What::Udp(8000), Some(false)),
            ("198.51.100.128", What::Udp(7999), Some(false)),
            ("198.51.100.128", What::Udp(8000), Some(true)),
            ("198.51.100.128", What::Udp(8010), Some(true)),
            ("198.51.100.128", What::Udp(8011), Some(false)),
            ("198.51.100.53", What::Udp(53), Some(true)),
            ("198.51.100.53", What::Tcp(53), Some(true)),
            ("198.51.100.53", What::Udp(54), Some(false)),
            ("203.0.113.64", What::Echo, Some(true)),
            ("203.0.113.63", What::Echo, Some(false)),
            ("203.0.113.128", What::Tcp(443), Some(false)),
            ("2001:db8:10::1", What::Tcp(443), Some(true)),
            ("2001:db8:10::1", What::Udp(443), Some(false)),
            // The daemon's own, a broadcast, and what no route leads to.
            ("198.51.100.2", What::Udp(8000), None),
            ("198.51.100.255", What::Udp(8000), None),
            ("2001:db8:11::", What::Tcp(443), None),
        ] {
            assert_eq!(of(address, what), expected, "{address} {what}");
        }
    }

    #[test]
    fn a_shared_daemon_itself_goes_by_the_hosts_gateways() {
        let plan = crate::example("classic-shared");
        let hosts = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
        let gateways: Vec<IpAddr> = hosts.flat_map(|interface| interface.gateways.clone()).collect();
        assert!(gateways.iter().all(IpAddr::is_ipv4) && !gateways.is_empty(), "{gateways:?}");
        for daemon in plan.daemons.values() {
            for (far, expected) in [("100.127.0.9", true), ("2001:db8:fffe::9", false)] {
                let far = far.parse().expect("an address");
                assert_eq!(reaches(&plan, daemon, &Stand::Itself, far), expected, "{} {far}", daemon.name);
            }
        }
    }

    #[test]
    fn a_daemon_without_a_list_asks_what_has_to_leave() {
        let plan = crate::example("two-vlans");
        for daemon in plan.daemons.values() {
            let aims = aims(&plan, &[], daemon, &Stand::Itself, &Stations::new(&plan));
            assert!(!aims.is_empty() && aims.iter().all(|aim| aim.leaves), "{}: {aims:?}", daemon.name);
        }
    }
}
