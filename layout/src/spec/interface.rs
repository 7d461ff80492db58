//! `[interfaces.NAME]`: one kind (`super::kind`), and what goes over it.

use schemars::JsonSchema;

use super::kind::{self, Kind};
use super::place::{At, Field, List};
use super::table::{Report, Table};
use super::{pattern, schema};

/// A network interface: what it is, and the addresses that the host or its daemon has on it.
///
/// The section's name is the interface's name on the machine: 1 to 15 letters, digits, `_` and `-`, a letter first; not `lo`,
/// `all`, `default`, `docker0`, `docker_gwbridge`, `br-*` or `veth*`. Exactly one of `nic`, `vlan`, `bond`, `bridge`,
/// `macvlan` and `ipvlan` says what it is.
///
/// An interface has one owner. In a daemon's `interfaces`, it is in that daemon's zone. With `addresses` and in no daemon's
/// list, it is the host's own. Under a VLAN it carries tagged frames alone, has no addresses, and its untagged side is silent.
///
/// ```toml fragment
/// [interfaces.trunk]
/// nic = { mac = "52:54:00:00:00:02" }
///
/// [interfaces.web]
/// vlan = { parent = "trunk", id = 10 }
/// addresses = ["198.51.100.2/24", "2001:db8:10::2/64"]
/// gateways = ["198.51.100.1", "fe80::1"]
/// dns = ["198.51.100.53"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, transform = schema::one_kind)]
pub struct Interface {
    /// Its name; the place is the section's.
    #[schemars(skip)]
    pub name: At<String>,
    /// What it is; `None` if that was reported.
    #[schemars(flatten, with = "Kind")]
    pub kind: Option<Kind>,
    /// Its addresses, IPv4 and IPv6, each with the prefix length of its subnet. All of a daemon's addresses are in its
    /// certificate, and its API answers on each. Link-local addresses are made by the kernel and not written.
    ///
    /// Absent: none, as it must be under a VLAN.
    ///
    /// Example: `addresses = ["198.51.100.2/24", "2001:db8:10::2/64"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::CIDR)))]
    pub addresses: Field<List<String>>,
    /// Default gateways, at most one of each IP version, without a prefix length. A gateway is on a subnet of the
    /// interface, or an IPv6 link-local address.
    ///
    /// Where several interfaces of a daemon have some, each has a routing table of its own: what is asked through one is answered through
    /// it. What containers ask for themselves takes the gateway of the first in the daemon's `interfaces`.
    ///
    /// Absent: nothing beyond the interface's own subnets is reached, and nothing from beyond is answered.
    ///
    /// Example: `gateways = ["198.51.100.1", "fe80::1"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::ADDRESS)))]
    pub gateways: Field<List<String>>,
    /// Whether its IPv6 default route is learnt from router advertisements (RFC 4861 section 6.3.4), in a zone by the kernel with
    /// `accept_ra = 2` (its `ip-sysctl.rst`): a zone forwards. That route is all that is learnt: addresses, subnets, name servers, MTU and
    /// hop limit stay those of the spec.
    ///
    /// Whoever is on the segment can be its router. No other source of an IPv6 default route goes with it: neither an IPv6 address in
    /// `gateways`, nor another interface of the same namespace with one. A daemon with `isolation = "shared"` learns none, and its routes
    /// are its own: they go with that of an interface of the host.
    ///
    /// Absent: `false`.
    ///
    /// Example: `accept-ra = true`
    #[schemars(default, extend("default" = false))]
    pub accept_ra: Field<bool>,
    /// Name servers that are reached through it, without a prefix length, in the order in which they are asked. They are
    /// the daemon's and its containers' if the interface is a daemon's, else the host's.
    ///
    /// Absent: none.
    ///
    /// Example: `dns = ["198.51.100.53"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::ADDRESS)))]
    pub dns: Field<List<String>>,
}

/// Reads `[interfaces.NAME]`.
pub(super) fn read(name: At<String>, mut table: Table<'_>, report: &mut Report) -> Interface {
    let kinds = kind::KINDS.map(|key| (key, table.table(key, report)));
    let addresses = table.strings("addresses", report);
    let gateways = table.strings("gateways", report);
    let accept_ra = table.boolean("accept-ra", report);
    let dns = table.strings("dns", report);
    let meant = table.finish(report);
    let said = kind::KINDS.into_iter().any(|key| meant.has(key));
    Interface {
        kind: kind::read(kinds, &name, said, report),
        addresses: meant.field("addresses", addresses),
        gateways,
        accept_ra,
        dns,
        name,
    }
}
