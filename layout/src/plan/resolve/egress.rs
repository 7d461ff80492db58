//! `egress`: where a daemon and its containers may go, `192.0.2.0/24:443/tcp` or a range alone.

use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::{Report, Reported, addresses, expose};
use crate::plan::{Destination, Pool};
use crate::spec::words::quoted;
use crate::spec::{At, Field, List};

/// The word for everywhere.
const ANY: &str = "any";

/// Reads `egress`; `None` if it is absent or `any`.
pub(super) fn read(
    list: &Field<List<String>>,
    links: &[&Link<'_>],
    pools: Option<&[Pool]>,
    report: &mut Report,
) -> Result<Option<Vec<Destination>>, Reported> {
    match list {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(Reported),
        Field::Given(at) if is_any(&at.value) => return Ok(None),
        Field::Given(_) => {}
    }
    if let Some(any) = list.items().iter().find(|at| at.value == ANY) {
        let message = "`any` is everywhere, and leaves nothing to list";
        report.push(any.place.error("egress-any", message).help("write `egress = \"any\"`, or the list without it"));
    }
    let mut good: Vec<At<Destination>> = Vec::new();
    let mut complete = list.is_complete();
    for at in list.items().iter().filter(|at| at.value != ANY) {
        let Some(destination) = parse(at, report) else {
            complete = false;
            continue;
        };
        let at = at.with(destination);
        overlap(&at, &good, report);
        leads_somewhere(&at, links, pools, report);
        good.push(at);
    }
    if complete { Ok(Some(good.into_iter().map(|at| at.value).collect())) } else { Err(Reported) }
}

/// Whether a list lists nothing: `any` alone.
pub(super) fn is_any(list: &List<String>) -> bool {
    list.complete && matches!(list.items.as_slice(), [one] if one.value == ANY)
}

/// Reads `CIDR`, `CIDR:PORTS/PROTOCOL` or `[CIDR]:PORTS/PROTOCOL`.
fn parse(at: &At<String>, report: &mut Report) -> Option<Destination> {
    let text = at.value.as_str();
    let mut refuse = |message: String, help: &str| report.push(at.place.error("egress-syntax", message).help(help));
    let Some((net, ports)) = apart(text) else {
        let help =
            "write an IPv6 range in brackets before its ports, like `[2001:db8::/32]:443/tcp`, and without them alone";
        refuse(format!("{} is no range with its ports", quoted(text)), help);
        return None;
    };
    if net.parse::<IpAddr>().is_err() && !net.contains('/') {
        let help = match ports {
            None => "write `egress = \"any\"` for everywhere, `egress = []` for nothing, or ranges like `192.0.2.0/24`",
            Some(_) if net == "*" => "write a range, such as `0.0.0.0/0` or `[::/0]` for every address",
            Some(_) => "write the range of its addresses, like `192.0.2.0/24:443/tcp`: rules know no names",
        };
        refuse(format!("{} is no range of addresses", quoted(net)), help);
        return None;
    }
    if text.starts_with('[') && net.parse::<IpNet>().is_ok_and(|net| net.addr().is_ipv4()) {
        refuse(format!("{} is IPv4 in brackets", quoted(text)), "leave the brackets out: they are for IPv6");
        return None;
    }
    let net = addresses::range(&at.with(net.to_owned()), "192.0.2.0/24:443/tcp", report);
    let ports = match ports.map(expose::parse) {
        None => Some(None),
        Some(Ok(ports)) => Some(Some(ports)),
        Some(Err((code, message, help))) => {
            report.push(at.place.error(code, message).help(help));
            None
        }
    };
    Some(Destination { net: net?, ports: ports? })
}

/// The range, and the ports if there are any; `None` where it is not clear which is which.
fn apart(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once("]:").map(|(net, ports)| (net, Some(ports)));
    }
    let by_itself = !text.ends_with("/tcp") && !text.ends_with("/udp");
    match text.matches(':').count() {
        1 => text.split_once(':').map(|(net, ports)| (net, Some(ports))),
        0 => Some((text, None)),
        // Many colons are IPv6.
        _ => by_itself.then_some((text, None)),
    }
}

/// Whether all that `inner` opens is open by `outer`.
fn holds(outer: &Destination, inner: &Destination) -> bool {
    let ports = match (outer.ports, inner.ports) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => {
            outer.protocol == inner.protocol && outer.first <= inner.first && inner.last <= outer.last
        }
    };
    ports && outer.net.contains(&inner.net)
}

/// Reports what another entry opens already.
fn overlap(at: &At<Destination>, good: &[At<Destination>], report: &mut Report) {
    let of = |other: &&At<Destination>| holds(&other.value, &at.value) || holds(&at.value, &other.value);
    let Some(first) = good.iter().find(of) else { return };
    let (outer, inner) = if holds(&first.value, &at.value) { (first.value, at.value) } else { (at.value, first.value) };
    let message = format!("{} opens all that {} does", quoted(&written(outer)), quoted(&written(inner)));
    let diagnostic = at.place.error("egress-overlap", message).help(format!("leave {} out", quoted(&written(inner))));
    report.push(diagnostic.related(first.place.value.clone(), "the first"));
}

fn written(Destination { net, ports }: Destination) -> String {
    match ports {
        None => net.to_string(),
        Some(ports) if net.addr().is_ipv4() => format!("{net}:{ports}"),
        Some(ports) => format!("[{net}]:{ports}"),
    }
}

/// Warns of a destination that nothing leaves for, listed or not.
fn leads_somewhere(at: &At<Destination>, links: &[&Link<'_>], pools: Option<&[Pool]>, report: &mut Report) {
    if links.is_empty() || !links.iter().all(|link| link.complete) {
        return;
    }
    let net = at.value.net;
    let is_v4 = net.addr().is_ipv4();
    let version = if is_v4 { "IPv4" } else { "IPv6" };
    let own =
        || links.iter().flat_map(|link| &link.addresses).map(|at| at.value).filter(|own| own.addr().is_ipv4() == is_v4);
    let routed = links.iter().any(|link| link.leads_out(is_v4));
    let near = |own: IpNet| own.contains(&net) || net.contains(&own.trunc());
    let (message, help) = if let Some(pool) = pools.unwrap_or_default().iter().find(|pool| pool.base.contains(&net)) {
        (
            format!(
                "{net} is in the daemon's own pool {}: its containers are there, and nothing leaves for it",
                pool.base
            ),
            "leave it out: what containers say to each other is Docker's affair",
        )
    } else if own().next().is_none() {
        (
            format!("nothing leaves for {net}: the daemon has no {version} address"),
            "leave it out, or give the interface an address",
        )
    } else if !routed && !own().any(near) {
        (
            format!("no route leads to {net}: it is on no subnet of the daemon, which has no {version} gateway"),
            "write a gateway, or a range on the subnet",
        )
    } else {
        return;
    };
    report.push(at.place.error("egress-never-matches", message).as_warning().help(help));
}
