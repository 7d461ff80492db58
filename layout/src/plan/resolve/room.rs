//! Room in a network: Docker gives some of its addresses to no container.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Report;
use crate::engine::{Reader, Versions};
use crate::plan::Subnet;
use crate::spec;

/// Engines that keep the first and the last address of every IPv4 subnet; later ones do not in a /31 and a /32 (`newPoolData` of
/// moby's libnetwork/ipam/allocator.go).
const ALWAYS_EDGES: Versions = Versions::until(24);

/// Reports subnets of which no container would get an address.
pub(super) fn check(spec: &spec::Network, subnets: &[Subnet], reader: Reader<'_>, report: &mut Report) {
    for Subnet { range, gateway, ip_range } in subnets.iter().copied() {
        let from = ip_range.unwrap_or(range);
        let edges = edges(range, reader.has(ALWAYS_EDGES));
        let all = from.subnets(from.max_prefix_len()).into_iter().flatten().map(|one| one.addr());
        let free = all.filter(|address| !edges.contains(&Some(*address)) && gateway != Some(*address));
        // A gateway that is not written is one of them.
        if free.take(2).count() > usize::from(gateway.is_none()) {
            continue;
        }
        let written = if ip_range.is_some() { &spec.ip_ranges } else { &spec.subnets };
        let Some(at) = written.items().iter().find(|at| at.value.parse() == Ok(from)) else { continue };
        let first =
            if range.addr().is_ipv4() { ", the subnet's first and its last" } else { " and the subnet's first" };
        let message = format!("no container gets an address of {from}: the gateway's{first} are not given away");
        report.push(
            at.place.error("network-subnet", message).help("write a larger range, such as a /24, or a /64 of IPv6"),
        );
    }
}

/// The addresses of a subnet that Docker gives to nobody.
fn edges(range: IpNet, always: bool) -> [Option<IpAddr>; 2] {
    match range {
        IpNet::V4(net) if always || net.prefix_len() < 31 => [Some(range.network()), Some(range.broadcast())],
        IpNet::V4(_) => [None, None],
        IpNet::V6(_) => [Some(range.network()), None],
    }
}
