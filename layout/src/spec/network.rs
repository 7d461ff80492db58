//! `[[daemons.NAME.networks]]`: further Docker networks, made when their daemon starts.

use schemars::JsonSchema;

use super::place::{Field, List, Place};
use super::table::{Report, Table};
use super::{pattern, schema};

/// A further Docker network, made when its daemon starts, beside the `docker0` that every daemon has.
///
/// A network that is there already by the same name and definition stays as it is. One of another definition is left alone
/// too, and the unit that makes the networks fails and says so.
///
/// ```toml fragment
/// [daemons.lab]
/// interfaces = ["lab"]
///
/// [[daemons.lab.networks]]
/// name = "backend"
/// internal = true
///
/// [[daemons.lab.networks]]
/// name = "front"
/// subnet = ["172.20.1.0/24", "fd00:20:1::/64"]
/// gateway = "172.20.1.254"
/// ip-range = "172.20.1.128/25"
/// labels = ["org.example.tier=front"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Network {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// Its name: up to 63 letters, digits, `_`, `.` and `-`, a letter or digit first. Names of Docker's own networks
    /// (`bridge`, `host`, `none`, `default`, `ingress`, `docker_gwbridge`) are refused.
    ///
    /// Example: `name = "backend"`
    #[schemars(
        regex(pattern = pattern::NETWORK),
        extend("not" = { "enum": ["bridge", "default", "docker_gwbridge", "host", "ingress", "none"] })
    )]
    pub name: Field<String>,
    /// Docker's driver for it: `bridge`, behind the daemon; `macvlan` and `ipvlan`, where containers are neighbours on the
    /// segment of one of the daemon's interfaces with addresses of its subnet: with MAC addresses of their own, or with the
    /// interface's.
    ///
    /// Neighbours reach such containers on every port, and they reach the segment, its gateway and what is beyond, but not
    /// their own daemon's addresses: so says the kernel of what shares an interface. `expose` and `egress` do not hold for
    /// them, and a daemon that has either is refused; so is one in the host's namespace. Engine 28 and later give containers on
    /// a macvlan MAC addresses by chance: `ipvlan` alone is taken there.
    ///
    /// Absent: `bridge`.
    ///
    /// Example: `driver = "bridge"`
    #[schemars(default, extend("enum" = ["bridge", "macvlan", "ipvlan"], "default" = "bridge"))]
    pub driver: Field<String>,
    /// The interface of the daemon that a network of driver `macvlan` or `ipvlan` is on, one network on each. No bridge has it.
    ///
    /// Absent: the daemon's one interface.
    ///
    /// Example: `parent = "web"`
    #[schemars(default, regex(pattern = pattern::INTERFACE))]
    pub parent: Field<String>,
    /// Whether its containers reach nothing but each other. Of a shared daemon rules see to that, which know the subnets: they are written then.
    ///
    /// Absent: `false`.
    ///
    /// Example: `internal = true`
    #[schemars(default, extend("default" = false))]
    pub internal: Field<bool>,
    /// Whether it has IPv6 beside IPv4.
    ///
    /// Absent: it has IPv6 if `subnet` has an IPv6 range.
    ///
    /// Example: `ipv6 = true`
    #[schemars(default)]
    pub ipv6: Field<bool>,
    /// Its range, or one of each IP version: CIDR without host bits, apart from the daemon's interfaces, from other
    /// networks and from `docker0`. Of a network on an interface: the interface's own subnets, of IPv4 in any case.
    ///
    /// Absent: Docker takes one from the daemon's `pools`.
    ///
    /// Example: `subnet = ["172.20.1.0/24", "fd00:20:1::/64"]`
    #[schemars(default, rename = "subnet", schema_with = "schema::ranges")]
    pub subnets: Field<List<String>>,
    /// The bridge's own address in `subnet`, or one of each IP version. Of a network on an interface it is a gateway of that.
    ///
    /// Absent: Docker takes the first address of the range; on an interface its gateway in the subnet.
    ///
    /// Example: `gateway = "172.20.1.254"`
    #[schemars(default, rename = "gateway", schema_with = "schema::addresses")]
    pub gateways: Field<List<String>>,
    /// The part of `subnet` that containers get their addresses from, or one of each IP version. A network on an interface must
    /// have it: addresses that nobody else has.
    ///
    /// Absent: the whole range.
    ///
    /// Example: `ip-range = "172.20.1.128/25"`
    #[schemars(default, rename = "ip-range", schema_with = "schema::ranges")]
    pub ip_ranges: Field<List<String>>,
    /// Labels of the network, each `KEY=VALUE` on one line. Keys that begin with `dmhost.` are dmhost's.
    ///
    /// Absent: none but dmhost's own.
    ///
    /// Example: `labels = ["org.example.tier=front"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::LABEL)))]
    pub labels: Field<List<String>>,
}

/// Reads one `[[daemons.NAME.networks]]`.
pub(super) fn read(mut table: Table<'_>, report: &mut Report) -> Network {
    let network = Network {
        place: table.place.clone(),
        name: table.string("name", report),
        driver: table.string("driver", report),
        parent: table.string("parent", report),
        internal: table.boolean("internal", report),
        ipv6: table.boolean("ipv6", report),
        subnets: table.one_or_more("subnet", report),
        gateways: table.one_or_more("gateway", report),
        ip_ranges: table.one_or_more("ip-range", report),
        labels: table.strings("labels", report),
    };
    table.finish(report).require(&network.name, "name", "name = \"backend\"", report);
    network
}
