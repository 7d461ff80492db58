//! Networks of containers within the IPv6 subnet of their daemon's interface: neighbours there ask for each container, and the
//! daemon's namespace answers for it. No router knows of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::links::Link;
use super::segments::Terms;
use super::{Report, ranges};
use crate::plan::Subnet;
use crate::spec::{self, Daemon};

/// How many addresses of a network are answered for: the kernel has an entry for each, and a multicast group joined.
const MOST: u32 = 1024;

/// Whether a network within the subnet of an interface is meant to be: its daemon has it in `routed`.
pub(super) fn is_asked(net: IpNet, link: &Link<'_>, daemon: &Daemon) -> bool {
    let routed = || daemon.routed.items().iter().filter_map(|at| at.value.parse::<IpNet>().ok());
    link.addresses.iter().any(|own| is_part(net, own.value.trunc())) && routed().any(|range| range == net)
}

/// Whether a network is a part of an interface's IPv6 subnet, and not all of it: so it can be meant to be.
pub(super) fn is_part(net: IpNet, subnet: IpNet) -> bool {
    net.addr().is_ipv6() && subnet.contains(&net) && subnet.prefix_len() < net.prefix_len()
}

/// The subnets of a network with what is decided of those that are proxied; `None` if one cannot be.
pub(super) fn read(
    spec: &spec::Network,
    subnets: Vec<Subnet>,
    terms: Terms<'_, '_>,
    report: &mut Report,
) -> Option<Vec<Subnet>> {
    let before = report.len();
    let subnets = subnets
        .into_iter()
        .map(|subnet| {
            let asked = terms.own.iter().any(|link| is_asked(subnet.range, link, terms.daemon));
            if asked { one(spec, subnet, terms, report) } else { subnet }
        })
        .collect();
    (report.len() == before).then_some(subnets)
}

fn one(spec: &spec::Network, subnet: Subnet, terms: Terms<'_, '_>, report: &mut Report) -> Subnet {
    let is = |text: &str, net: IpNet| text.parse() == Ok(net);
    let Some(at) = spec.subnets.items().iter().find(|at| is(&at.value, subnet.range)) else { return subnet };
    let range = subnet.ip_range.unwrap_or(subnet.range);
    let place = subnet.ip_range.and_then(|range| spec.ip_ranges.items().iter().find(|at| is(&at.value, range)));
    let place = place.unwrap_or(at);
    let bits = range.max_prefix_len() - range.prefix_len();
    if u32::from(bits) > MOST.ilog2() {
        let message =
            format!("neighbours would be answered for every address of {range}, and that is for {MOST} at most");
        let example = IpNet::new(range.addr(), 120).map(|net| net.to_string()).unwrap_or_default();
        let help = format!("write which addresses are containers': `ip-range = \"{example}\"`");
        report.push(place.place.error("network-proxied-size", message).help(help));
    }
    // The bridge's route is for all of it: nobody else's address may be in there.
    ranges::free(&at.with(subnet.range), terms.all, report);
    // Docker would take the first of `ip-range`.
    let first = match subnet.range {
        IpNet::V4(net) => Ipv4Addr::from(u32::from(net.network()) + 1).into(),
        IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()) + 1).into(),
    };
    Subnet { gateway: subnet.gateway.or(Some(first)), ..subnet }
}
