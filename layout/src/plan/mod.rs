//! The plan: a spec with every default, name, address, path and port decided.
//!
//! Plan types have no spans and no options that mean "default": what stands here is what will be. They are made by
//! [`resolve()`], which is the last place that can refuse.

mod budget;
mod daemon;
mod expect;
mod host_file;
mod names;
mod network;
mod resolve;
pub mod settings;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::engine::Version;

pub use budget::{LEAST_MEMORY, LEAST_QUOTA, LEAST_TASKS, MOST_MEMORY, MOST_TASKS, Resources};
pub use daemon::{
    Api, DEFAULT_API_PORT, DEFAULT_PLAIN_PORT, DEFAULT_POOL_V4, DEFAULT_POOL_V6, Daemon, Destination, Exposed,
    Isolation, Pool, PortRange, Protocol,
};
pub use expect::{Expect, Target, Vantage, Verdict};
pub use host_file::{FileOwner, HostFile};
pub use names::{BadDaemonName, BadInterfaceName, BadMacAddress, DaemonName, InterfaceName, MacAddress};
pub use network::{Driver, Network, Subnet};
pub(crate) use resolve::plan_from_document;
pub use resolve::{plan_from_bytes, plan_from_toml, resolve};

/// `host.disk` if a spec has none, in bytes: 16 GiB.
pub const DEFAULT_DISK: u64 = 16 << 30;

/// The smallest `host.disk`, in bytes: 2 GiB.
pub const LEAST_DISK: u64 = 2 << 30;

/// The routing table of the first daemon in the host's namespace: above those that the kernel and iproute2 name (253 to 255).
const FIRST_TABLE: u32 = 1001;
/// Where several daemons have tables in one namespace, and an interface has one as well.
const FIRST_TABLE_OF_A_LINK: u32 = 2001;

/// A whole host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostPlan {
    /// What concerns the machine itself.
    pub host: Host,
    /// Every interface by name.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
    /// Every daemon by name.
    pub daemons: BTreeMap<DaemonName, Daemon>,
    /// The user's own lines of the proof, in the order of the spec.
    pub expects: Vec<Expect>,
}

/// The machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The host name: one DNS label, lower case.
    pub name: String,
    /// The operating system it is made from.
    pub base: Base,
    /// Whose Docker it has.
    pub engine: Engine,
    /// Which of the base's kernels.
    pub kernel: Kernel,
    /// The smallest disk it must fit, in bytes.
    pub disk: u64,
    /// Who may log in, and where.
    pub admin: Option<Admin>,
    /// Debian packages besides the recipe's.
    pub packages: Vec<String>,
    /// Files besides dmhost's own.
    pub files: Vec<HostFile>,
}

/// The recipe of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// Debian 12: Linux 6.1, systemd 252.
    Debian12,
    /// Debian 13: Linux 6.12, systemd 257.
    Debian13,
}

impl Base {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Debian12, Self::Debian13];

    /// The name in a spec, which is the stem of the recipe's file too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debian12 => "debian-12",
            Self::Debian13 => "debian-13",
        }
    }

    /// Whether its btrfs has simple quotas, which came with Linux 6.7 (btrfs(5)).
    pub fn has_simple_quotas(self) -> bool {
        match self {
            Self::Debian12 => false,
            Self::Debian13 => true,
        }
    }
}

/// Whose packages of the Docker engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// Debian's own.
    #[default]
    DockerIo,
    /// Docker's, from its own repository.
    DockerCe,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::DockerIo, Self::DockerCe];

    /// The name in a spec and in a recipe, which is that of the package with dockerd.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerIo => "docker.io",
            Self::DockerCe => "docker-ce",
        }
    }

    /// The version that a base has of it.
    pub fn version(self, base: Base) -> Version {
        match (self, base) {
            (Self::DockerIo, Base::Debian12) => Version::V20_10,
            (Self::DockerIo, Base::Debian13) => Version::V26_1,
            (Self::DockerCe, _) => Version::V28_5,
        }
    }
}

/// Which kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Drivers for hardware and virtual machines.
    Generic,
    /// Virtual machines only; about a third of the size.
    Cloud,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Generic, Self::Cloud];

    /// The name in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Cloud => "cloud",
        }
    }
}

/// The administrator's way in: sshd on one interface, keys only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The account, `root` unless the spec says otherwise.
    pub user: String,
    /// The one interface sshd answers on: one of the host's own.
    pub interface: InterfaceName,
    /// Lines of `authorized_keys`.
    pub authorized_keys: Vec<String>,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name on the host, or in its daemon's namespace.
    pub name: InterfaceName,
    /// What it is.
    pub kind: InterfaceKind,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one of each IP version. What a daemon asks for itself takes the first in the order of its
    /// interfaces.
    pub gateways: Vec<IpAddr>,
    /// Whether its IPv6 default route is learnt from router advertisements: then it is the only one of its namespace.
    pub accept_ra: bool,
    /// Name servers reached through it.
    pub dns: Vec<IpAddr>,
    /// Who has it.
    pub owner: Owner,
}

impl Interface {
    /// Whether a router leads beyond its subnets in this IP version: a gateway, or one that is learnt.
    pub fn leads_out(&self, v4: bool) -> bool {
        self.gateways.iter().any(|gateway| gateway.is_ipv4() == v4) || (self.accept_ra && !v4)
    }

    /// The same in either IP version.
    pub fn is_routed(&self) -> bool {
        [true, false].into_iter().any(|v4| self.leads_out(v4))
    }
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceKind {
    /// A network card.
    Nic(NicMatch),
    /// An 802.1Q VLAN.
    Vlan {
        /// The NIC that carries its tagged frames.
        parent: InterfaceName,
        /// VID, 1 to 4094.
        id: u16,
    },
}

/// How a NIC is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NicMatch {
    /// By its permanent MAC address.
    Mac(MacAddress),
    /// By udev's `ID_PATH`, for example `pci-0000:00:03.0`.
    Path(String),
    /// By the name the kernel or udev gives it without dmhost.
    Name(String),
}

/// Who has an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The host's own namespace.
    Host,
    /// This daemon; its isolation tells in which namespace the interface is.
    Daemon(DaemonName),
    /// Nobody: it carries VLANs, and its untagged side is silent.
    Carrier,
}

impl Host {
    /// The version of its engine.
    pub fn engine_version(&self) -> Version {
        self.engine.version(self.base)
    }
}

impl HostPlan {
    /// The daemons in the host's namespace, each with the number of its routing table and of the rules that lead there.
    pub fn shared(&self) -> impl Iterator<Item = (u32, &Daemon)> {
        (FIRST_TABLE..).zip(self.daemons.values().filter(|daemon| daemon.isolation == Isolation::Shared))
    }

    /// Whether the API of a daemon answers on all of its addresses.
    pub fn answers_everywhere(&self, daemon: &Daemon, api: &Api) -> bool {
        let all = self.interfaces_of(daemon).flat_map(|interface| &interface.addresses);
        all.map(IpNet::addr).all(|address| api.addresses.contains(&address))
    }

    /// The interfaces of a daemon that have a routing table of their own, each with the table's number in its namespace: all that it
    /// has, where more than one leads to a gateway. A reply leaves by the interface that was asked.
    ///
    /// A route that is learnt is in the namespace's main table, which is asked where these have none: it is the only one of IPv6.
    pub fn routing_tables<'a>(&'a self, daemon: &'a Daemon) -> Vec<(u32, &'a Interface)> {
        let routed = self.interfaces_of(daemon).filter(|interface| !interface.gateways.is_empty()).count();
        if routed < 2 {
            return Vec::new();
        }
        match daemon.isolation {
            Isolation::Zone => (FIRST_TABLE..).zip(self.interfaces_of(daemon)).collect(),
            Isolation::Shared => {
                let all = self.shared().flat_map(|(_, daemon)| self.interfaces_of(daemon));
                let own = |(_, interface): &(u32, &Interface)| daemon.interfaces.contains(&interface.name);
                (FIRST_TABLE_OF_A_LINK..).zip(all).filter(own).collect()
            }
        }
    }

    /// Whether an interface is in the host's namespace with addresses: the host's own, or a shared daemon's.
    pub fn speaks_in_host(&self, interface: &Interface) -> bool {
        match &interface.owner {
            Owner::Host => true,
            Owner::Daemon(name) => self.daemons[name].isolation == Isolation::Shared,
            Owner::Carrier => false,
        }
    }

    /// The daemon's interfaces, in the order of the spec.
    pub fn interfaces_of<'a>(&'a self, daemon: &'a Daemon) -> impl Iterator<Item = &'a Interface> {
        daemon.interfaces.iter().map(|name| &self.interfaces[name])
    }

    /// Whether an interface of the daemon has an IPv6 address: without one, IPv6 in containers leads nowhere.
    pub fn speaks_ipv6(&self, daemon: &Daemon) -> bool {
        self.interfaces_of(daemon).flat_map(|interface| &interface.addresses).any(|net| net.addr().is_ipv6())
    }

    /// The VLANs on `parent`, in VID order.
    pub fn vlans_of(&self, parent: &InterfaceName) -> Vec<(u16, &Interface)> {
        let mut vlans: Vec<_> = self
            .interfaces
            .values()
            .filter_map(|interface| match &interface.kind {
                InterfaceKind::Vlan { parent: on, id } if on == parent => Some((*id, interface)),
                InterfaceKind::Vlan { .. } | InterfaceKind::Nic(_) => None,
            })
            .collect();
        vlans.sort_by_key(|(id, _)| *id);
        vlans
    }

    /// The NIC whose frames an interface's are: itself, or a VLAN's parent.
    pub fn nic_of<'a>(&'a self, interface: &'a Interface) -> &'a Interface {
        match &interface.kind {
            InterfaceKind::Nic(_) => interface,
            InterfaceKind::Vlan { parent, .. } => &self.interfaces[parent],
        }
    }

    /// The ranges whose containers speak on an interface with their own addresses.
    pub fn routed_on(&self, interface: &Interface) -> &[IpNet] {
        match &interface.owner {
            Owner::Daemon(name) if interface.addresses.iter().any(|net| net.addr().is_ipv6()) => {
                &self.daemons[name].routed
            }
            Owner::Daemon(_) | Owner::Host | Owner::Carrier => &[],
        }
    }

    /// The network whose containers are on an interface's segment, if there is one.
    pub fn network_on(&self, interface: &Interface) -> Option<&Network> {
        match &interface.owner {
            Owner::Daemon(name) => {
                self.daemons[name].networks.iter().find(|network| network.driver.parent() == Some(&interface.name))
            }
            Owner::Host | Owner::Carrier => None,
        }
    }

    /// The subnets of containers that their neighbours on an interface ask for, with the addresses that are answered for.
    pub fn proxied_on(&self, interface: &Interface) -> Vec<(IpNet, Vec<Ipv6Addr>)> {
        match &interface.owner {
            Owner::Daemon(name) => {
                self.daemons[name].networks.iter().filter_map(|network| network.proxied_on(interface)).collect()
            }
            Owner::Host | Owner::Carrier => Vec::new(),
        }
    }

    /// The interfaces that a router leads a daemon's routed ranges to; none if it has no such ranges.
    pub fn routed_by<'p>(&'p self, daemon: &'p Daemon) -> Vec<&'p InterfaceName> {
        let led = self.interfaces_of(daemon).filter(|interface| !self.routed_on(interface).is_empty());
        led.map(|interface| &interface.name).collect()
    }

    /// The MAC address an interface's frames carry, where the spec tells it.
    pub fn mac_of(&self, interface: &Interface) -> Option<MacAddress> {
        match &self.nic_of(interface).kind {
            InterfaceKind::Nic(NicMatch::Mac(mac)) => Some(*mac),
            InterfaceKind::Nic(NicMatch::Path(_) | NicMatch::Name(_)) | InterfaceKind::Vlan { .. } => None,
        }
    }
}
