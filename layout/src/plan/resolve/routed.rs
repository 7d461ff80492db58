//! `routed`: ranges whose containers have no NAT, each within the daemon's own networks.

use ipnet::IpNet;

use super::links::Link;
use super::{Report, addresses, shared};
use crate::plan::{Network, Pool};
use crate::spec::{At, Daemon, Defaults, Field};

/// Reads `routed`; `None` if part of it cannot be read.
pub(super) fn read(
    daemon: &Daemon,
    defaults: &Defaults,
    links: &[&Link<'_>],
    pools: Option<&[Pool]>,
    networks: Option<&[Network]>,
    report: &mut Report,
) -> Option<Vec<IpNet>> {
    let list = match &daemon.routed {
        Field::Absent => return Some(Vec::new()),
        Field::Bad => return None,
        Field::Given(list) => list,
    };
    addresses::not_empty(&daemon.routed, "routed", report);
    if shared::asked(daemon) && daemon.expose.is_absent() && defaults.expose.is_absent() {
        let message = "every port of a routed container of a shared daemon would be reached, published or not";
        let diagnostic = list.place.error("routed-without-expose", message);
        report.push(diagnostic.help("write `expose`, with the ports of its containers that the network may reach"));
    }
    let mut good: Vec<At<IpNet>> = Vec::new();
    for at in daemon.routed.items() {
        let Some(range) = addresses::range(at, "2001:db8:30::/56", report) else { continue };
        let at = at.with(range);
        if let Some(first) = good.iter().find(|other| other.value.contains(&range) || range.contains(&other.value)) {
            let message = format!("{range} overlaps {}", first.value);
            let diagnostic = at.place.error("routed-overlap", message).help("leave the smaller one out");
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        } else if range.addr().is_ipv4() {
            let message = format!("{range} is IPv4: its containers leave with their daemon's address");
            report.push(at.place.error("routed-ipv4", message).help("write IPv6 ranges alone"));
        } else {
            inside(&at, pools, networks, links, report);
        }
        good.push(at);
    }
    (daemon.routed.is_complete() && good.len() == daemon.routed.items().len())
        .then(|| good.into_iter().map(|at| at.value).collect())
}

/// Reports a range that no network of the daemon is in.
fn inside(
    at: &At<IpNet>,
    pools: Option<&[Pool]>,
    networks: Option<&[Network]>,
    links: &[&Link<'_>],
    report: &mut Report,
) {
    let (Some(pools), Some(networks)) = (pools, networks) else { return };
    let subnets = networks.iter().flat_map(|network| &network.subnets).map(|subnet| subnet.range);
    if pools.iter().map(|pool| pool.base).chain(subnets).any(|range| range.contains(&at.value)) {
        return speaks(at, links, report);
    }
    let message = format!("{} is in no pool and no network of the daemon", at.value);
    let help = format!(
        "write it into `pools` too, or the subnet of a network that holds it: `pools = [\"172.28.0.0/14\", \"{}\"]`",
        at.value
    );
    report.push(at.place.error("routed-outside", message).help(help));
}

/// Warns of a range that no router can lead to.
fn speaks(at: &At<IpNet>, links: &[&Link<'_>], report: &mut Report) {
    let known = !links.is_empty() && links.iter().all(|link| link.complete);
    if known && !links.iter().flat_map(|link| &link.addresses).any(|own| own.value.addr().is_ipv6()) {
        let message = format!("no router leads to {}: the daemon has no IPv6 address", at.value);
        let help = "give its interface an IPv6 address, or leave it out";
        report.push(at.place.error("routed-never-matches", message).as_warning().help(help));
    }
}
