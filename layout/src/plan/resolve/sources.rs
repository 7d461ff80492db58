//! Who may connect: ranges of `api.from`, and those behind a port of `expose`.

use ipnet::IpNet;

use super::links::Link;
use super::{Report, addresses};
use crate::spec::At;

/// Reads ranges that have no address in common; `None` if one of them cannot be read.
pub(super) fn read(ranges: &[At<String>], links: &[&Link<'_>], report: &mut Report) -> Option<Vec<At<IpNet>>> {
    let mut good: Vec<At<IpNet>> = Vec::new();
    let mut complete = true;
    for at in ranges {
        let Some(net) = addresses::range(at, "198.51.100.0/24", report) else {
            complete = false;
            continue;
        };
        if let Some(first) = good.iter().find(|other| other.value.contains(&net) || net.contains(&other.value)) {
            let message = format!("{net} overlaps {}", first.value);
            let diagnostic = at.place.error("from-overlap", message).help("leave the smaller one out");
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        }
        let at = at.with(net);
        matches_something(&at, links, report);
        good.push(at);
    }
    complete.then_some(good)
}

/// Warns of a range from which no connection can ever come.
fn matches_something(at: &At<IpNet>, links: &[&Link<'_>], report: &mut Report) {
    if links.is_empty() || !links.iter().all(|link| link.complete) {
        return;
    }
    let net = at.value;
    let is_v4 = net.addr().is_ipv4();
    let version = if is_v4 { "IPv4" } else { "IPv6" };
    let own =
        || links.iter().flat_map(|link| &link.addresses).map(|at| at.value).filter(|own| own.addr().is_ipv4() == is_v4);
    let routed = links.iter().any(|link| link.leads_out(is_v4));
    let (message, help) = if own().next().is_none() {
        (
            format!("nothing can come from {net}: the daemon has no {version} address"),
            "leave it out, or give the interface an address",
        )
    } else if !routed && !own().any(|own| own.contains(&net) || net.contains(&own)) {
        (
            format!("nothing can come from {net}: it is on no subnet of the daemon, which has no {version} gateway"),
            "write a gateway, or a range on the subnet",
        )
    } else {
        return;
    };
    report.push(at.place.error("from-never-matches", message).as_warning().help(help));
}
