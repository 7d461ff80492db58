//! Addresses over the whole host, each once, and subnets within one namespace, each on one interface.
//!
//! Two daemons may be on one LAN: each has its own interface there, and routes of its own. Within a namespace a subnet on
//! two interfaces would make the kernel choose between them.
//!
//! Two CIDR ranges are apart or one holds the other, so in sorted order a stack of the ranges that are still open
//! finds every clash without comparing all pairs.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::owners::Owned;
use super::{Report, shared};
use crate::spec::words::quoted;
use crate::spec::{At, Daemon};

/// Reports addresses that are there twice, and subnets that two interfaces of one namespace would both have.
pub(super) fn check(links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let doubled = addresses(links, report);
    let mut namespaces: HashMap<Option<*const Daemon>, Vec<&Link<'_>>> = HashMap::new();
    let mut order = Vec::new();
    for (link, owner) in links.iter().zip(owners) {
        let namespace = match owner {
            Owned::Host => None,
            Owned::Daemon(daemon) if shared::asked(daemon) => None,
            Owned::Daemon(daemon) => Some(std::ptr::from_ref(*daemon)),
            // A carrier has no addresses; what has no clear owner was reported.
            Owned::Carrier | Owned::Unclear => continue,
        };
        let all = namespaces.entry(namespace).or_default();
        if all.is_empty() {
            order.push(namespace);
        }
        all.push(link);
    }
    for namespace in order {
        subnets(&namespaces[&namespace], &doubled, report);
    }
}

/// Reports duplicates and gives back their addresses, about whose subnets nothing more is to be said.
fn addresses(links: &[Link<'_>], report: &mut Report) -> Vec<IpAddr> {
    let mut doubled = Vec::new();
    let mut seen: HashMap<IpAddr, &At<IpNet>> = HashMap::new();
    for at in links.iter().flat_map(|link| &link.addresses) {
        let address = at.value.addr();
        if let Some(first) = seen.get(&address) {
            let message = format!("{address} is there twice");
            let help = "write another address: each one belongs to one interface";
            let diagnostic = at.place.error("address-duplicate", message).help(help);
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
            doubled.push(address);
        } else {
            seen.insert(address, at);
        }
    }
    doubled
}

fn subnets(links: &[&Link<'_>], doubled: &[IpAddr], report: &mut Report) {
    let mut all: Vec<(IpNet, &Link<'_>, &At<IpNet>)> = links
        .iter()
        .flat_map(|link| link.addresses.iter().map(move |at| (at.value.trunc(), *link, at)))
        .filter(|(_, _, at)| !doubled.contains(&at.value.addr()))
        .collect();
    // `IpNet` sorts by version, then network, then prefix length: what holds comes before what is held.
    all.sort_by_key(|(net, _, at)| (*net, at.place.value.start));
    let mut open: Vec<(IpNet, &Link<'_>, &At<IpNet>)> = Vec::new();
    let mut told: Vec<(&str, &str)> = Vec::new();
    for one in all {
        while open.last().is_some_and(|(net, _, _)| !net.contains(&one.0)) {
            open.pop();
        }
        if let Some(other) = open.iter().rev().find(|(_, link, _)| !std::ptr::eq(*link, one.1)) {
            let (first, second) =
                if other.2.place.value.start < one.2.place.value.start { (*other, one) } else { (one, *other) };
            let pair = (first.1.text(), second.1.text());
            if !told.contains(&pair) {
                told.push(pair);
                clash(first, second, report);
            }
        }
        open.push(one);
    }
}

fn clash(first: (IpNet, &Link<'_>, &At<IpNet>), second: (IpNet, &Link<'_>, &At<IpNet>), report: &mut Report) {
    let how = if first.0 == second.0 { "is" } else { "overlaps" };
    let message = format!(
        "the subnet {} of {} {how} the subnet{} of {}",
        second.0,
        quoted(second.1.text()),
        if first.0 == second.0 { String::new() } else { format!(" {}", first.0) },
        quoted(first.1.text())
    );
    let help =
        "in one namespace a subnet is on one interface: write another subnet, or give the interface to another daemon";
    let diagnostic = second.2.place.error("subnet-overlap", message).help(help);
    report.push(diagnostic.related(first.2.place.value.clone(), "the first"));
}
