//! A daemon: how it is kept apart, where it answers, what it publishes, and where its networks' addresses come from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{DaemonName, Driver, InterfaceName, Network, Resources, Subnet};

/// `api.port` if a spec has none: what Docker's documentation uses for TLS.
pub const DEFAULT_API_PORT: u16 = 2376;

/// The same of an API in plain text.
pub const DEFAULT_PLAIN_PORT: u16 = 2375;

/// `pools` of a daemon that has none, IPv4. The same in every zone, so that a further daemon moves no network.
pub const DEFAULT_POOL_V4: Pool =
    Pool { base: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 28, 0, 0), 14)), size: 24 };

/// `pools` of a daemon that has none, IPv6: a unique local range (RFC 4193) whose global ID spells `dmhos`.
pub const DEFAULT_POOL_V6: Pool =
    Pool { base: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd64, 0x6d68, 0x6f73, 0, 0, 0, 0, 0), 48)), size: 64 };

/// One Docker daemon with all that is its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// Its name, from which its paths and units follow.
    pub name: DaemonName,
    /// How it is kept apart.
    pub isolation: Isolation,
    /// Its interfaces, at least one, in the order of the spec.
    pub interfaces: Vec<InterfaceName>,
    /// Its API over TCP; `None`: unix socket only.
    pub api: Option<Api>,
    /// Published ports the network may reach; `None`: whatever Docker publishes; empty: nothing.
    pub expose: Option<Vec<Exposed>>,
    /// Where it and its containers may begin connections to, besides their name servers; `None`: anywhere; empty: nowhere.
    pub egress: Option<Vec<Destination>>,
    /// Docker's address pools.
    pub pools: Vec<Pool>,
    /// IPv6 ranges of its networks whose containers have no NAT.
    pub routed: Vec<IpNet>,
    /// Whether containers survive their daemon.
    pub live_restore: bool,
    /// The most its subvolume may hold, in bytes; `None`: the whole disk.
    pub quota: Option<u64>,
    /// What it and its containers may use of the machine.
    pub resources: Resources,
    /// Docker networks it makes when it starts.
    pub networks: Vec<Network>,
    /// Further keys of daemon.json, none of which dmhost owns: `[defaults]` merged under the daemon's own.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// How a daemon is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a network namespace of its own.
    Zone,
    /// In the host's, on a bridge of its own.
    Shared,
}

impl Isolation {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Zone, Self::Shared];

    /// The name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Shared => "shared",
        }
    }
}

/// A daemon's API over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// TCP port, 2376 unless the spec says otherwise.
    pub port: u16,
    /// Every address it listens on: all of its interfaces', unless the spec chose some.
    pub addresses: Vec<IpAddr>,
    /// DNS names in its certificate.
    pub names: Vec<String>,
    /// Who may connect; `None`: any source on its interfaces. Exhaustive over both IP versions.
    pub from: Option<Vec<IpNet>>,
    /// Mutual TLS. `false`: plain text, and whoever connects is root.
    pub tls: bool,
}

/// Published ports that the network may reach, and who there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The ports, before Docker maps them.
    pub ports: PortRange,
    /// Who may reach them; `None`: any source on the daemon's interfaces. Exhaustive over both IP versions.
    pub from: Option<Vec<IpNet>>,
}

impl Exposed {
    /// Its ports, if they are of this protocol.
    pub fn all_of(&self, protocol: Protocol) -> impl Iterator<Item = u16> + use<> {
        let PortRange { first, last, .. } = self.ports;
        (self.ports.protocol == protocol).then_some(first..=last).into_iter().flatten()
    }
}

/// Addresses that may be reached, and what of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// The addresses.
    pub net: IpNet,
    /// Their ports; `None`: everything there, echo included.
    pub ports: Option<PortRange>,
}

/// A range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// First port, from 1.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl fmt::Display for PortRange {
    /// As a spec has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, first, last } = self;
        let protocol = protocol.as_str();
        if first == last { write!(f, "{first}/{protocol}") } else { write!(f, "{first}-{last}/{protocol}") }
    }
}

impl PortRange {
    /// Whether a port of a protocol is in it.
    pub fn has(self, protocol: Protocol, port: u16) -> bool {
        self.protocol == protocol && (self.first..=self.last).contains(&port)
    }
}

/// A transport with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// The name in a spec and in nft.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A range that Docker takes its networks' subnets from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The whole range.
    pub base: IpNet,
    /// Prefix length of each network taken from it.
    pub size: u8,
}

impl Pool {
    /// The address of the bridge on the first network that is taken from it.
    pub fn first_bridge(&self) -> IpNet {
        match self.base {
            IpNet::V4(base) => {
                let first = base.hosts().next().unwrap_or(base.network());
                Ipv4Net::new(first, self.size).map_or(self.base, IpNet::V4)
            }
            IpNet::V6(base) => {
                let first = Ipv6Addr::from(u128::from(base.network()) + 1);
                Ipv6Net::new(first, self.size).map_or(self.base, IpNet::V6)
            }
        }
    }
}

impl Daemon {
    /// The unit that makes ready where the daemon's links are: its zone, or its bridge.
    pub fn home_service(&self) -> String {
        match self.isolation {
            Isolation::Zone => self.name.zone_service(),
            Isolation::Shared => self.name.bridge_service(),
        }
    }

    /// Its API with mutual TLS, for which there are certificates.
    pub fn tls_api(&self) -> Option<&Api> {
        self.api.as_ref().filter(|api| api.tls)
    }

    /// Whether a container with this address leaves with it and is reached by it.
    pub fn routes(&self, address: IpAddr) -> bool {
        self.routed.iter().any(|range| range.contains(&address))
    }

    /// The entry of `expose` that has a port, if there is a list and it does.
    pub fn exposed(&self, protocol: Protocol, port: u16) -> Option<&Exposed> {
        self.expose.iter().flatten().find(|exposed| exposed.ports.has(protocol, port))
    }

    /// Subnets of its networks on bridges, as far as the spec has them.
    pub fn behind(&self) -> impl Iterator<Item = &Subnet> {
        self.networks.iter().filter(|network| network.driver == Driver::Bridge).flat_map(|network| &network.subnets)
    }

    /// The ranges that its containers' addresses are in: its pools, and what its networks on bridges have outside of them.
    pub fn ranges(&self) -> Vec<IpNet> {
        let pools: Vec<IpNet> = self.pools.iter().map(|pool| pool.base).collect();
        let outside =
            self.behind().map(|subnet| subnet.range).filter(|range| !pools.iter().any(|pool| pool.contains(range)));
        pools.iter().copied().chain(outside).collect()
    }
}
