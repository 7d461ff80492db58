//! `[defaults]`: what daemons share, written once. A key of a daemon stands over it.

use super::daemon::{self, Resources, Storage};
use super::place::{At, Field, List};
use super::settings::{self, Settings};
use super::table::{Report, Table};

/// `[defaults]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// `expose`.
    pub expose: Field<List<String>>,
    /// `pools`.
    pub pools: Field<List<String>>,
    /// `live-restore`.
    pub live_restore: Field<bool>,
    /// `resources`, merged key by key.
    pub resources: Field<Resources>,
    /// `storage`, merged key by key.
    pub storage: Field<Storage>,
    /// `settings`, merged key by key.
    pub settings: Field<Settings>,
}

/// Reads `[defaults]`.
pub(super) fn read(table: Field<Table<'_>>, report: &mut Report) -> Defaults {
    let mut defaults = Defaults {
        expose: Field::Absent,
        pools: Field::Absent,
        live_restore: Field::Absent,
        resources: Field::Absent,
        storage: Field::Absent,
        settings: Field::Absent,
    };
    if let Field::Given(At { value: mut table, place }) = table {
        if table.is_empty() {
            let message = "an empty `[defaults]` has no effect";
            let help = "leave it out, or write `settings = { log-driver = \"journald\" }`";
            report.push(place.key_error("no-effect", message).help(help));
        }
        defaults.expose = table.strings("expose", report);
        defaults.pools = table.strings("pools", report);
        defaults.live_restore = table.boolean("live-restore", report);
        defaults.resources = daemon::resources(table.table("resources", report), report);
        defaults.storage = daemon::storage(table.table("storage", report), report);
        defaults.settings = settings::read(table.table("settings", report), report);
        table.finish(report);
    }
    defaults
}
