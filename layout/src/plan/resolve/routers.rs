//! Routers that are learnt: on an interface that can use one, and as the only IPv6 way out of its namespace.
//!
//! The kernel puts the route that it learns into the main table of the namespace (its `ip-sysctl.rst`, `accept_ra_defrtr`), where it knows
//! no source.

use std::net::IpAddr;

use super::gateways::same_namespace;
use super::links::Link;
use super::owners::Owned;
use super::{Report, shared};
use crate::diagnostics::Span;
use crate::spec::At;
use crate::spec::words::quoted;

/// Reports `accept-ra` where no router can be learnt or used, or beside another one.
pub(super) fn check(links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let all = || links.iter().zip(owners);
    for (link, owner) in all() {
        let Some(at) = link.learns() else { continue };
        let speaks = link.addresses.iter().any(|net| net.value.addr().is_ipv6());
        let name = quoted(link.text());
        let (code, message, help, other) = match owner {
            Owned::Carrier => (
                "accept-ra-without-address",
                format!("{name} carries tagged frames alone, and there is no router of its own to learn"),
                "write it under the VLAN that it is meant for",
                None,
            ),
            Owned::Host | Owned::Daemon(_) | Owned::Unclear if link.complete && !speaks => (
                "accept-ra-without-address",
                format!("{name} has no IPv6 address that a router could be used from"),
                "write one into `addresses`, or leave `accept-ra` out: no address is learnt",
                None,
            ),
            Owned::Daemon(daemon) if shared::asked(daemon) => (
                "accept-ra-shared",
                format!("a shared daemon has routes of its own, and those that are learnt on {name} are the host's"),
                "write the router into `gateways`, or leave `isolation` out: a zone learns its own",
                daemon.isolation.given().map(|at| (at.place.value.clone(), "shared")),
            ),
            Owned::Host | Owned::Daemon(_) | Owned::Unclear => match beside(links, owners, link, owner) {
                Some((message, other, what)) => (
                    "accept-ra-beside",
                    message,
                    "leave one: of two, replies would go out through the wrong one",
                    Some((other, what)),
                ),
                None => continue,
            },
        };
        let diagnostic = at.place.error(code, message).help(help);
        report.push(match other {
            Some((place, what)) => diagnostic.related(place, what),
            None => diagnostic,
        });
    }
}

/// What else leads out of the namespace of a link by IPv6, each pair told of once: a message, and where the other stands.
fn beside(
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    own: &Link<'_>,
    owner: &Owned<'_>,
) -> Option<(String, Span, &'static str)> {
    if let Some(gateway) = gateway_of(own) {
        let message = format!("the IPv6 router of {} is written and learnt", quoted(own.text()));
        return Some((message, gateway.place.value.clone(), "the one that is written"));
    }
    let others = links.iter().zip(owners).enumerate();
    let at = links.iter().position(|link| std::ptr::eq(link, own))?;
    let (other, place) = others.filter(|(n, (_, other))| *n != at && same_namespace(**other, *owner)).find_map(
        |(n, (link, _))| match (gateway_of(link), link.learns()) {
            (Some(gateway), None) => Some((link, &gateway.place)),
            (None, Some(learns)) if n < at => Some((link, &learns.place)),
            // Told of at that one.
            (Some(_) | None, Some(_)) | (None, None) => None,
        },
    )?;
    let message = format!("{} and {} lead out of one namespace by IPv6", quoted(other.text()), quoted(own.text()));
    Some((message, place.value.clone(), "the other"))
}

/// The IPv6 gateway that is written.
fn gateway_of<'l>(link: &'l Link<'_>) -> Option<&'l At<IpAddr>> {
    link.gateways.iter().find(|gateway| gateway.value.is_ipv6())
}
