//! Gateways and name servers: on a subnet of their interface, one default route per IP version and routing table.

use std::net::IpAddr;

use super::Report;
use super::addresses::{link_local, version};
use super::links::Link;
use super::owners::Owned;
use crate::spec::At;
use crate::spec::words::quoted;

/// Reports gateways that cannot be reached or are too many, and name servers that no route leads to.
pub(super) fn check(links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let mut firsts: Vec<(Owned<'_>, &Link<'_>, &At<IpAddr>)> = Vec::new();
    for (link, owner) in links.iter().zip(owners) {
        for at in &link.gateways {
            if link.complete {
                reachable(link, at, report);
            }
            // Within one interface the owner does not matter.
            let own = link.gateways.iter().find(|first| first.value.is_ipv4() == at.value.is_ipv4());
            let own = own.filter(|first| !std::ptr::eq(*first, at));
            let first = own.or_else(|| {
                let same = |(other, _, first): &&(Owned<'_>, &Link<'_>, &At<IpAddr>)| {
                    first.value.is_ipv4() == at.value.is_ipv4() && same_table(*other, *owner)
                };
                firsts.iter().find(same).map(|(_, _, first)| *first)
            });
            if let Some(first) = first {
                let message = format!("{} is a second default gateway for {}", at.value, version(at.value));
                let help = "leave one: of two, replies would go out through the wrong one";
                let diagnostic = at.place.error("gateway-twice", message).help(help);
                report.push(diagnostic.related(first.place.value.clone(), "the first"));
            } else if !matches!(owner, Owned::Unclear) {
                firsts.push((*owner, link, at));
            }
        }
    }
    for (link, owner) in links.iter().zip(owners) {
        let led =
            |v4| links.iter().zip(owners).any(|(link, other)| same_namespace(*other, *owner) && link.leads_out(v4));
        for at in link.dns.iter().filter(|_| link.complete && !matches!(owner, Owned::Unclear)) {
            let on_link = |link: &Link<'_>| link.addresses.iter().any(|net| net.value.contains(&at.value));
            let near = links.iter().zip(owners).any(|(link, other)| same_namespace(*other, *owner) && on_link(link));
            if !near && !led(at.value.is_ipv4()) {
                let message = format!("no route leads to the name server {}", at.value);
                let help = format!("write a gateway for {}, or a name server on the subnet", version(at.value));
                report.push(at.place.error("dns-unreachable", message).as_warning().help(help));
            }
        }
    }
}

fn reachable(link: &Link<'_>, at: &At<IpAddr>, report: &mut Report) {
    let gateway = at.value;
    let mut nets = link.addresses.iter().filter(|net| net.value.addr().is_ipv4() == gateway.is_ipv4());
    if let Some(own) = nets.clone().find(|net| net.value.addr() == gateway) {
        let message = format!("{gateway} is the interface's own address");
        let diagnostic = at.place.error("gateway-is-own", message).help("write the router's address");
        report.push(diagnostic.related(own.place.value.clone(), "the address"));
    } else if nets.clone().next().is_none() {
        let message = format!("{} has no {} address to reach {gateway} from", quoted(link.text()), version(gateway));
        let help = format!("write one into `addresses`, or leave the {} gateway out", version(gateway));
        report.push(at.place.error("gateway-without-address", message).help(help));
    } else if matches!(gateway, IpAddr::V6(v6) if link_local(v6)) {
    } else if let Some(net) = nets.clone().find(|net| net.value.contains(&gateway)) {
        let edge = net.value.prefix_len() + 1 < net.value.max_prefix_len()
            && gateway.is_ipv4()
            && (gateway == net.value.network() || gateway == net.value.broadcast());
        if edge {
            let message = format!("{gateway} is the network or broadcast address of {}", net.value.trunc());
            report.push(at.place.error("gateway-is-network", message).help("write the router's address"));
        }
    } else if let Some(net) = nets.next() {
        let message = format!("{gateway} is on no subnet of {}", quoted(link.text()));
        let help = format!("write a router on {}, or correct the prefix length", net.value.trunc());
        let diagnostic = at.place.error("gateway-off-subnet", message).help(help);
        report.push(diagnostic.related(net.place.value.clone(), format!("the subnet is {}", net.value.trunc())));
    }
}

pub(super) fn same_namespace(one: Owned<'_>, other: Owned<'_>) -> bool {
    match (one, other) {
        (Owned::Host, Owned::Host) => true,
        (Owned::Daemon(one), Owned::Daemon(other)) => std::ptr::eq(one, other),
        (Owned::Host | Owned::Daemon(_) | Owned::Carrier | Owned::Unclear, _) => false,
    }
}

/// Whether the routes of two interfaces are in one table: each interface of a daemon has its own.
fn same_table(one: Owned<'_>, other: Owned<'_>) -> bool {
    matches!((one, other), (Owned::Host, Owned::Host))
}
