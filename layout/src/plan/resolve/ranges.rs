//! Ranges of containers that neighbours on a segment ask for: `ip-range` of a network there, and a bridge's subnet that is part of
//! the interface's. Docker gives their addresses away and asks nobody, so nobody else's are in one.

use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::owners::Owned;
use super::{Report, addresses, proxied};
use crate::spec::words::quoted;
use crate::spec::{At, Daemon, HostSpec};

/// Reports a range of containers with addresses that the spec gives to somebody else: each once, whoever has it.
pub(super) fn free(range: &At<IpNet>, all: &[Link<'_>], report: &mut Report) {
    let mut told: Vec<IpAddr> = Vec::new();
    for link in all {
        let own = link.addresses.iter().map(|at| (at.value.addr(), "an address", &at.place));
        let gateways = link.gateways.iter().map(|at| (at.value, "the gateway", &at.place));
        let dns = link.dns.iter().map(|at| (at.value, "a name server", &at.place));
        for (address, what, place) in own.chain(gateways).chain(dns).filter(|(ip, ..)| range.value.contains(ip)) {
            if told.contains(&address) {
                continue;
            }
            told.push(address);
            let message = format!("{} holds {address}, {what} of {}", range.value, quoted(link.text()));
            let diagnostic = range.place.error("network-segment-range", message);
            let diagnostic = diagnostic.help("write a part of the subnet that nobody else has");
            report.push(diagnostic.related(place.value.clone(), "the address"));
        }
    }
}

/// A range of containers that neighbours on a segment ask for by their own addresses.
struct Range<'s> {
    net: IpNet,
    at: &'s At<String>,
    daemon: &'s Daemon,
    bridge: bool,
}

/// Reports ranges that two networks have, of which Docker would give the same addresses away. Interfaces with one subnet are on
/// one segment.
pub(super) fn apart(spec: &HostSpec, links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let mut before: Vec<Range<'_>> = Vec::new();
    for range in spec.daemons.iter().flat_map(|daemon| ranges(daemon, links, owners)) {
        let Range { net, at, daemon, bridge } = range;
        // Two bridges are reported as of their subnets or of `routed`, and two networks on the interfaces of one daemon as of
        // those: they are on one interface, or on two with one subnet.
        let told = |first: &Range<'_>| first.bridge == bridge && (bridge || std::ptr::eq(first.daemon, daemon));
        if let Some(first) = before.iter().find(|first| addresses::overlap(first.net, net) && !told(first)) {
            let owner = quoted(&first.daemon.name.value);
            let message = format!("{net} overlaps {}, which are containers' of daemon {owner}", first.net);
            let diagnostic = at.place.error("network-segment-range", message);
            let diagnostic = diagnostic.help("write a part of the subnet that nobody else has");
            report.push(diagnostic.related(first.at.place.value.clone(), "the first"));
        }
        before.push(range);
    }
}

/// The ranges of a daemon's containers on segments: `ip-range` of a network there, and of a bridge the subnet that is asked for.
fn ranges<'s>(daemon: &'s Daemon, links: &[Link<'_>], owners: &[Owned<'_>]) -> Vec<Range<'s>> {
    let own = || links.iter().zip(owners).filter(|(_, owner)| owner.is(daemon));
    let asked = |net| own().any(|(link, _)| proxied::is_asked(net, link, daemon));
    let mut ranges = Vec::new();
    for network in daemon.networks.items() {
        let bridge = network.value.driver.given().is_none_or(|at| at.value == "bridge");
        let list = if bridge { &network.value.subnets } else { &network.value.ip_ranges };
        let nets = list.items().iter().filter_map(|at| Some((at.value.parse::<IpNet>().ok()?, at)));
        let nets = nets.filter(|(net, _)| !bridge || asked(*net));
        ranges.extend(nets.map(|(net, at)| Range { net, at, daemon, bridge }));
    }
    ranges
}
