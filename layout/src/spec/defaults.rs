//! `[defaults]`: what daemons share, written once. A key of a daemon stands over it.

use schemars::JsonSchema;

use super::daemon::{self, Resources, Storage};
use super::place::{At, Field, List};
use super::settings::{self, Settings};
use super::table::{Report, Table};
use super::{pattern, schema};

/// `[defaults]`.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, extend("minProperties" = 1))]
pub struct Defaults {
    /// `expose` of every daemon that has none of its own.
    ///
    /// Absent: whatever Docker publishes is reached. `[]`: nothing is.
    ///
    /// Example: `expose = ["80/tcp", "443/tcp"]`
    #[schemars(default, inner(regex(pattern = pattern::EXPOSED)))]
    pub expose: Field<List<String>>,
    /// `egress` of every daemon that has none of its own.
    ///
    /// Absent: `any`. `[]`: nothing leaves but answers and names.
    ///
    /// Example: `egress = ["192.0.2.0/24:443/tcp", "[2001:db8::/32]:443/tcp"]`
    #[schemars(default, schema_with = "schema::destinations")]
    pub egress: Field<List<String>>,
    /// `pools` of every daemon that has none of its own. Zones do not see each other: all may have the same.
    ///
    /// Absent: `172.28.0.0/14` and `fd64:6d68:6f73::/48`.
    ///
    /// Example: `pools = ["172.20.0.0/14", "fd00:20::/48"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::CIDR)))]
    pub pools: Field<List<String>>,
    /// `live-restore` of every daemon that does not say.
    ///
    /// Absent: `true`.
    ///
    /// Example: `live-restore = false`
    #[schemars(default, extend("default" = true))]
    pub live_restore: Field<bool>,
    /// `resources` of every daemon, for each key that it does not have: a budget for each, not one for all together.
    ///
    /// Absent: not limited.
    ///
    /// Example: `resources = { tasks-max = 4096 }`
    #[schemars(default)]
    pub resources: Field<Resources>,
    /// `storage` of every daemon that has none of its own: room for each, not for all together.
    ///
    /// Absent: the whole disk.
    ///
    /// Example: `storage = { quota = "5GiB" }`
    #[schemars(default)]
    pub storage: Field<Storage>,
    /// Further keys of every daemon's daemon.json, merged under those of its own `settings`: tables key by key, of all else
    /// the daemon's own value stands.
    ///
    /// Absent: none.
    ///
    /// Example: `settings = { log-driver = "journald" }`
    #[schemars(default)]
    pub settings: Field<Settings>,
}

/// Reads `[defaults]`.
pub(super) fn read(table: Field<Table<'_>>, report: &mut Report) -> Defaults {
    let mut defaults = Defaults::default();
    if let Field::Given(At { value: mut table, place }) = table {
        if table.is_empty() {
            let message = "an empty `[defaults]` has no effect";
            let help = "leave it out, or write `settings = { log-driver = \"journald\" }`";
            report.push(place.key_error("no-effect", message).help(help));
        }
        defaults.expose = table.strings("expose", report);
        defaults.egress = table.one_or_more("egress", report);
        defaults.pools = table.strings("pools", report);
        defaults.live_restore = table.boolean("live-restore", report);
        defaults.resources = daemon::resources(table.table("resources", report), report);
        defaults.storage = daemon::storage(table.table("storage", report), report);
        defaults.settings = settings::read(table.table("settings", report), report);
        table.finish(report);
    }
    defaults
}
