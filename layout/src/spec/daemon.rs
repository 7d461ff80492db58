//! `[daemons.NAME]` and its `api`.

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
    /// `settings`.
    pub settings: Field<Settings>,
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
        settings: settings::read(table.table("settings", report), report),
    };
    table.not_yet("storage", "leave it out: the daemon has a subvolume of its own without a quota", report);
    table.not_yet("resources", "leave it out: the daemon has a slice of its own without a budget", report);
    table.not_yet("networks", "leave it out, and make the networks with `docker network create`", report);
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
