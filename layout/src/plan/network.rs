//! Docker networks that a daemon makes when it starts.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{Interface, InterfaceName};

/// A Docker network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name: letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// What its containers are on.
    pub driver: Driver,
    /// Whether its containers reach nothing but each other.
    pub internal: bool,
    /// Whether it has IPv6 beside IPv4.
    pub ipv6: bool,
    /// Its subnets, at most one of each IP version; without one, Docker takes it from the pools.
    pub subnets: Vec<Subnet>,
    /// `KEY=VALUE`, in the order of the spec.
    pub labels: Vec<String>,
}

/// Docker's driver of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// A bridge where the daemon's links are.
    Bridge,
    /// An interface of the daemon: containers are on its segment, each with a MAC address of its own.
    Macvlan {
        /// The interface.
        parent: InterfaceName,
    },
    /// The same, with the interface's MAC address.
    Ipvlan {
        /// The interface.
        parent: InterfaceName,
    },
}

impl Driver {
    /// The names in a spec.
    pub const NAMES: [&str; 3] = ["bridge", "macvlan", "ipvlan"];

    /// The name in a spec, and for Docker.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
        }
    }

    /// The interface whose segment containers are on; `None`: they are behind the daemon.
    pub fn parent(&self) -> Option<&InterfaceName> {
        match self {
            Self::Bridge => None,
            Self::Macvlan { parent } | Self::Ipvlan { parent } => Some(parent),
        }
    }
}

/// A subnet of a Docker network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The range, without host bits.
    pub range: IpNet,
    /// The bridge's own address in it, or on a segment its gateway; `None`: Docker takes the first.
    pub gateway: Option<IpAddr>,
    /// Where containers get their addresses from; `None`: the whole range, and never so on a segment.
    pub ip_range: Option<IpNet>,
}

impl Network {
    /// The ranges that containers on a segment have their addresses from; none of a bridge.
    pub fn on_segment(&self) -> Vec<IpNet> {
        let ranges = self.subnets.iter().map(|subnet| subnet.ip_range.unwrap_or(subnet.range));
        self.driver.parent().map(|_| ranges.collect()).unwrap_or_default()
    }

    /// Its IPv6 subnet with the addresses of containers, where it is part of this interface's subnet: neighbours there ask for
    /// them, and no router leads to them.
    pub fn proxied_on(&self, interface: &Interface) -> Option<(IpNet, Vec<Ipv6Addr>)> {
        let within = |subnet: &&Subnet| {
            subnet.range.addr().is_ipv6() && interface.addresses.iter().any(|net| net.trunc().contains(&subnet.range))
        };
        let subnet = self.subnets.iter().find(within).filter(|_| self.driver == Driver::Bridge)?;
        let IpNet::V6(range) = subnet.ip_range.unwrap_or(subnet.range) else { return None };
        // The network's own address is every router's (RFC 4291 section 2.6.1), and the bridge is no container.
        let not = [Some(subnet.range.addr()), subnet.gateway];
        let all = (u128::from(range.network())..=u128::from(range.broadcast())).map(Ipv6Addr::from);
        Some((subnet.range, all.filter(|address| !not.contains(&Some((*address).into()))).collect()))
    }

    /// The network in one line: what a label of it says, so that another definition under the same name is seen.
    pub fn definition(&self) -> String {
        let Self { name: _, driver, internal, ipv6, subnets, labels } = self;
        let mut text = format!("internal={internal} ipv6={ipv6}");
        // What a bridge's label says is what earlier versions gave it.
        if let Some(parent) = driver.parent() {
            text = format!("driver={} parent={parent} {text}", driver.as_str());
        }
        for Subnet { range, gateway, ip_range } in subnets {
            text.push_str(&format!(" subnet={range}"));
            if let Some(gateway) = gateway {
                text.push_str(&format!(" gateway={gateway}"));
            }
            if let Some(ip_range) = ip_range {
                text.push_str(&format!(" ip-range={ip_range}"));
            }
        }
        for label in labels {
            text.push_str(&format!(" label={label}"));
        }
        text
    }
}
