//! Every interface by itself: its name, its kind, and its addresses as numbers.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Report, addresses, stacks};
use crate::plan::{BadInterfaceName, BadMacAddress, InterfaceKind, InterfaceName, MacAddress, NicMatch};
use crate::spec::words::{quoted, suggest};
use crate::spec::{At, Field, Interface, Kind, Nic, Vlan};

/// An interface on its way into the plan. What could not be read is not there, and was reported.
pub(super) struct Link<'s> {
    pub(super) spec: &'s Interface,
    pub(super) name: Option<InterfaceName>,
    pub(super) kind: Option<LinkKind<'s>>,
    pub(super) addresses: Vec<At<IpNet>>,
    /// Whether `addresses` is all that was written.
    pub(super) complete: bool,
    pub(super) gateways: Vec<At<IpAddr>>,
    pub(super) dns: Vec<At<IpAddr>>,
}

/// What it is.
pub(super) enum LinkKind<'s> {
    Nic {
        spec: &'s Nic,
        matched: Option<NicMatch>,
    },
    Vlan {
        spec: &'s Vlan,
        parent: Option<usize>,
        id: Option<u16>,
    },
    /// A kind that is read and judged, and not planned yet: what it stands on.
    Later {
        on: Vec<usize>,
        complete: bool,
    },
}

impl Link<'_> {
    /// Its name as it was written, good or bad.
    pub(super) fn text(&self) -> &str {
        &self.spec.name.value
    }

    /// The indices of the interfaces that carry it.
    pub(super) fn stands_on(&self) -> &[usize] {
        match &self.kind {
            Some(LinkKind::Vlan { parent, .. }) => parent.as_slice(),
            Some(LinkKind::Later { on, .. }) => on,
            Some(LinkKind::Nic { .. }) | None => &[],
        }
    }

    /// Where it says that its IPv6 router is learnt.
    pub(super) fn learns(&self) -> Option<&At<bool>> {
        self.spec.accept_ra.given().filter(|at| at.value)
    }

    /// Whether a router leads beyond its subnets in this IP version.
    pub(super) fn leads_out(&self, v4: bool) -> bool {
        self.gateways.iter().any(|gateway| gateway.value.is_ipv4() == v4) || (self.learns().is_some() && !v4)
    }

    pub(super) fn planned_kind(&self, links: &[Link<'_>]) -> Option<InterfaceKind> {
        match self.kind.as_ref()? {
            LinkKind::Nic { matched, .. } => matched.clone().map(InterfaceKind::Nic),
            LinkKind::Vlan { parent, id, .. } => {
                let parent = links[(*parent)?].name.clone()?;
                Some(InterfaceKind::Vlan { parent, id: (*id)? })
            }
            LinkKind::Later { .. } => None,
        }
    }
}

/// Interfaces by name.
pub(super) type Index<'s> = HashMap<&'s str, usize>;

/// Reads all interfaces.
pub(super) fn read<'s>(specs: &'s [Interface], report: &mut Report) -> Vec<Link<'s>> {
    let index = specs.iter().enumerate().map(|(n, spec)| (spec.name.value.as_str(), n)).collect();
    specs.iter().map(|spec| link(spec, specs, &index, report)).collect()
}

fn link<'s>(spec: &'s Interface, all: &'s [Interface], index: &Index<'_>, report: &mut Report) -> Link<'s> {
    let (addresses, complete) = addresses::interface(&spec.addresses, report);
    Link {
        spec,
        name: name(&spec.name, report),
        kind: spec.kind.as_ref().map(|kind| match kind {
            Kind::Nic(nic) => LinkKind::Nic { spec: nic, matched: matched(nic, report) },
            Kind::Vlan(vlan) => {
                LinkKind::Vlan { spec: vlan, parent: parent(vlan, all, index, report), id: vid(vlan, report) }
            }
            Kind::Bond(_) | Kind::Bridge(_) | Kind::Macvlan(_) | Kind::Ipvlan(_) => {
                let (on, complete) = stacks::read(kind, spec, all, index, report);
                LinkKind::Later { on, complete }
            }
        }),
        addresses,
        complete,
        gateways: addresses::hosts(&spec.gateways, "gateways", "gateway", report),
        dns: addresses::hosts(&spec.dns, "dns", "name server", report),
    }
}

fn name(name: &At<String>, report: &mut Report) -> Option<InterfaceName> {
    let error = match name.value.parse() {
        Ok(name) => return Some(name),
        Err(error) => error,
    };
    let (code, help) = match error {
        BadInterfaceName::Shape => ("interface-name", "use letters, digits, `_` and `-`, a letter first"),
        BadInterfaceName::TooLong => ("interface-name-too-long", "use a shorter name"),
        BadInterfaceName::Reserved => ("interface-name-reserved", "use another name, such as `lan` or `web`"),
    };
    let message = format!("{} cannot name an interface: {error}", quoted(&name.value));
    report.push(name.place.key_error(code, message).help(help));
    None
}

fn matched(nic: &Nic, report: &mut Report) -> Option<NicMatch> {
    match (&nic.mac, &nic.path, &nic.name) {
        (Field::Given(at), Field::Absent, Field::Absent) => mac(at, report).map(NicMatch::Mac),
        (Field::Absent, Field::Given(at), Field::Absent) => {
            let good = at.value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\*?[]{},;#%$".contains(&byte));
            if !good {
                let message = format!("{} is no ID_PATH of udev", quoted(&at.value));
                let help = "`udevadm info /sys/class/net/NAME` shows it, for example `pci-0000:00:03.0`";
                report.push(at.place.error("nic-path", message).help(help));
            }
            good.then(|| NicMatch::Path(at.value.clone()))
        }
        (Field::Absent, Field::Absent, Field::Given(at)) => {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            let good = at.value.len() <= InterfaceName::MAX && at.value.bytes().all(letters) && at.value != "lo";
            if !good {
                let message = format!("{} is no name that a NIC has", quoted(&at.value));
                let help =
                    "`ip link` shows it, for example `enp1s0`; tell the NIC by `mac` or `path` if the name is odd";
                report.push(at.place.error("nic-name", message).help(help));
            }
            good.then(|| NicMatch::Name(at.value.clone()))
        }
        // None or several of them, or one that is bad: the reader said so.
        (Field::Absent | Field::Bad | Field::Given(_), _, _) => None,
    }
}

pub(super) fn mac(at: &At<String>, report: &mut Report) -> Option<MacAddress> {
    match at.value.parse() {
        Ok(mac) => Some(mac),
        Err(error) => {
            let help = match error {
                BadMacAddress::Shape => "write it like `52:54:00:00:00:01`",
                BadMacAddress::Multicast | BadMacAddress::Zero => "`ip link` shows it after `link/ether`",
            };
            let message = format!("{} is no MAC address of a NIC: {error}", quoted(&at.value));
            report.push(at.place.error("mac-address", message).help(help));
            None
        }
    }
}

fn vid(vlan: &Vlan, report: &mut Report) -> Option<u16> {
    let at = vlan.id.given()?;
    let id = u16::try_from(at.value).ok().filter(|id| (1..=4094).contains(id));
    if id.is_none() {
        let message = format!("{} is no VLAN: VIDs go from 1 to 4094", at.value);
        let help = match at.value {
            0 => "VID 0 marks frames that have a priority and no VLAN; write the VID that the switch uses",
            4095 => "802.1Q reserves VID 4095; write the VID that the switch uses",
            _ => "write the VID that the switch uses",
        };
        report.push(at.place.error("vlan-id-out-of-range", message).help(help));
    }
    id
}

fn parent(vlan: &Vlan, all: &[Interface], index: &Index<'_>, report: &mut Report) -> Option<usize> {
    let at = vlan.parent.given()?;
    let Some(index) = index.get(at.value.as_str()).copied() else {
        let message = format!("there is no interface {}", quoted(&at.value));
        let nics =
            all.iter().filter(|other| matches!(other.kind, Some(Kind::Nic(_)))).map(|nic| nic.name.value.as_str());
        report.push(at.place.error("parent-unknown", message).help(suggest(
            &at.value,
            "interfaces with `nic`",
            nics,
            report.len(),
        )));
        return None;
    };
    match &all[index].kind {
        Some(Kind::Vlan(_)) => {
            let message = format!("{} is a VLAN itself, and carries none", quoted(&at.value));
            let diagnostic =
                at.place.error("parent-is-vlan", message).help("write the interface with `nic` that has the cable");
            report.push(diagnostic.related(all[index].name.place.key.clone(), "a VLAN"));
            None
        }
        Some(Kind::Macvlan(_) | Kind::Ipvlan(_)) => {
            let message = format!("{} is made on another interface itself, and carries no VLANs", quoted(&at.value));
            let diagnostic = at.place.error("parent-kind", message).help("write the interface that it is made on");
            report.push(diagnostic.related(all[index].name.place.key.clone(), "the interface"));
            None
        }
        // An interface that does not say what it is was reported.
        Some(Kind::Nic(_) | Kind::Bond(_) | Kind::Bridge(_)) | None => Some(index),
    }
}
