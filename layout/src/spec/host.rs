//! `[host]` and `[host.admin]`.

use super::place::{At, Field, List, Place};
use super::table::{Report, Table};

/// `[host]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `name`, required.
    pub name: Field<String>,
    /// `base`.
    pub base: Field<String>,
    /// `kernel`.
    pub kernel: Field<String>,
    /// `disk`, for example `16GiB`.
    pub disk: Field<String>,
    /// `[host.admin]`.
    pub admin: Field<Admin>,
}

/// `[host.admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where the section is.
    pub place: Place,
    /// `user`.
    pub user: Field<String>,
    /// `interface`, required.
    pub interface: Field<String>,
    /// `authorized-keys`, required.
    pub authorized_keys: Field<List<String>>,
}

/// Reads `[host]`.
pub(super) fn read(table: Field<Table<'_>>, report: &mut Report) -> Field<Host> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            let host = Host {
                name: table.string("name", report),
                base: table.string("base", report),
                kernel: table.string("kernel", report),
                disk: table.string("disk", report),
                admin: admin(table.table("admin", report), report),
            };
            table.finish(report).require(&host.name, "name", "name = \"atlas\"", report);
            Field::Given(At { value: host, place })
        }
    }
}

fn admin(table: Field<Table<'_>>, report: &mut Report) -> Field<Admin> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            let admin = Admin {
                user: table.string("user", report),
                interface: table.string("interface", report),
                authorized_keys: table.strings("authorized-keys", report),
                place: place.clone(),
            };
            let meant = table.finish(report);
            meant.require(&admin.interface, "interface", "interface = \"lan\"", report);
            let example = "authorized-keys = [\"ssh-ed25519 AAAA... ops\"]";
            meant.require(&admin.authorized_keys, "authorized-keys", example, report);
            Field::Given(At { value: admin, place })
        }
    }
}
