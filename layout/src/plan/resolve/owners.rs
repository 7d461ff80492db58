//! Who has which interface: exactly one owner each.

use std::collections::{HashMap, HashSet};

use super::Report;
use super::links::{Link, LinkKind};
use crate::plan::{DaemonName, Owner};
use crate::spec::words::{quoted, suggest};
use crate::spec::{At, Daemon};

/// An owner on its way into the plan.
#[derive(Clone, Copy)]
pub(super) enum Owned<'s> {
    Host,
    Daemon(&'s Daemon),
    Carrier,
    /// It has none or too many, and that was reported.
    Unclear,
}

impl Owned<'_> {
    /// Whether it is this daemon.
    pub(super) fn is(&self, daemon: &Daemon) -> bool {
        matches!(self, Self::Daemon(owner) if std::ptr::eq(*owner, daemon))
    }

    pub(super) fn planned(&self) -> Option<Owner> {
        match self {
            Self::Host => Some(Owner::Host),
            Self::Daemon(daemon) => daemon.name.value.parse::<DaemonName>().ok().map(Owner::Daemon),
            Self::Carrier => Some(Owner::Carrier),
            Self::Unclear => None,
        }
    }
}

/// The owner of every interface, in the order of `links`.
pub(super) fn assign<'s>(links: &[Link<'_>], daemons: &'s [Daemon], report: &mut Report) -> Vec<Owned<'s>> {
    let claims = claims(links, daemons, report);
    let mut carries: Vec<Option<&Link<'_>>> = vec![None; links.len()];
    for link in links {
        for parent in link.stands_on() {
            carries[*parent].get_or_insert(link);
        }
    }
    // A name that leads nowhere may have meant any interface: none is called unused then.
    let names: HashSet<&str> = links.iter().map(Link::text).collect();
    let known = |at: &At<String>| names.contains(at.value.as_str());
    let listed =
        daemons.iter().all(|daemon| daemon.interfaces.is_complete() && daemon.interfaces.items().iter().all(known));
    let placed = links.iter().all(|link| match &link.kind {
        Some(LinkKind::Vlan { parent, .. }) => parent.is_some(),
        Some(LinkKind::Later { complete, .. }) => *complete,
        Some(LinkKind::Nic { .. }) => true,
        None => false,
    });
    let mut owners = Vec::with_capacity(links.len());
    for ((link, claim), vlan) in links.iter().zip(claims).zip(carries) {
        let sure = listed && (placed || matches!(link.kind, Some(LinkKind::Vlan { .. })));
        owners.push(owner(link, claim, vlan, sure, report));
    }
    owners
}

/// Which daemon lists each interface, and where; what two list belongs to the first.
fn claims<'s>(
    links: &[Link<'_>],
    daemons: &'s [Daemon],
    report: &mut Report,
) -> Vec<Option<(&'s Daemon, &'s At<String>)>> {
    let mut claims: Vec<Option<(&Daemon, &At<String>)>> = vec![None; links.len()];
    let index: HashMap<&str, usize> = links.iter().enumerate().map(|(n, link)| (link.text(), n)).collect();
    for daemon in daemons {
        for at in daemon.interfaces.items() {
            let Some(n) = index.get(at.value.as_str()).copied() else {
                let message = format!("there is no interface {}", quoted(&at.value));
                let help = suggest(&at.value, "interfaces", links.iter().map(Link::text), report.len());
                report.push(at.place.error("interface-unknown", message).help(help));
                continue;
            };
            match claims[n] {
                None => claims[n] = Some((daemon, at)),
                Some((owner, first)) if std::ptr::eq(owner, daemon) => {
                    let message = format!("{} is there twice", quoted(&at.value));
                    let diagnostic = at.place.error("interface-twice", message).help("leave one of them out");
                    report.push(diagnostic.related(first.place.value.clone(), "the first"));
                }
                Some((owner, first)) => {
                    let name = quoted(&owner.name.value);
                    let message = format!("{} belongs to daemon {name} already", quoted(&at.value));
                    let help = "an interface has one owner: make a VLAN or take a NIC for each daemon";
                    let diagnostic = at.place.error("interface-owned-twice", message).help(help);
                    report.push(diagnostic.related(first.place.value.clone(), "the first owner"));
                }
            }
        }
    }
    claims
}

fn owner<'s>(
    link: &Link<'_>,
    claim: Option<(&'s Daemon, &At<String>)>,
    vlan: Option<&Link<'_>>,
    sure: bool,
    report: &mut Report,
) -> Owned<'s> {
    let has_addresses = !link.addresses.is_empty() || !link.complete;
    match (claim, vlan) {
        (Some((_, at)), Some(vlan)) => {
            let (does, label) = carried(vlan);
            let message = format!("{} {does}, and so it cannot be a daemon's own", quoted(&at.value));
            let diagnostic = at.place.error("parent-owned", message).help("give the daemon a VLAN of its own");
            report.push(diagnostic.related(vlan.spec.name.place.key.clone(), label));
            Owned::Unclear
        }
        (Some((daemon, _)), None) => Owned::Daemon(daemon),
        (None, Some(vlan)) => {
            // The untagged side of a trunk is silent. Were it a network of its own, a frame with two tags could hop
            // from it into a VLAN wherever that network is the native one of a switch's port.
            if let Some(at) = link.addresses.first() {
                let (does, label) = carried(vlan);
                let message = format!("{} {does}, and so its untagged side has no addresses", quoted(link.text()));
                let help =
                    "have the switch tag that network too, and write it as a VLAN of its own, or use another NIC";
                let diagnostic = at.place.error("trunk-with-addresses", message).help(help);
                report.push(diagnostic.related(vlan.spec.name.place.key.clone(), label));
            }
            Owned::Carrier
        }
        (None, None) if has_addresses => Owned::Host,
        (None, None) => {
            if sure && link.kind.is_some() {
                unused(link, report);
            }
            Owned::Unclear
        }
    }
}

/// What an interface does for another, and a label for that one.
fn carried(link: &Link<'_>) -> (&'static str, &'static str) {
    match link.kind {
        Some(LinkKind::Later { .. }) => ("carries another interface", "made of it"),
        Some(LinkKind::Nic { .. } | LinkKind::Vlan { .. }) | None => ("carries VLANs", "a VLAN on it"),
    }
}

fn unused(link: &Link<'_>, report: &mut Report) {
    let (what, help) = match link.kind {
        Some(LinkKind::Nic { .. }) => (
            "it has no addresses, carries no VLAN and belongs to no daemon",
            "give it `addresses`, or a VLAN, or write it into the `interfaces` of a daemon",
        ),
        Some(LinkKind::Vlan { .. } | LinkKind::Later { .. }) | None => (
            "it has no addresses and belongs to no daemon",
            "give it `addresses`, or write it into the `interfaces` of a daemon",
        ),
    };
    let message = format!("{} has no effect: {what}", quoted(link.text()));
    report.push(link.spec.name.place.key_error("interface-unused", message).help(help));
}
