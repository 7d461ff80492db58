//! Docker networks on the segment of an interface: drivers `macvlan` and `ipvlan`. Their containers' frames pass the link's own rules
//! and no others, so they are for zones without lists, and their addresses are written down.

use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::{Report, addresses, egress, networks, ranges, shared};
use crate::engine::{Reader, Versions};
use crate::plan::{Driver, Subnet};
use crate::spec::words::quoted;
use crate::spec::{self, At, Daemon, Defaults, Field};

/// Engines that make a container's MAC address from its IPv4 address (moby#48808 ended that).
const MAC_OF_ADDRESS: Versions = Versions::until(28);

/// Whose network it is, and on which host.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t, 's> {
    pub(super) daemon: &'t Daemon,
    pub(super) defaults: &'t Defaults,
    pub(super) reader: Reader<'t>,
    /// The daemon's interfaces.
    pub(super) own: &'t [&'t Link<'s>],
    /// All of the host's.
    pub(super) all: &'t [Link<'s>],
}

/// The interface that a network is on; `None` if it cannot be told. `taken`: those of networks before it.
pub(super) fn parent<'t, 's>(
    spec: &'t spec::Network,
    terms: Terms<'t, 's>,
    taken: &mut Vec<(&'t At<String>, &'t Link<'s>)>,
    report: &mut Report,
) -> Option<&'t Link<'s>> {
    let at = spec.driver.given()?;
    fits(spec, at, terms, report);
    let Terms { daemon, own, .. } = terms;
    let (link, place) = match &spec.parent {
        Field::Bad => return None,
        Field::Given(named) => {
            let Some(link) = own.iter().find(|link| link.text() == named.value) else {
                let message =
                    format!("{} is no interface of daemon {}", quoted(&named.value), quoted(&daemon.name.value));
                let help = match own.first() {
                    Some(first) => format!("write `parent = \"{}\"`", first.text()),
                    None => "write one of the daemon's `interfaces`".to_owned(),
                };
                report.push(named.place.error("network-parent", message).help(help));
                return None;
            };
            (*link, named)
        }
        Field::Absent => match own {
            [link] => (*link, at),
            // That it has none was reported.
            [] => return None,
            [first, ..] => {
                let message =
                    format!("daemon {} has several interfaces to put the network on", quoted(&daemon.name.value));
                let help = format!("write which: `parent = \"{}\"`", first.text());
                report.push(at.place.error("network-parent", message).help(help));
                return None;
            }
        },
    };
    if let Some((first, _)) = taken.iter().find(|(_, other)| std::ptr::eq(*other, link)) {
        let message =
            format!("{} has a network of containers already, and Docker makes one there", quoted(link.text()));
        let diagnostic = place.place.error("network-parent", message).help("leave one of them out");
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
    }
    taken.push((place, link));
    Some(link)
}

/// Reports what the driver cannot be together with.
fn fits(spec: &spec::Network, driver: &At<String>, terms: Terms<'_, '_>, report: &mut Report) {
    let Terms { daemon, defaults, reader, .. } = terms;
    let error = |code, message: String| driver.place.error(code, message);
    let name = &driver.value;
    if shared::asked(daemon) {
        let message = format!("a network of driver `{name}` is for a daemon in a zone");
        let help = "leave `isolation` out: every daemon in the host's namespace could make a network on the interface";
        report.push(error("network-segment-shared", message).help(help));
    }
    let lists = [("expose", &daemon.expose, &defaults.expose), ("egress", &daemon.egress, &defaults.egress)];
    for (key, own, usual) in lists {
        let list = own.given().or_else(|| usual.given().filter(|_| own.is_absent()));
        let Some(list) = list.filter(|list| key != "egress" || !egress::is_any(&list.value)) else { continue };
        let message =
            format!("containers of a network of driver `{name}` are on the segment, and pass no list of ports");
        let help = format!("leave `{key}` out, or give the network to a daemon without it");
        let diagnostic = error("network-segment-lists", message).help(help);
        report.push(diagnostic.related(list.place.key.clone(), "the list"));
    }
    if name == "macvlan" && !reader.has(MAC_OF_ADDRESS) {
        let message = format!(
            "{} gives containers of a macvlan MAC addresses by chance, which no rule can tell from a neighbour's",
            reader.name()
        );
        report.push(
            error("network-segment-mac", message)
                .help("write `driver = \"ipvlan\"`: its containers have the interface's MAC address"),
        );
    }
    if let Some(at) = spec.internal.given().filter(|at| at.value) {
        let message = format!("a network of driver `{name}` is on the segment, and cannot be internal");
        report.push(at.place.error("network-segment-internal", message).help("leave `internal` out, or `driver`"));
    }
}

/// Its subnets: those of the interface, each with the part that is the containers'.
pub(super) fn subnets(
    spec: &spec::Network,
    link: &Link<'_>,
    terms: Terms<'_, '_>,
    report: &mut Report,
) -> Option<Vec<Subnet>> {
    let whole = spec.subnets.is_complete() && spec.gateways.is_complete() && spec.ip_ranges.is_complete();
    let written = spec.subnets.items();
    let before = report.len();
    let mut good: Vec<At<Subnet>> = Vec::new();
    for at in written {
        let Some(range) = addresses::range(at, "198.51.100.0/24", report) else { continue };
        if !link.addresses.iter().any(|net| net.value.trunc() == range) && link.complete {
            let message = format!("{range} is not a subnet of {}", quoted(link.text()));
            let help =
                own(link, range.addr().is_ipv4()).map_or("leave it out".to_owned(), |own| format!("write `{own}`"));
            report.push(at.place.error("network-segment-subnet", message).help(help));
            continue;
        }
        networks::one_of_a_version(&at.with(range), &good, "leave one of them out", report);
        if let Some(learns) = link.learns().filter(|_| range.addr().is_ipv6()) {
            let message =
                format!("containers on {} would take the router's word for their addresses too", quoted(link.text()));
            let diagnostic = at.place.error("network-segment-router", message);
            let diagnostic =
                diagnostic.help("leave the IPv6 subnet out, or write the interface's router into its `gateways`");
            report.push(diagnostic.related(learns.place.value.clone(), "the router is learnt"));
        }
        let gateway = link.gateways.iter().map(|gateway| gateway.value).find(|gateway| range.contains(gateway));
        good.push(at.with(Subnet { range, gateway, ip_range: None }));
    }
    // What is in a subnet that was refused is not held against the others.
    let all = good.len() == written.len();
    gateways(spec, link, all.then_some(&good), report);
    networks::ip_ranges(spec, &mut good, whole && all, "198.51.100.192/26", report);
    for at in spec.ip_ranges.items() {
        let range = good.iter().filter_map(|subnet| subnet.value.ip_range).find(|range| at.value.parse() == Ok(*range));
        if let Some(range) = range {
            ranges::free(&at.with(range), terms.all, report);
        }
    }
    for at in good.iter().filter(|at| at.value.ip_range.is_none() && whole) {
        let message = format!("which addresses of {} are the containers' is not written", at.value.range);
        let help = "write `ip-range`, a part of it that nobody else has: Docker gives addresses away, taken or not";
        report.push(at.place.error("network-segment-range", message).help(help));
    }
    if let Some(at) = spec.driver.given().filter(|_| whole && written.iter().all(|at| at.value.contains(':'))) {
        let message = "without an IPv4 subnet Docker takes one from the daemon's pools, which is none of the segment";
        let help = match own(link, true) {
            Some(own) => format!("write `subnet = \"{own}\"`, and an `ip-range` in it"),
            None => format!("give {} an IPv4 address, or write `driver = \"bridge\"`", quoted(link.text())),
        };
        report.push(at.place.error("network-segment-subnet", message).help(help));
    }
    (whole && report.len() == before).then(|| good.into_iter().map(|at| at.value).collect())
}

/// The first subnet of an interface of this IP version.
fn own(link: &Link<'_>, v4: bool) -> Option<IpNet> {
    link.addresses.iter().map(|net| net.value.trunc()).find(|net| net.addr().is_ipv4() == v4)
}

/// A gateway may be written, and is the interface's own. `subnets`: those that it is in one of, if they are all.
fn gateways(spec: &spec::Network, link: &Link<'_>, subnets: Option<&Vec<At<Subnet>>>, report: &mut Report) {
    for at in spec.gateways.items() {
        let known = at.value.parse::<IpAddr>().ok();
        let own = link.gateways.iter().any(|gateway| Some(gateway.value) == known);
        if !own || subnets.is_some_and(|subnets| !subnets.iter().any(|subnet| subnet.value.gateway == known)) {
            let message =
                format!("{} is no gateway of {} in the network's `subnet`", quoted(&at.value), quoted(link.text()));
            let help = "leave `gateway` out: containers on a segment have the gateway of the interface";
            report.push(at.place.error("network-segment-gateway", message).help(help));
        }
    }
}

/// The driver of a network on this interface, by its name.
pub(super) fn driver(name: &str, link: &Link<'_>) -> Option<Driver> {
    let parent = link.name.clone()?;
    Some(if name == "macvlan" { Driver::Macvlan { parent } } else { Driver::Ipvlan { parent } })
}
