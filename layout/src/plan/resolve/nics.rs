//! What two interfaces cannot share: a MAC, a path or a name of a NIC, a VID on one NIC.

use std::collections::HashMap;

use super::Report;
use super::links::{Link, LinkKind};
use crate::plan::NicMatch;
use crate::spec::At;
use crate::spec::words::quoted;

/// Reports NICs that are told alike and VIDs that a NIC would carry twice.
pub(super) fn check(links: &[Link<'_>], report: &mut Report) {
    let mut nics: HashMap<&NicMatch, &Link<'_>> = HashMap::new();
    let mut vids: HashMap<(usize, u16), &Link<'_>> = HashMap::new();
    let names: HashMap<&str, &Link<'_>> = links.iter().map(|link| (link.text(), link)).collect();
    for link in links {
        match &link.kind {
            Some(LinkKind::Nic { matched: Some(matched), .. }) => {
                if let Some(first) = nics.get(matched) {
                    same_nic(link, first, matched, report);
                } else {
                    nics.insert(matched, link);
                }
                if let NicMatch::Name(name) = matched
                    && let Some(other) = names.get(name.as_str()).filter(|other| !std::ptr::eq(**other, link))
                {
                    let message =
                        format!("the NIC {} would lose its name to another interface of that name", quoted(name));
                    let help = "tell one of the NICs by `mac` or `path`, or use another name for the section";
                    if let Some(at) = place_of(link) {
                        let diagnostic = at.place.error("nic-name-taken", message).help(help);
                        report.push(diagnostic.related(other.spec.name.place.key.clone(), "takes the name"));
                    }
                }
            }
            Some(LinkKind::Vlan { spec, parent: Some(parent), id: Some(id) }) => {
                if let Some(first) = vids.get(&(*parent, *id)) {
                    let message = format!("{} carries VID {id} twice", quoted(links[*parent].text()));
                    let help = "write another VID: on one NIC, a VLAN is one interface";
                    if let (Some(at), Some(first)) = (spec.id.given(), vid_place(first)) {
                        let diagnostic = at.place.error("vlan-id-duplicate", message).help(help);
                        report.push(diagnostic.related(first.place.value.clone(), "the first"));
                    }
                } else {
                    vids.insert((*parent, *id), link);
                }
            }
            Some(LinkKind::Nic { matched: None, .. } | LinkKind::Vlan { .. } | LinkKind::Later { .. }) | None => {}
        }
    }
}

fn same_nic(link: &Link<'_>, first: &Link<'_>, matched: &NicMatch, report: &mut Report) {
    let (code, what) = match matched {
        NicMatch::Mac(mac) => ("mac-duplicate", format!("MAC address {mac}")),
        NicMatch::Path(path) => ("nic-path-duplicate", format!("path {}", quoted(path))),
        NicMatch::Name(name) => ("nic-name-duplicate", format!("name {}", quoted(name))),
    };
    if let (Some(at), Some(first)) = (place_of(link), place_of(first)) {
        let message = format!("two interfaces are the NIC with the {what}");
        let help = "a NIC is one interface: write the other NIC's, or make VLANs on the first";
        report.push(at.place.error(code, message).related(first.place.value.clone(), "the first").help(help));
    }
}

/// Where a NIC says which it is.
fn place_of<'s>(link: &Link<'s>) -> Option<&'s At<String>> {
    match &link.kind {
        Some(LinkKind::Nic { spec, .. }) => spec.mac.given().or(spec.path.given()).or(spec.name.given()),
        Some(LinkKind::Vlan { .. } | LinkKind::Later { .. }) | None => None,
    }
}

fn vid_place<'s>(link: &Link<'s>) -> Option<&'s At<i64>> {
    match &link.kind {
        Some(LinkKind::Vlan { spec, .. }) => spec.id.given(),
        Some(LinkKind::Nic { .. } | LinkKind::Later { .. }) | None => None,
    }
}
