//! `[daemons.NAME]`, its `api`, `storage` and `resources`.

use schemars::JsonSchema;

use super::network::{self, Network};
use super::place::{At, Field, List, Place};
use super::settings::{self, Settings};
use super::table::{Report, Table};
use super::{pattern, schema};
use crate::plan::{DEFAULT_API_PORT, Isolation, LEAST_TASKS, MOST_TASKS};

/// A Docker daemon with interfaces, rules, containerd, storage, budget and TLS identity of its own: in a zone, or in the host's
/// namespace if `isolation` says so.
///
/// The section's name is the daemon's name, and everything that is its own is called after it: 1 to 15 lower-case letters,
/// digits and `_`, a letter first. A `-` would nest one daemon's slice in another's budget.
///
/// ```toml fragment
/// [daemons.web]
/// interfaces = ["web"]
/// api = { port = 2376, names = ["web.example.org"], from = ["198.51.100.0/24", "2001:db8:10::/64"] }
/// expose = ["80/tcp", "443/tcp", "443/udp"]
/// storage = { quota = "40GiB" }
/// resources = { memory-max = "4GiB", cpu-weight = 200 }
/// ```
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Daemon {
    /// Its name; the place is the section's.
    #[schemars(skip)]
    pub name: At<String>,
    /// The interfaces that are this daemon's own, at least one; no other daemon has them. A NIC is moved into the zone, a
    /// VLAN is made there; those of a shared daemon are in the host's namespace.
    ///
    /// Example: `interfaces = ["web"]`
    #[schemars(length(min = 1), inner(regex(pattern = pattern::INTERFACE)))]
    pub interfaces: Field<List<String>>,
    /// How it is kept apart. `zone`: in a network namespace of its own, where dockerd's own rules do what Docker's users know.
    /// `shared`: in the host's, on the bridge `br-NAME`, by rules and routes that are dmhost's alone. The daemon's interfaces
    /// are its own all the same, and nothing passes between it and others; but its containers see their bridge's address instead of
    /// a client's, and what it publishes is on its first IPv4 address unless `-p` names another. It takes `pools`, a name of at
    /// most 12 characters and an engine from 26.1.
    ///
    /// Absent: `zone`.
    ///
    /// Example: `isolation = "zone"`
    #[schemars(default, extend("enum" = Isolation::ALL.map(Isolation::as_str), "default" = Isolation::Zone.as_str()))]
    pub isolation: Field<String>,
    /// The daemon's API over TCP, with mutual TLS: on every address of its interfaces, with a certificate that has all of
    /// them, for clients of the daemon's own CA. `api = {}` takes every default.
    ///
    /// Absent: the API is on the unix socket `/run/dmhost/NAME/docker.sock` alone.
    ///
    /// Example: `api = { port = 2376, names = ["web.example.org"], from = ["198.51.100.0/24", "2001:db8:10::/64"] }`
    #[schemars(default)]
    pub api: Field<Api>,
    /// The published ports that the network may reach: `PORT/PROTOCOL` or `FIRST-LAST/PROTOCOL`, ports from 1 to 65535,
    /// `tcp` or `udp`. It is the port that a client asks for, before Docker maps it to a container's. With ` from ` and
    /// ranges, CIDR without host bits and apart by `, `, these sources alone reach it. They count for both IP versions: with
    /// IPv4 ranges alone, nobody reaches it over IPv6. The API's port is not among them: `api.from` says who reaches that.
    /// Of ports that are published and not listed the daemon's journal tells, when they are asked for.
    ///
    /// Absent: whatever Docker publishes is reached; what `[defaults]` has comes first. `[]`: nothing is.
    ///
    /// Example: `expose = ["80/tcp", "8000-8010/udp", "5432/tcp from 198.51.100.0/24, 2001:db8:10::/64"]`
    #[schemars(default, inner(regex(pattern = pattern::EXPOSED)))]
    pub expose: Field<List<String>>,
    /// Where its containers, and the daemon itself when it pulls, may begin connections to: `any`, or a list that is
    /// exhaustive over both IP versions. `CIDR:PORT/PROTOCOL` or `CIDR:FIRST-LAST/PROTOCOL` opens these ports of all
    /// addresses of a range, ports and protocols as in `expose`, an IPv6 range in brackets. A range alone opens everything
    /// there, echo too. All else is dropped without an answer, and the daemon's journal tells some of it. Answers always leave,
    /// and so do questions to the `dns` of the daemon's interfaces, on port 53 over UDP and TCP. What containers say to each
    /// other is Docker's affair.
    ///
    /// Absent: what `[defaults]` has, else `any`. `[]`: nothing but answers and names.
    ///
    /// Example: `egress = ["192.0.2.0/24:443/tcp", "[2001:db8::/32]:8000-8010/tcp", "203.0.113.0/24"]`
    #[schemars(default, schema_with = "schema::destinations")]
    pub egress: Field<List<String>>,
    /// The ranges that Docker takes its networks' subnets from: CIDR without host bits, at least one of IPv4, apart from each
    /// other, from the daemon's interfaces and from its name servers. IPv4 from `/8` to `/28`, cut into `/24`, or smaller so
    /// that 16 networks fit; IPv6 from `/48` to `/64`, cut into `/64`, by engines before 27.0 after the first into `/80`.
    ///
    /// Absent: those of `[defaults]`, else `172.28.0.0/14` and `fd64:6d68:6f73::/48`, in every zone the same. A shared daemon has
    /// ranges that no other has.
    ///
    /// Example: `pools = ["172.20.0.0/14", "fd00:20::/48"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::CIDR)))]
    pub pools: Field<List<String>>,
    /// IPv6 ranges of its networks that a router leads to one of its addresses: their containers leave with their own addresses,
    /// without NAT, and are reached by them. Each is in one of `pools` or in the subnet of a network. What `expose` lists counts by the
    /// container's own port there; in a zone a port is reached if it is published too (`docker run -p 80`). A shared daemon, whose
    /// rules do not know what is published, takes `expose`. Ports that are not listed are silent.
    ///
    /// Where the range is a part of the interface's own subnet and a network's, no router leads to it: neighbours
    /// who ask for its containers are answered (neighbour discovery proxy, RFC 4389 section 4), of the network's
    /// `ip-range`, which has up to 1,024 addresses.
    ///
    /// Absent: containers leave with their daemon's address.
    ///
    /// Example: `routed = ["2001:db8:30::/56"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::CIDR)))]
    pub routed: Field<List<String>>,
    /// Whether containers go on while the daemon is restarted or dead. Docker has no swarm with it: `false` permits that, in a
    /// zone.
    ///
    /// Absent: what `[defaults]` has, else `true`.
    ///
    /// Example: `live-restore = false`
    #[schemars(default, extend("default" = true))]
    pub live_restore: Field<bool>,
    /// The room that images, containers and volumes of the daemon may take: a btrfs subvolume of its own.
    ///
    /// Absent: what `[defaults]` has, else the whole disk.
    ///
    /// Example: `storage = { quota = "10GiB" }`
    #[schemars(default)]
    pub storage: Field<Storage>,
    /// What the daemon and its containers together may use of the machine: keys of its slice, see
    /// systemd.resource-control(5).
    ///
    /// Absent: each key is what `[defaults]` has, else not limited.
    ///
    /// Example: `resources = { memory-max = "4GiB", cpu-weight = 200 }`
    #[schemars(default)]
    pub resources: Field<Resources>,
    /// Further Docker networks of the daemon.
    ///
    /// Absent: `docker0`, and what users make.
    ///
    /// Example: `networks = [{ name = "backend", internal = true }]`
    #[schemars(default, length(min = 1))]
    pub networks: Field<List<Network>>,
    /// Further keys of daemon.json, as the engine of `host.base` and `host.engine` reads them, each judged by its own type.
    /// Those that dmhost decides are refused: the diagnostic names the key of the spec to write instead.
    ///
    /// Absent: what `[defaults]` has. Tables are merged key by key, of all else the daemon's own value stands.
    ///
    /// Example: `settings = { log-driver = "local", log-opts = { max-size = "10m" } }`
    #[schemars(default)]
    pub settings: Field<Settings>,
}

/// `storage = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("minProperties" = 1))]
pub struct Storage {
    /// The most that the subvolume may hold: a whole number and one of KiB, MiB, GiB, TiB, kB, MB, GB, TB; from 256 MiB to
    /// the size of `host.disk`.
    ///
    /// Absent: the whole disk.
    ///
    /// Example: `quota = "10GiB"`
    #[schemars(default, regex(pattern = pattern::SIZE))]
    pub quota: Field<String>,
}

/// `resources = { .. }`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("minProperties" = 1))]
pub struct Resources {
    /// The memory above which the kernel kills: a whole number and one of KiB, MiB, GiB, TiB, kB, MB, GB, TB; from 192 MiB
    /// (dockerd and its containerd take 118 MiB) to 64 TiB. `MemoryMax=` of the slice.
    ///
    /// Absent: no limit.
    ///
    /// Example: `memory-max = "4GiB"`
    #[schemars(default, regex(pattern = pattern::SIZE))]
    pub memory_max: Field<String>,
    /// The memory above which the kernel reclaims and slows down, in the units of `memory-max` and not above it.
    /// `MemoryHigh=` of the slice.
    ///
    /// Absent: no limit.
    ///
    /// Example: `memory-high = "3GiB"`
    #[schemars(default, regex(pattern = pattern::SIZE))]
    pub memory_high: Field<String>,
    /// Its share of the CPU time when others want it too, 1 to 10000. `CPUWeight=` of the slice.
    ///
    /// Absent: 100, everyone's.
    ///
    /// Example: `cpu-weight = 200`
    #[schemars(default, range(min = 1, max = 10_000))]
    pub cpu_weight: Field<i64>,
    /// The most CPU time it gets, in CPUs, 0.01 to 8192: 1.5 is one and a half. `CPUQuota=` of the slice.
    ///
    /// Absent: no limit.
    ///
    /// Example: `cpus = 1.5`
    #[schemars(default, range(min = 0.01, max = 8192))]
    pub cpus: Field<f64>,
    /// Its share of the disk when others want it too, 1 to 10000. `IOWeight=` of the slice, which has an effect with the
    /// scheduler `bfq` alone; Debian chooses another, and so there is a warning.
    ///
    /// Absent: 100, everyone's.
    ///
    /// Example: `io-weight = 50`
    #[schemars(default, range(min = 1, max = 10_000))]
    pub io_weight: Field<i64>,
    /// The most processes and threads, 128 to 4194304. `TasksMax=` of the slice.
    ///
    /// Absent: no limit.
    ///
    /// Example: `tasks-max = 4096`
    #[schemars(default, range(min = LEAST_TASKS, max = MOST_TASKS))]
    pub tasks_max: Field<i64>,
}

/// `api = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Api {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// Its TCP port, 1 to 65535.
    ///
    /// Absent: `2376`, Docker's own for TLS; in plain text `2375`.
    ///
    /// Example: `port = 2376`
    #[schemars(default, range(min = 1, max = 65535), extend("default" = DEFAULT_API_PORT))]
    pub port: Field<i64>,
    /// The addresses that it answers on, each one of the daemon's interfaces'.
    ///
    /// Absent: all of them.
    ///
    /// Example: `addresses = ["198.51.100.2"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::ADDRESS)))]
    pub addresses: Field<List<String>>,
    /// DNS names in the daemon's certificate, beside the addresses that it answers on: whole names without wildcards, each on one daemon
    /// of the host alone.
    ///
    /// Absent: clients connect by address.
    ///
    /// Example: `names = ["web.example.org"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::DNS_NAME), length(max = 253)))]
    pub names: Field<List<String>>,
    /// The only sources that may connect: CIDR without host bits. The list counts for both IP versions: with IPv4 ranges
    /// alone, nobody connects over IPv6. Whoever may connect still needs a certificate.
    ///
    /// Absent: any source on the daemon's interfaces.
    ///
    /// Example: `from = ["198.51.100.0/24", "2001:db8:10::/64"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::CIDR)))]
    pub from: Field<List<String>>,
    /// Whether the API is in plain text and asks for no certificate, for clients that know no TLS. Whoever reaches it is root on
    /// this host: `from` is all that is left to say who. There is a warning, and the proof shows that it is open.
    ///
    /// Absent: `false`, mutual TLS.
    ///
    /// Example: `plain-text-and-anyone-is-root = false`
    #[schemars(default, extend("default" = false))]
    pub plain_text_and_anyone_is_root: Field<bool>,
}

/// Reads `[daemons.NAME]`.
pub(super) fn read(name: At<String>, mut table: Table<'_>, report: &mut Report) -> Daemon {
    let mut daemon = Daemon {
        name,
        interfaces: table.strings("interfaces", report),
        isolation: table.string("isolation", report),
        api: api(table.table("api", report), report),
        expose: table.strings("expose", report),
        egress: table.one_or_more("egress", report),
        pools: table.strings("pools", report),
        routed: table.strings("routed", report),
        live_restore: table.boolean("live-restore", report),
        storage: storage(table.table("storage", report), report),
        resources: resources(table.table("resources", report), report),
        networks: networks(table.tables("networks", report), report),
        settings: settings::read(table.table("settings", report), report),
    };
    daemon.interfaces = table.finish(report).field("interfaces", daemon.interfaces);
    daemon
}

fn api(table: Field<Table<'_>>, report: &mut Report) -> Field<Api> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            let api = Api {
                port: table.integer("port", report),
                addresses: table.strings("addresses", report),
                names: table.strings("names", report),
                from: table.strings("from", report),
                plain_text_and_anyone_is_root: table.boolean("plain-text-and-anyone-is-root", report),
                place: place.clone(),
            };
            table.finish(report);
            Field::Given(At { value: api, place })
        }
    }
}

/// Reads `storage`.
pub(super) fn storage(table: Field<Table<'_>>, report: &mut Report) -> Field<Storage> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            if table.is_empty() {
                let help = "leave it out, or write `storage = { quota = \"40GiB\" }`";
                report.push(place.key_error("no-effect", "an empty `storage` has no effect").help(help));
            }
            let storage = Storage { quota: table.string("quota", report) };
            table.finish(report);
            Field::Given(At { value: storage, place })
        }
    }
}

/// Reads `resources`.
pub(super) fn resources(table: Field<Table<'_>>, report: &mut Report) -> Field<Resources> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            if table.is_empty() {
                let help = "leave it out, or write `resources = { memory-max = \"4GiB\" }`";
                report.push(place.key_error("no-effect", "an empty `resources` has no effect").help(help));
            }
            let resources = Resources {
                memory_max: table.string("memory-max", report),
                memory_high: table.string("memory-high", report),
                cpu_weight: table.integer("cpu-weight", report),
                cpus: table.number("cpus", report),
                io_weight: table.integer("io-weight", report),
                tasks_max: table.integer("tasks-max", report),
            };
            table.finish(report);
            Field::Given(At { value: resources, place })
        }
    }
}

fn networks(tables: Field<List<Table<'_>>>, report: &mut Report) -> Field<List<Network>> {
    match tables {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: List { items, complete }, place }) => {
            let items = items
                .into_iter()
                .map(|At { value, place }| At { value: network::read(value, report), place })
                .collect();
            Field::Given(At { value: List { items, complete }, place })
        }
    }
}
