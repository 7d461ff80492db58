//! `[daemons.NAME]`, its `api`, `storage` and `resources`.

use super::network::{self, Network};
use super::place::{At, Field, List, Place};
use super::settings::{self, Settings};
use super::table::{Report, Table};

/// `[daemons.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// Its name; the place is the section's.
    pub name: At<String>,
    /// `interfaces`, required.
    pub interfaces: Field<List<String>>,
    /// `isolation`.
    pub isolation: Field<String>,
    /// `api`.
    pub api: Field<Api>,
    /// `expose`.
    pub expose: Field<List<String>>,
    /// `pools`.
    pub pools: Field<List<String>>,
    /// `live-restore`.
    pub live_restore: Field<bool>,
    /// `storage`.
    pub storage: Field<Storage>,
    /// `resources`.
    pub resources: Field<Resources>,
    /// `[[daemons.NAME.networks]]`.
    pub networks: Field<List<Network>>,
    /// `settings`.
    pub settings: Field<Settings>,
}

/// `storage = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// `quota`, for example `40GiB`.
    pub quota: Field<String>,
}

/// `resources = { .. }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    /// `memory-max`, for example `4GiB`.
    pub memory_max: Field<String>,
    /// `memory-high`.
    pub memory_high: Field<String>,
    /// `cpu-weight`.
    pub cpu_weight: Field<i64>,
    /// `cpus`.
    pub cpus: Field<f64>,
    /// `io-weight`.
    pub io_weight: Field<i64>,
    /// `tasks-max`.
    pub tasks_max: Field<i64>,
}

/// `api = { .. }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it is.
    pub place: Place,
    /// `port`.
    pub port: Field<i64>,
    /// `names`.
    pub names: Field<List<String>>,
    /// `from`.
    pub from: Field<List<String>>,
}

/// Reads `[daemons.NAME]`.
pub(super) fn read(name: At<String>, mut table: Table<'_>, report: &mut Report) -> Daemon {
    let mut daemon = Daemon {
        name,
        interfaces: table.strings("interfaces", report),
        isolation: table.string("isolation", report),
        api: api(table.table("api", report), report),
        expose: table.strings("expose", report),
        pools: table.strings("pools", report),
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
                names: table.strings("names", report),
                from: table.strings("from", report),
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
