//! Docker networks that a daemon makes when it starts.

use std::net::IpAddr;

use ipnet::IpNet;

/// A Docker network with the driver `bridge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name: letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// Whether its containers reach nothing but each other.
    pub internal: bool,
    /// Whether it has IPv6 beside IPv4.
    pub ipv6: bool,
    /// Its subnets, at most one of each IP version; without one, Docker takes it from the pools.
    pub subnets: Vec<Subnet>,
    /// `KEY=VALUE`, in the order of the spec.
    pub labels: Vec<String>,
}

/// A subnet of a Docker network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The range, without host bits.
    pub range: IpNet,
    /// The bridge's own address in it; `None`: Docker takes the first.
    pub gateway: Option<IpAddr>,
    /// Where containers get their addresses from; `None`: the whole range.
    pub ip_range: Option<IpNet>,
}

impl Network {
    /// The network in one line: what a label of it says, so that another definition under the same name is seen.
    pub fn definition(&self) -> String {
        let Self { name: _, internal, ipv6, subnets, labels } = self;
        let mut text = format!("internal={internal} ipv6={ipv6}");
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
