//! `[[daemons.NAME.networks]]`: names, drivers and subnets that dockerd takes and that hide nothing from the daemon.

use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::version;
use super::links::Link;
use super::segments::Terms;
use super::{Report, addresses, pools, proxied, room, segments, shared};
use crate::plan::{Driver, Network, Pool, Subnet};
use crate::spec::words::{nearest, quoted};
use crate::spec::{self, At, Field, List};

/// Names that Docker has for networks of its own.
const TAKEN: [&str; 6] = ["bridge", "default", "docker_gwbridge", "host", "ingress", "none"];

/// Reads a daemon's networks; `None` if one cannot be read.
pub(super) fn read(terms: Terms<'_, '_>, pools: Option<&[Pool]>, report: &mut Report) -> Option<Vec<Network>> {
    let list = match &terms.daemon.networks {
        Field::Absent => return Some(Vec::new()),
        Field::Bad => return None,
        Field::Given(list) => &list.value,
    };
    let mut names: Vec<&At<String>> = Vec::new();
    let mut taken: Vec<At<IpNet>> = Vec::new();
    let mut parents = Vec::new();
    let mut networks = Vec::new();
    for at in &list.items {
        let name = at.value.name.given().and_then(|at| name(at, &mut names, report));
        addresses::not_empty(&at.value.gateways, "gateway", report);
        let network = match driver(&at.value.driver, report) {
            None => None,
            Some("bridge") => bridge(&at.value, terms, pools, &mut taken, report),
            Some(driver) => on_segment(&at.value, driver, terms, &mut parents, report),
        };
        networks.push(network.zip(name).map(|(network, name)| Network { name, ..network }));
    }
    networks.into_iter().collect::<Option<Vec<_>>>().filter(|_| list.complete)
}

/// A network on the segment of an interface, without its name.
fn on_segment<'t, 's>(
    spec: &'t spec::Network,
    driver: &str,
    terms: Terms<'t, 's>,
    parents: &mut Vec<(&'t At<String>, &'t Link<'s>)>,
    report: &mut Report,
) -> Option<Network> {
    let link = segments::parent(spec, terms, parents, report);
    let labels = labels(&spec.labels, report);
    let none = (
        "without an IPv6 subnet Docker takes one from the daemon's pools, which is none of the segment",
        "write the interface's IPv6 subnet too, or leave `ipv6` out",
    );
    let ipv6 = ipv6(spec, Some(none), report);
    let link = link?;
    let subnets = segments::subnets(spec, link, terms, report)?;
    room::check(spec, &subnets, terms.reader, report);
    let driver = segments::driver(driver, link)?;
    Some(Network { name: String::new(), driver, internal: false, ipv6: ipv6?, subnets, labels: labels? })
}

/// A network behind the daemon, without its name.
fn bridge(
    spec: &spec::Network,
    terms: Terms<'_, '_>,
    pools: Option<&[Pool]>,
    taken: &mut Vec<At<IpNet>>,
    report: &mut Report,
) -> Option<Network> {
    if let Some(at) = spec.parent.given() {
        let help = "leave `parent` out, or write `driver = \"macvlan\"` or `\"ipvlan\"`";
        report.push(at.place.key_error("network-parent", "a bridge is on no interface").help(help));
    }
    let subnets = subnets(spec, terms, pools, taken, report);
    let subnets = subnets.and_then(|subnets| proxied::read(spec, subnets, terms, report));
    room::check(spec, subnets.as_deref().unwrap_or_default(), terms.reader, report);
    let labels = labels(&spec.labels, report);
    let pool = pools.is_none_or(|pools| pools.iter().any(|pool| pool.base.addr().is_ipv6()));
    let none = (
        "the network has no IPv6 subnet, and the daemon's `pools` have none to give",
        "write an IPv6 `subnet`, or leave `ipv6` out",
    );
    let ipv6 = ipv6(spec, (!pool).then_some(none), report);
    let internal = match &spec.internal {
        Field::Bad => None,
        field => Some(field.given().is_some_and(|at| at.value)),
    };
    if let Some(at) = spec.internal.given().filter(|at| at.value && shared::asked(terms.daemon)) {
        let has = |v6: bool| spec.subnets.items().iter().any(|subnet| subnet.value.contains(':') == v6);
        let missing = [("IPv4", !has(false)), ("IPv6", ipv6 == Some(true) && !has(true))];
        for (version, _) in missing.into_iter().filter(|(_, missing)| *missing) {
            let message = format!("the {version} subnet of a shared daemon's internal network is not written");
            let help = "write it into `subnet`, inside the pools or not: the rules that keep its containers in have to know it";
            report.push(at.place.error("network-internal-subnet", message).help(help));
        }
    }
    let (name, driver) = (String::new(), Driver::Bridge);
    Some(Network { name, driver, internal: internal?, ipv6: ipv6?, subnets: subnets?, labels: labels? })
}

/// Whether a network has IPv6. `none`: why it cannot without a subnet, and what to write.
fn ipv6(spec: &spec::Network, none: Option<(&str, &str)>, report: &mut Report) -> Option<bool> {
    let first = spec.subnets.items().iter().find(|text| text.value.contains(':'));
    let at = match &spec.ipv6 {
        Field::Absent => return Some(first.is_some()),
        Field::Bad => return None,
        Field::Given(at) => at,
    };
    match (at.value, first, none) {
        (false, Some(first), _) => {
            let message = "a network without IPv6 has an IPv6 subnet";
            let diagnostic = at.place.error("network-ipv6", message).help("leave `ipv6` out, or the subnet");
            report.push(diagnostic.related(first.place.value.clone(), "the subnet"));
        }
        (true, None, Some((message, help))) => report.push(at.place.error("network-ipv6", message).help(help)),
        (true | false, ..) => {}
    }
    Some(at.value)
}

/// A name as Docker takes it, and one that no shell, label or filter takes for something else.
fn name<'s>(at: &'s At<String>, names: &mut Vec<&'s At<String>>, report: &mut Report) -> Option<String> {
    let text = at.value.as_str();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !starts || !text.bytes().all(letters) || text.len() > 63 {
        let message = format!("{} cannot name a Docker network", quoted(text));
        let help = "use up to 63 letters, digits, `_`, `.` and `-`, a letter or digit first";
        report.push(at.place.error("network-name", message).help(help));
        return None;
    }
    if TAKEN.contains(&text) {
        let message = format!("{} is a network that Docker has for itself", quoted(text));
        report.push(at.place.error("network-name", message).help("use another name, such as `backend`"));
        return None;
    }
    if let Some(first) = names.iter().find(|other| other.value == at.value) {
        let message = format!("the daemon has two networks {}", quoted(text));
        let diagnostic = at.place.error("network-duplicate", message).help("use another name, or leave one out");
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
        return None;
    }
    names.push(at);
    Some(text.to_owned())
}

fn driver<'f>(field: &'f Field<String>, report: &mut Report) -> Option<&'f str> {
    let at = match field {
        Field::Absent => return Some("bridge"),
        Field::Bad => return None,
        Field::Given(at) => at,
    };
    if Driver::NAMES.contains(&at.value.as_str()) {
        return Some(&at.value);
    }
    let help = match nearest(&at.value, Driver::NAMES) {
        Some(word) => format!("did you mean `{word}`?"),
        None => "write `bridge`, `macvlan` or `ipvlan`, or leave it out".to_owned(),
    };
    report.push(at.place.error("unknown-value", format!("there is no driver {}", quoted(&at.value))).help(help));
    None
}

fn subnets(
    spec: &spec::Network,
    terms: Terms<'_, '_>,
    pools: Option<&[Pool]>,
    taken: &mut Vec<At<IpNet>>,
    report: &mut Report,
) -> Option<Vec<Subnet>> {
    // On a segment both must be there, and that they are not is said.
    addresses::not_empty(&spec.subnets, "subnet", report);
    addresses::not_empty(&spec.ip_ranges, "ip-range", report);
    let mut good: Vec<At<Subnet>> = Vec::new();
    let mut complete = spec.subnets.is_complete() && spec.gateways.is_complete() && spec.ip_ranges.is_complete();
    for at in spec.subnets.items() {
        let Some(range) = addresses::range(at, "172.20.1.0/24", report) else {
            complete = false;
            continue;
        };
        let range = at.with(range);
        one_of_a_version(&range, &good, "make a second network for the other", report);
        apart(&range, terms, pools, taken, report);
        taken.push(range.clone());
        good.push(at.with(Subnet { range: range.value, gateway: None, ip_range: None }));
    }
    for at in spec.gateways.items() {
        let Ok(gateway) = at.value.parse::<IpAddr>() else {
            let message = format!("{} is no address of a gateway", quoted(&at.value));
            report.push(
                at.place.error("address", message).help("write an address in the subnet, without a prefix length"),
            );
            complete = false;
            continue;
        };
        let edge = |net: &IpNet| net.network() == gateway || (gateway.is_ipv4() && net.broadcast() == gateway);
        match good.iter_mut().find(|subnet| subnet.value.range.contains(&gateway) && !edge(&subnet.value.range)) {
            Some(subnet) if subnet.value.gateway.is_some() => {
                second(at, &format!("the subnet {} has a gateway already", subnet.value.range), report);
            }
            Some(subnet) => subnet.value.gateway = Some(gateway),
            None if complete => outside(at, &format!("the gateway {gateway} is no host"), report),
            None => {}
        }
    }
    complete &= ip_ranges(spec, &mut good, complete, "172.20.1.128/25", report);
    complete.then(|| good.into_iter().map(|at| at.value).collect())
}

/// Reports a second subnet of an IP version.
pub(super) fn one_of_a_version(range: &At<IpNet>, before: &[At<Subnet>], help: &str, report: &mut Report) {
    let version = |net: IpNet| version(net.addr());
    if let Some(first) = before.iter().find(|other| version(other.value.range) == version(range.value)) {
        let message = format!("a network has one {} subnet", version(range.value));
        let diagnostic = range.place.error("network-subnet", message).help(help);
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
    }
}

/// Gives each of these subnets its `ip-range`; `complete`: whether they are all. Whether each could be read.
pub(super) fn ip_ranges(
    spec: &spec::Network,
    good: &mut [At<Subnet>],
    complete: bool,
    example: &str,
    report: &mut Report,
) -> bool {
    let mut all = true;
    for at in spec.ip_ranges.items() {
        let Some(range) = addresses::range(at, example, report) else {
            all = false;
            continue;
        };
        match good.iter_mut().find(|subnet| subnet.value.range.contains(&range)) {
            Some(subnet) if subnet.value.ip_range.is_some() => {
                second(at, &format!("the subnet {} has a range of containers already", subnet.value.range), report);
            }
            Some(subnet) => subnet.value.ip_range = Some(range),
            None if complete && all => outside(at, &format!("the range {range} is no part"), report),
            None => {}
        }
    }
    all
}

fn second(at: &At<String>, message: &str, report: &mut Report) {
    report.push(
        at.place.error("network-subnet", message).help("leave one of them out: a network has one of each IP version"),
    );
}

fn outside(at: &At<String>, what: &str, report: &mut Report) {
    let message = format!("{what} of the network's `subnet`");
    report.push(at.place.error("network-subnet", message).help("write one in the subnet, and the subnet too"));
}

/// Reports what a network would hide from the daemon, and subnets that Docker has given away already.
fn apart(range: &At<IpNet>, terms: Terms<'_, '_>, pools: Option<&[Pool]>, taken: &[At<IpNet>], report: &mut Report) {
    let net = range.value;
    let overlap = |other: IpNet| other.contains(&net) || net.contains(&other);
    let error = |message: String| range.place.error("network-subnet-overlap", message);
    if let Some(why) = addresses::special(net.addr()).filter(|_| net.prefix_len() > 0) {
        let message = format!("{net} begins with {why}, and no network of containers can have it");
        report.push(
            range.place.error("address-special", message).help("write a private range, for example `172.20.1.0/24`"),
        );
    }
    if let Some(first) = taken.iter().find(|other| overlap(other.value)) {
        let diagnostic = error(format!("{net} overlaps {} of another network", first.value));
        let diagnostic = diagnostic.help("write ranges that are apart");
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
    }
    for link in terms.own.iter().filter(|link| !proxied::is_asked(net, link, terms.daemon)) {
        if let Some(own) = link.addresses.iter().find(|own| overlap(own.value.trunc())) {
            let diagnostic =
                error(format!("{net} overlaps the subnet {} of {}", own.value.trunc(), quoted(link.text())));
            let part = proxied::is_part(net, own.value.trunc());
            let also =
                if part { ", or write this one into `routed` too: neighbours ask for its containers then" } else { "" };
            let diagnostic = diagnostic.help(format!("write a range that no network around the host has{also}"));
            report.push(diagnostic.related(own.place.value.clone(), "the subnet"));
        }
        if let Some(server) = pools::outside(link, net) {
            let diagnostic =
                error(format!("{net} holds the name server {}, which the daemon could not reach", server.value));
            let diagnostic = diagnostic.help("write a range that no network around the host has");
            report.push(diagnostic.related(server.place.value.clone(), "the name server"));
        }
    }
    let first = pools.into_iter().flatten().find(|pool| pool.base.addr().is_ipv4() == net.addr().is_ipv4());
    if let Some(own) =
        first.and_then(|pool| IpNet::new(pool.base.network(), pool.size).ok()).filter(|own| overlap(*own))
    {
        let diagnostic = error(format!("{net} overlaps {own}, which the daemon's `docker0` has"));
        report.push(diagnostic.help("write another subnet, inside the pools or not, or leave it out"));
    }
}

fn labels(field: &Field<List<String>>, report: &mut Report) -> Option<Vec<String>> {
    addresses::not_empty(field, "labels", report);
    let mut complete = field.is_complete();
    let mut keys: Vec<(&str, &At<String>)> = Vec::new();
    for at in field.items() {
        let key = at.value.split_once('=').map_or("", |(key, _)| key);
        let odd = at.value.chars().any(char::is_control) || key.chars().any(char::is_whitespace);
        if key.is_empty() || odd || key.starts_with("dmhost.") {
            let message = format!("{} is no label of a network", quoted(&at.value));
            let help = "write `KEY=VALUE` on one line, for example `org.example.tier=backend`; `dmhost.` is dmhost's";
            report.push(at.place.error("network-label", message).help(help));
            complete = false;
        } else if let Some((_, first)) = keys.iter().find(|(other, _)| *other == key) {
            let message = format!("the label {} is there twice", quoted(key));
            let diagnostic = at.place.error("network-label", message).help("leave one of them out");
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        } else {
            keys.push((key, at));
        }
    }
    complete.then(|| field.items().iter().map(|at| at.value.clone()).collect())
}
