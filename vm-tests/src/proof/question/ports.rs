//! Which ports are asked: those of the plan, well-known ones, and random ones.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use dmhost_layout::plan::{self, Daemon, Exposed, HostPlan, Isolation, PortRange, Protocol};

/// What the program in a probe container listens on, TCP and UDP.
pub const CONTAINER_PORT: u16 = 8000;
/// How many random TCP ports are asked where not all are.
const RANDOM: usize = 1000;
/// UDP services that answer strangers, by their ports: names, boot, time, names of Windows and of the link, management,
/// keys, logs, routes, tunnels, calls, and what floods are amplified by.
const WELL_KNOWN_UDP: [u16; 38] = [
    7, 19, 53, 67, 68, 69, 111, 123, 137, 138, 161, 177, 389, 427, 500, 514, 520, 546, 547, 623, 1194, 1701, 1900,
    2049, 3478, 3702, 4500, 4789, 5060, 5353, 5355, 6081, 7946, 8472, 11211, 27015, 33434, 51820,
];

/// The ports on which the proof publishes a probe container of a daemon: one of each protocol that the plan lets the
/// network reach, if any, and one that it does not, if any; and one of each entry that it lets some sources reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePorts {
    /// TCP, to be reached.
    pub open: Option<u16>,
    /// TCP, to be silent.
    pub closed: Option<u16>,
    /// UDP, to be reached.
    pub open_udp: Option<u16>,
    /// UDP, to be silent.
    pub closed_udp: Option<u16>,
    /// To be reached by some sources and silent to all others.
    pub limited: Vec<(Protocol, u16)>,
}

/// A TCP port that is published on one address of a daemon alone, as `docker run -p ADDRESS:PORT:..` does. Of a zone with more than one;
/// a shared daemon publishes all by address.
pub fn bound(plan: &HostPlan, daemon: &Daemon) -> Option<(IpAddr, u16)> {
    let addresses = plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr);
    let address = addresses.skip(1).last().filter(|_| daemon.isolation == Isolation::Zone)?;
    let taken = probe_ports(daemon).of(Protocol::Tcp);
    let free = |port: &u16| !taken.contains(port) && daemon.api.as_ref().is_none_or(|api| api.port != *port);
    let port = match &daemon.expose {
        None => (8080..=u16::MAX).find(free),
        Some(listed) => {
            let open = listed.iter().filter(|exposed| exposed.from.is_none());
            open.flat_map(|exposed| exposed.all_of(Protocol::Tcp)).find(free)
        }
    };
    Some((address, port?))
}

/// Sockets that the probe container of a shared daemon takes on the addresses of the next one in the namespace: ports that the network may
/// reach there, and that are not served. Nobody reaches them.
pub fn borrowed(plan: &HostPlan, daemon: &Daemon) -> Vec<(Protocol, SocketAddr)> {
    let shared: Vec<&Daemon> = plan.shared().map(|(_, shared)| shared).collect();
    let next = shared.iter().position(|shared| shared.name == daemon.name).map(|own| (own + 1) % shared.len());
    let Some(next) = next.map(|next| shared[next]).filter(|next| next.name != daemon.name) else { return Vec::new() };
    let addresses: Vec<IpAddr> =
        plan.interfaces_of(next).flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr).collect();
    let probed = probe_ports(next);
    let port = |protocol: Protocol| {
        let taken = probed.of(protocol);
        let free = |port: &u16| !taken.contains(port) && next.api.as_ref().is_none_or(|api| api.port != *port);
        match &next.expose {
            None => (8080..=u16::MAX).find(free),
            Some(listed) => {
                let open = listed.iter().filter(|exposed| exposed.from.is_none());
                open.flat_map(|exposed| exposed.all_of(protocol)).find(free)
            }
        }
    };
    let of = |protocol| port(protocol).into_iter().flat_map(|port| addresses.iter().map(move |ip| (*ip, port)));
    let of = |protocol| of(protocol).map(move |place| (protocol, SocketAddr::from(place)));
    Protocol::ALL.into_iter().flat_map(of).collect()
}

/// The port of the zone's loopback on which a container of a network of the spec is published, where it is reached by its own address:
/// dockerd's rules let nobody through to what is not published at all.
pub fn inner_port(daemon: &Daemon, network: &plan::Network) -> Option<u16> {
    let led = network.subnets.iter().any(|subnet| daemon.routes(subnet.range.addr()));
    let at =
        daemon.networks.iter().filter(|_| led && daemon.isolation == Isolation::Zone).position(|own| own == network)?;
    let api = daemon.api.as_ref().map(|api| api.port);
    let free = |port: &u16| Some(*port) != api && daemon.exposed(Protocol::Tcp, *port).is_none();
    (FIRST_INNER..).filter(free).nth(at)
}

/// Far from those of [`probe_ports`].
const FIRST_INNER: u16 = 18_000;

impl ProbePorts {
    /// All of one protocol.
    pub fn of(&self, protocol: Protocol) -> Vec<u16> {
        let [open, closed] = match protocol {
            Protocol::Tcp => [self.open, self.closed],
            Protocol::Udp => [self.open_udp, self.closed_udp],
        };
        let limited = self.limited.iter().filter(|(own, _)| *own == protocol).map(|(_, port)| *port);
        open.into_iter().chain(closed).chain(limited).collect()
    }
}

/// Ports of the probe container of a daemon.
pub fn probe_ports(daemon: &Daemon) -> ProbePorts {
    let api = daemon.api.as_ref().map(|api| api.port);
    let free =
        |protocol| (8080..=u16::MAX).find(|port| Some(*port) != api && daemon.exposed(protocol, *port).is_none());
    let first = |listed: &[Exposed], protocol| {
        let open = |exposed: &&Exposed| exposed.ports.protocol == protocol && exposed.from.is_none();
        listed.iter().find(open).map(|exposed| exposed.ports.first)
    };
    match &daemon.expose {
        None => ProbePorts {
            open: free(Protocol::Tcp),
            closed: None,
            open_udp: free(Protocol::Udp),
            closed_udp: None,
            limited: Vec::new(),
        },
        Some(listed) => ProbePorts {
            open: first(listed, Protocol::Tcp),
            closed: free(Protocol::Tcp),
            open_udp: first(listed, Protocol::Udp),
            closed_udp: free(Protocol::Udp),
            limited: listed
                .iter()
                .filter(|exposed| exposed.from.is_some())
                .map(|exposed| (exposed.ports.protocol, exposed.ports.first))
                .collect(),
        },
    }
}

/// The ports that are asked where not all are.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Whether every TCP port of the plan's addresses is asked from the wire, and not [`Ports::tcp`] alone.
    pub every: bool,
    /// TCP: whatever is used somewhere on the host, and random ones.
    pub tcp: Vec<u16>,
    /// TCP: whatever is used somewhere on the host.
    pub used: Vec<u16>,
    /// UDP: whatever is used somewhere on the host, and well-known ones.
    pub udp: Vec<u16>,
}

impl Ports {
    /// For a host; the random ones differ from run to run, and a port that answers is named.
    pub fn of(plan: &HostPlan, every: bool) -> Self {
        let (mut tcp, mut udp) = (BTreeSet::from([22, CONTAINER_PORT]), BTreeSet::from(WELL_KNOWN_UDP));
        udp.insert(CONTAINER_PORT);
        for daemon in plan.daemons.values() {
            let probed = probe_ports(daemon);
            tcp.extend(daemon.api.as_ref().map(|api| api.port).into_iter().chain(probed.of(Protocol::Tcp)));
            udp.extend(probed.of(Protocol::Udp));
            tcp.extend(bound(plan, daemon).map(|(_, port)| port));
            for (protocol, place) in borrowed(plan, daemon) {
                match protocol {
                    Protocol::Tcp => tcp.insert(place.port()),
                    Protocol::Udp => udp.insert(place.port()),
                };
            }
            for Exposed { ports: PortRange { protocol, first, last }, .. } in daemon.expose.iter().flatten() {
                match protocol {
                    Protocol::Tcp => tcp.extend(*first..=*last),
                    Protocol::Udp => udp.extend(*first..=*last),
                }
            }
        }
        for expect in &plan.expects {
            match expect.protocol {
                Protocol::Tcp => tcp.insert(expect.port),
                Protocol::Udp => udp.insert(expect.port),
            };
        }
        let used = tcp.iter().copied().collect();
        let (seed, wanted) = (RandomState::new(), (tcp.len() + RANDOM).min(usize::from(u16::MAX)));
        for nth in 0_u64.. {
            if tcp.len() >= wanted {
                break;
            }
            // 1 to 65,535: port 0 is none.
            tcp.insert((seed.hash_one(nth) % 65_535) as u16 + 1);
        }
        Self { every, tcp: tcp.into_iter().collect(), used, udp: udp.into_iter().collect() }
    }
}
