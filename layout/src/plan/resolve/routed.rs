//! `routed`: ranges whose containers have no NAT, each within the daemon's own networks.

use ipnet::IpNet;

use super::addresses::overlap;
use super::links::Link;
use super::owners::Owned;
use super::{Report, addresses, proxied, shared};
use crate::plan::{Driver, Network, Pool};
use crate::spec::words::quoted;
use crate::spec::{At, Daemon, Defaults, Field, HostSpec, List};

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
    if shared::asked(daemon) {
        two_ways(list, links, report);
    }
    if shared::asked(daemon) && daemon.expose.is_absent() && defaults.expose.is_absent() {
        let message = "every port of a routed container of a shared daemon would be reached, published or not";
        let diagnostic = list.place.error("routed-without-expose", message);
        report.push(diagnostic.help("write `expose`, with the ports of its containers that the network may reach"));
    }
    let mut good: Vec<At<IpNet>> = Vec::new();
    for at in daemon.routed.items() {
        let Some(range) = addresses::range(at, "2001:db8:30::/56", report) else { continue };
        let at = at.with(range);
        if let Some(first) = good.iter().find(|other| overlap(other.value, range)) {
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

/// Reports routed ranges that somebody else has too: an interface of the host, or another daemon.
pub(super) fn apart(spec: &HostSpec, links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let mut ranges: Vec<(IpNet, &At<String>, &Daemon)> = Vec::new();
    for daemon in &spec.daemons {
        for at in daemon.routed.items() {
            let Some(range) = at.value.parse::<IpNet>().ok().filter(|range| range.addr().is_ipv6()) else { continue };
            // Of two in the host's namespace it is reported as of their pools.
            let told = |of: &Daemon| shared::asked(daemon) && shared::asked(of);
            let apart = |of: &Daemon| !std::ptr::eq(of, daemon) && !told(of);
            let other = ranges.iter().find(|(other, _, of)| overlap(*other, range) && apart(of));
            if let Some((other, first, of)) = other {
                let message = format!("{range} overlaps {other}, which is routed to daemon {}", quoted(&of.name.value));
                let diagnostic = at.place.error("routed-overlap", message).help("write ranges that are apart");
                report.push(diagnostic.related(first.place.value.clone(), "the first"));
            }
            let asked =
                |(link, owner): (&Link<'_>, &Owned<'_>)| owner.is(daemon) && proxied::is_asked(range, link, daemon);
            let proxied = links.iter().zip(owners).any(asked);
            for (link, owner) in links.iter().zip(owners) {
                // So is what a pool hides of the daemon's own interfaces, and in the host's namespace of those there.
                let elsewhere = match owner {
                    Owned::Host => !shared::asked(daemon),
                    Owned::Daemon(owner) => apart(owner),
                    Owned::Carrier | Owned::Unclear => false,
                };
                if !elsewhere {
                    continue;
                }
                // Who else is on the segment asks for its containers. That none of them is in the range, the network's subnet says.
                let beside = |net: IpNet| proxied && proxied::is_part(range, net);
                let clash = |net: IpNet| overlap(net, range) && !beside(net);
                let subnet = link.addresses.iter().find(|net| clash(net.value.trunc()));
                let gateway = link.gateways.iter().find(|gateway| !proxied && range.contains(&gateway.value));
                let (what, place) = match (subnet, gateway) {
                    (Some(net), _) => (format!("the subnet {}", net.value.trunc()), &net.place),
                    (None, Some(gateway)) => (format!("the gateway {}", gateway.value), &gateway.place),
                    (None, None) => continue,
                };
                let message = format!("{range} overlaps {what} of {}", quoted(link.text()));
                let help = "write a range that no network around the host has";
                let diagnostic = at.place.error("routed-overlap", message).help(help);
                report.push(diagnostic.related(place.value.clone(), "is there already"));
            }
            ranges.push((range, at, daemon));
        }
    }
}

/// Reports a shared daemon whose routed containers would answer through one gateway whatever they were asked through.
fn two_ways(list: &At<List<String>>, links: &[&Link<'_>], report: &mut Report) {
    let leads = |link: &&&Link<'_>| link.gateways.iter().any(|gateway| gateway.value.is_ipv6());
    let mut ways = links.iter().filter(leads);
    if let (Some(first), Some(second)) = (ways.next(), ways.next()) {
        let message = format!(
            "routed containers of a shared daemon answer through the gateway of {} alone, and {} has one too",
            quoted(first.text()),
            quoted(second.text())
        );
        let help = "leave one of the IPv6 gateways out, or `isolation`: a zone answers through the one that it was asked through";
        report.push(list.place.error("routed-two-gateways", message).help(help));
    }
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
    let internal = networks.iter().filter(|network| network.internal);
    let closed = internal.flat_map(|network| network.subnets.iter().map(move |subnet| (network, subnet.range)));
    for (network, subnet) in closed.filter(|(_, subnet)| overlap(*subnet, at.value)) {
        let message = format!("{} overlaps {subnet} of the internal network {}", at.value, quoted(&network.name));
        let help = "leave its subnet out of `routed`: an internal network reaches nothing but itself, and is reached by nothing";
        report.push(at.place.error("routed-internal", message).help(help));
    }
    let behind = networks.iter().filter(|network| network.driver == Driver::Bridge);
    let mut subnets = behind.flat_map(|network| &network.subnets).map(|subnet| subnet.range);
    if subnets.any(|subnet| subnet.contains(&at.value)) {
        return speaks(at, links, report);
    }
    if let Some(pool) = pools.iter().find(|pool| pool.base.contains(&at.value)) {
        if at.value.prefix_len() <= pool.size {
            return speaks(at, links, report);
        }
        let message =
            format!("{} is less than a network of the pool {}, which has /{}", at.value, pool.base, pool.size);
        let help = format!("write a prefix length of at most {}", pool.size);
        report.push(at.place.error("routed-too-small", message).help(help));
        return;
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
