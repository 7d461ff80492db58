//! `[interfaces.NAME]`: one kind, and what goes over it.

use super::place::{At, Field, List, Place};
use super::table::{Report, Table};
use super::words::quoted;

/// `[interfaces.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name; the place is the section's.
    pub name: At<String>,
    /// What it is; `None` if that was reported.
    pub kind: Option<Kind>,
    /// `addresses`, with prefix lengths.
    pub addresses: Field<List<String>>,
    /// `gateways`.
    pub gateways: Field<List<String>>,
    /// `dns`.
    pub dns: Field<List<String>>,
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `nic = { .. }`.
    Nic(Nic),
    /// `vlan = { .. }`.
    Vlan(Vlan),
}

/// `nic = { .. }`: exactly one of its ways to tell a NIC, or it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Where it is.
    pub place: Place,
    /// `mac`.
    pub mac: Field<String>,
    /// `path`.
    pub path: Field<String>,
    /// `name`.
    pub name: Field<String>,
}

/// `vlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// Where it is.
    pub place: Place,
    /// `parent`, required.
    pub parent: Field<String>,
    /// `id`, required.
    pub id: Field<i64>,
}

/// Kinds of the spec that this version does not do.
const LATER: [&str; 4] = ["bond", "bridge", "macvlan", "ipvlan"];

/// Reads `[interfaces.NAME]`.
pub(super) fn read(name: At<String>, mut table: Table<'_>, report: &mut Report) -> Interface {
    let nic = table.table("nic", report);
    let vlan = table.table("vlan", report);
    let before = report.len();
    for later in LATER {
        table.not_yet(later, "this version does `nic` and `vlan`", report);
    }
    let later = report.len() > before;
    let addresses = table.strings("addresses", report);
    let gateways = table.strings("gateways", report);
    let dns = table.strings("dns", report);
    let meant = table.finish(report);
    let said = later || meant.has("nic") || meant.has("vlan");
    Interface {
        kind: kind(nic, vlan, &name, said, report),
        addresses: meant.field("addresses", addresses),
        gateways,
        dns,
        name,
    }
}

/// Exactly one kind; `said` if something was said of it already.
fn kind(
    nic: Field<Table<'_>>,
    vlan: Field<Table<'_>>,
    name: &At<String>,
    said: bool,
    report: &mut Report,
) -> Option<Kind> {
    match (nic, vlan) {
        (Field::Given(nic), Field::Given(vlan)) => {
            let message = format!("{} is a `nic` and a `vlan` at once", quoted(&name.value));
            let help = "leave one of them, or make two sections with two names";
            let diagnostic = vlan.place.key_error("interface-kind-twice", message);
            report.push(diagnostic.related(nic.place.key.clone(), "the other kind").help(help));
            // Both are read all the same: what is wrong inside is said too.
            self::nic(nic, report);
            self::vlan(vlan, report);
            None
        }
        (Field::Given(nic), Field::Absent | Field::Bad) => Some(Kind::Nic(self::nic(nic, report))),
        (Field::Absent | Field::Bad, Field::Given(vlan)) => Some(Kind::Vlan(self::vlan(vlan, report))),
        (Field::Absent, Field::Absent) if !said => {
            let message = format!("{} does not say what it is", quoted(&name.value));
            let help = "write `nic = { mac = \"52:54:00:00:00:01\" }` or `vlan = { parent = \"trunk\", id = 10 }`";
            report.push(name.place.key_error("interface-kind-missing", message).help(help));
            None
        }
        (Field::Absent | Field::Bad, Field::Absent | Field::Bad) => None,
    }
}

fn nic(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Nic {
    let nic = Nic {
        place,
        mac: table.string("mac", report),
        path: table.string("path", report),
        name: table.string("name", report),
    };
    let meant = table.finish(report);
    let misspelt = ["mac", "path", "name"].into_iter().any(|key| meant.has(key));
    let given = [&nic.mac, &nic.path, &nic.name].into_iter().filter(|field| !field.is_absent()).count();
    if given > 1 {
        let message = "a NIC is told from others in one way";
        report.push(nic.place.error("nic-match-twice", message).help("leave one of `mac`, `path` and `name`"));
    } else if given == 0 && !misspelt {
        let message = "this does not say which NIC";
        let help =
            "write `nic = { mac = \"52:54:00:00:00:01\" }`, or `path = \"pci-0000:00:03.0\"`, or `name = \"enp1s0\"`";
        report.push(nic.place.error("nic-match-missing", message).help(help));
    }
    nic
}

fn vlan(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Vlan {
    let vlan = Vlan { place, parent: table.string("parent", report), id: table.integer("id", report) };
    let meant = table.finish(report);
    meant.require(&vlan.parent, "parent", "parent = \"trunk\"", report);
    meant.require(&vlan.id, "id", "id = 10", report);
    vlan
}
