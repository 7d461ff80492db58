//! What an interface is: `nic`, `vlan`, `bond`, `bridge`, `macvlan` or `ipvlan` of `[interfaces.NAME]`, and how each is read.

use schemars::JsonSchema;

use super::pattern;
use super::place::{At, Field, List, Place};
use super::table::{Report, Table};
use super::words::quoted;

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum Kind {
    /// A network card, told from others in exactly one way.
    ///
    /// Example: `nic = { mac = "52:54:00:00:00:02" }`
    Nic(Nic),
    /// An 802.1Q VLAN on a NIC. For a daemon it is made in the daemon's zone; its parent stays with the host.
    ///
    /// Example: `vlan = { parent = "trunk", id = 10 }`
    Vlan(Vlan),
    /// Several NICs as one. Read and judged whole; this version does not make it, and says `not-yet`.
    ///
    /// Example: `bond = { members = ["left", "right"], mode = "802.3ad", lacp-rate = "fast" }`
    Bond(Bond),
    /// An Ethernet bridge of other interfaces. Read and judged whole; this version does not make it, and says `not-yet`.
    ///
    /// Example: `bridge = { members = ["left", "right"], stp = true }`
    Bridge(Bridge),
    /// A second MAC address on another interface. Read and judged whole; this version does not make it, and says
    /// `not-yet`.
    ///
    /// Example: `macvlan = { parent = "left", mac = "52:54:00:00:01:01" }`
    Macvlan(Macvlan),
    /// A second interface behind another one's MAC address. Read and judged whole; this version does not make it, and
    /// says `not-yet`.
    ///
    /// Example: `ipvlan = { parent = "left", mode = "l2" }`
    Ipvlan(Ipvlan),
}

/// `nic = { .. }`: exactly one of its ways to tell a NIC, or it was reported.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(
    rename_all = "kebab-case",
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["mac"] }, { "required": ["path"] }, { "required": ["name"] }])
)]
pub struct Nic {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// Its permanent MAC address: six pairs of hexadecimal digits, unicast. `ip link` shows it after `link/ether`.
    ///
    /// Absent: the NIC is told by `path` or by `name`.
    ///
    /// Example: `mac = "52:54:00:00:00:02"`
    #[schemars(default, regex(pattern = pattern::MAC), extend("not" = { "const": pattern::NO_MAC }))]
    pub mac: Field<String>,
    /// Its slot: udev's `ID_PATH`, which stays when the card is replaced. `udevadm info /sys/class/net/NAME` shows it.
    ///
    /// Absent: the NIC is told by `mac` or by `name`.
    ///
    /// Example: `path = "pci-0000:00:03.0"`
    #[schemars(default, regex(pattern = pattern::ID_PATH))]
    pub path: Field<String>,
    /// The name that udev gives it: 1 to 15 letters, digits, `_` and `-`, not `lo`. `ip link` on a Debian 13 shows it.
    ///
    /// Absent: the NIC is told by `mac` or by `path`.
    ///
    /// Example: `name = "enp1s0"`
    #[schemars(default, regex(pattern = pattern::NIC_NAME), extend("not" = { "const": "lo" }))]
    pub name: Field<String>,
}

/// `vlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vlan {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// The interface with `nic` that has the cable to the trunk port.
    ///
    /// Example: `parent = "trunk"`
    #[schemars(regex(pattern = pattern::INTERFACE))]
    pub parent: Field<String>,
    /// The VID that the switch uses, 1 to 4094; each is there once on a NIC.
    ///
    /// Example: `id = 10`
    #[schemars(range(min = 1, max = 4094))]
    pub id: Field<i64>,
}

/// `bond = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bond {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// The interfaces with `nic` that it is made of.
    ///
    /// Example: `members = ["left", "right"]`
    #[schemars(length(min = 1), inner(regex(pattern = pattern::INTERFACE)))]
    pub members: Field<List<String>>,
    /// How frames are shared among the members, as the kernel calls it. `802.3ad` is LACP, and the switch must do it too.
    ///
    /// Absent: `active-backup`.
    ///
    /// Example: `mode = "802.3ad"`
    #[schemars(default, extend(
        "enum" = ["active-backup", "802.3ad", "balance-rr", "balance-xor", "broadcast", "balance-tlb", "balance-alb"],
        "default" = "active-backup"
    ))]
    pub mode: Field<String>,
    /// How often LACP asks the other side: `slow`, every 30 seconds, or `fast`, every second. For mode `802.3ad` alone.
    ///
    /// Absent: `slow`.
    ///
    /// Example: `lacp-rate = "fast"`
    #[schemars(default, extend("enum" = ["slow", "fast"], "default" = "slow"))]
    pub lacp_rate: Field<String>,
    /// What a member is chosen by. For modes `balance-xor`, `802.3ad` and `balance-tlb` alone.
    ///
    /// Absent: `layer2`.
    ///
    /// Example: `hash-policy = "layer3+4"`
    #[schemars(default, extend(
        "enum" = ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"],
        "default" = "layer2"
    ))]
    pub hash_policy: Field<String>,
    /// How often the members' links are looked at, in milliseconds, 1 to 60000.
    ///
    /// Absent: left to the version that makes bonds; 100 is the usual one.
    ///
    /// Example: `miimon = 100`
    #[schemars(default, range(min = 1, max = 60_000))]
    pub miimon: Field<i64>,
}

/// `bridge = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bridge {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// The interfaces with `nic`, `vlan` or `bond` that it joins.
    ///
    /// Example: `members = ["left", "right"]`
    #[schemars(length(min = 1), inner(regex(pattern = pattern::INTERFACE)))]
    pub members: Field<List<String>>,
    /// Whether it speaks the spanning tree protocol (802.1D).
    ///
    /// Absent: left to the version that makes bridges.
    ///
    /// Example: `stp = true`
    #[schemars(default)]
    pub stp: Field<bool>,
}

/// `macvlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Macvlan {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// The interface that it is made on; no `macvlan` or `ipvlan` itself.
    ///
    /// Example: `parent = "left"`
    #[schemars(regex(pattern = pattern::INTERFACE))]
    pub parent: Field<String>,
    /// What it may reach beside the wire, as the kernel calls it.
    ///
    /// Absent: `bridge`.
    ///
    /// Example: `mode = "private"`
    #[schemars(default, extend("enum" = ["bridge", "private", "vepa", "passthru"], "default" = "bridge"))]
    pub mode: Field<String>,
    /// Its own MAC address: six pairs of hexadecimal digits, unicast.
    ///
    /// Absent: left to the version that makes macvlans.
    ///
    /// Example: `mac = "52:54:00:00:01:01"`
    #[schemars(default, regex(pattern = pattern::MAC), extend("not" = { "const": pattern::NO_MAC }))]
    pub mac: Field<String>,
}

/// `ipvlan = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ipvlan {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// The interface that it is made on; no `macvlan` or `ipvlan` itself.
    ///
    /// Example: `parent = "left"`
    #[schemars(regex(pattern = pattern::INTERFACE))]
    pub parent: Field<String>,
    /// Which layer tells it from its parent, as the kernel calls it.
    ///
    /// Absent: `l2`.
    ///
    /// Example: `mode = "l2"`
    #[schemars(default, extend("enum" = ["l2", "l3", "l3s"], "default" = "l2"))]
    pub mode: Field<String>,
}

/// Every key that says what an interface is.
pub(super) const KINDS: [&str; 6] = ["nic", "vlan", "bond", "bridge", "macvlan", "ipvlan"];

/// Exactly one kind; `said` if something was said of it already.
pub(super) fn read<'t>(
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
