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
    /// `bond = { .. }`.
    Bond(Bond),
    /// `bridge = { .. }`.
    Bridge(Bridge),
    /// `macvlan = { .. }`.
    Macvlan(Macvlan),
    /// `ipvlan = { .. }`.
    Ipvlan(Ipvlan),
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

/// `bond = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// Where it is.
    pub place: Place,
    /// `members`, required.
    pub members: Field<List<String>>,
    /// `mode`.
    pub mode: Field<String>,
    /// `lacp-rate`.
    pub lacp_rate: Field<String>,
    /// `hash-policy`.
    pub hash_policy: Field<String>,
    /// `miimon`, in milliseconds.
    pub miimon: Field<i64>,
}

/// `bridge = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Where it is.
    pub place: Place,
    /// `members`, required.
    pub members: Field<List<String>>,
    /// `stp`.
    pub stp: Field<bool>,
}

/// `macvlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macvlan {
    /// Where it is.
    pub place: Place,
    /// `parent`, required.
    pub parent: Field<String>,
    /// `mode`.
    pub mode: Field<String>,
    /// `mac`.
    pub mac: Field<String>,
}

/// `ipvlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipvlan {
    /// Where it is.
    pub place: Place,
    /// `parent`, required.
    pub parent: Field<String>,
    /// `mode`.
    pub mode: Field<String>,
}

/// Every key that says what an interface is.
const KINDS: [&str; 6] = ["nic", "vlan", "bond", "bridge", "macvlan", "ipvlan"];

/// Reads `[interfaces.NAME]`.
pub(super) fn read(name: At<String>, mut table: Table<'_>, report: &mut Report) -> Interface {
    let kinds = KINDS.map(|kind| (kind, table.table(kind, report)));
    let addresses = table.strings("addresses", report);
    let gateways = table.strings("gateways", report);
    let dns = table.strings("dns", report);
    let meant = table.finish(report);
    let said = KINDS.into_iter().any(|kind| meant.has(kind));
    Interface {
        kind: kind(kinds, &name, said, report),
        addresses: meant.field("addresses", addresses),
        gateways,
        dns,
        name,
    }
}

/// Exactly one kind; `said` if something was said of it already.
fn kind<'t>(
    kinds: [(&'static str, Field<Table<'t>>); 6],
    name: &At<String>,
    said: bool,
    report: &mut Report,
) -> Option<Kind> {
    let bad = kinds.iter().any(|(_, table)| matches!(table, Field::Bad));
    let given = kinds.into_iter().filter_map(|(kind, table)| match table {
        Field::Given(at) => Some((kind, at)),
        Field::Absent | Field::Bad => None,
    });
    let mut given: Vec<(&str, At<Table<'t>>)> = given.collect();
    given.sort_by_key(|(_, at)| at.place.key.start);
    if let [(first, one), (second, other), ..] = &given[..] {
        let message = format!("{} is a `{first}` and a `{second}` at once", quoted(&name.value));
        let help = "leave one of them, or make two sections with two names";
        let diagnostic = other.place.key_error("interface-kind-twice", message);
        report.push(diagnostic.related(one.place.key.clone(), "the other kind").help(help));
    } else if given.is_empty() && !said && !bad {
        let message = format!("{} does not say what it is", quoted(&name.value));
        let help = "write `nic = { mac = \"52:54:00:00:00:01\" }` or `vlan = { parent = \"trunk\", id = 10 }`";
        report.push(name.place.key_error("interface-kind-missing", message).help(help));
    }
    let single = given.len() == 1;
    // All are read, also of two: what is wrong inside is said too.
    let mut read = given.into_iter().filter_map(|(kind, at)| match kind {
        "nic" => Some(Kind::Nic(nic(at, report))),
        "vlan" => Some(Kind::Vlan(vlan(at, report))),
        "bond" => Some(Kind::Bond(bond(at, report))),
        "bridge" => Some(Kind::Bridge(bridge(at, report))),
        "macvlan" => Some(Kind::Macvlan(macvlan(at, report))),
        "ipvlan" => Some(Kind::Ipvlan(ipvlan(at, report))),
        _ => None,
    });
    let first = read.next();
    read.for_each(drop);
    first.filter(|_| single)
}

fn bond(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Bond {
    let mut bond = Bond {
        place,
        members: table.strings("members", report),
        mode: table.string("mode", report),
        lacp_rate: table.string("lacp-rate", report),
        hash_policy: table.string("hash-policy", report),
        miimon: table.integer("miimon", report),
    };
    let meant = table.finish(report);
    meant.require(&bond.members, "members", "members = [\"left\", \"right\"]", report);
    bond.members = meant.field("members", bond.members);
    bond
}

fn bridge(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Bridge {
    let mut bridge = Bridge { place, members: table.strings("members", report), stp: table.boolean("stp", report) };
    let meant = table.finish(report);
    meant.require(&bridge.members, "members", "members = [\"left\"]", report);
    bridge.members = meant.field("members", bridge.members);
    bridge
}

fn macvlan(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Macvlan {
    let macvlan = Macvlan {
        place,
        parent: table.string("parent", report),
        mode: table.string("mode", report),
        mac: table.string("mac", report),
    };
    table.finish(report).require(&macvlan.parent, "parent", "parent = \"lan\"", report);
    macvlan
}

fn ipvlan(At { value: mut table, place }: At<Table<'_>>, report: &mut Report) -> Ipvlan {
    let ipvlan = Ipvlan { place, parent: table.string("parent", report), mode: table.string("mode", report) };
    table.finish(report).require(&ipvlan.parent, "parent", "parent = \"lan\"", report);
    ipvlan
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
