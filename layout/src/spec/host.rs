//! `[host]` and `[host.admin]`.

use schemars::JsonSchema;

use super::file::{self, File};
use super::pattern;
use super::place::{At, Field, List, Place};
use super::table::{Report, Table};
use crate::plan::{Base, Engine, Kernel};

/// `[host]`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Host {
    /// The host name: one DNS label of up to 63 lower-case letters, digits and `-`, without a domain; not `localhost`.
    ///
    /// Example: `name = "atlas"`
    #[schemars(regex(pattern = pattern::HOST), extend("not" = { "const": "localhost" }))]
    pub name: Field<String>,
    /// The operating system that the image is made from: `debian-13` with Linux 6.12 and Docker engine 26.1, or `debian-12`
    /// with Linux 6.1 and engine 20.10, which has fewer keys of daemon.json and no `storage.quota`.
    ///
    /// Absent: `debian-13`.
    ///
    /// Example: `base = "debian-13"`
    #[schemars(default, extend("enum" = Base::ALL.map(Base::as_str), "default" = Base::Debian13.as_str()))]
    pub base: Field<String>,
    /// Whose Docker engine: `docker.io` is Debian's own; `docker-ce` is Docker's, engine 28.5, from its repository at
    /// download.docker.com, whose key `dmhost build --engine-key FILE` is given.
    ///
    /// Absent: `docker.io`.
    ///
    /// Example: `engine = "docker.io"`
    #[schemars(default, extend("enum" = Engine::ALL.map(Engine::as_str), "default" = Engine::DockerIo.as_str()))]
    pub engine: Field<String>,
    /// The base's kernel. `generic` has the drivers of hardware and of virtual machines; `cloud` is about a third of its
    /// size and runs in virtual machines only.
    ///
    /// Absent: `generic`.
    ///
    /// Example: `kernel = "cloud"`
    #[schemars(default, extend("enum" = Kernel::ALL.map(Kernel::as_str), "default" = Kernel::Generic.as_str()))]
    pub kernel: Field<String>,
    /// The smallest disk that the host must fit: a whole number and one of KiB, MiB, GiB, TiB (powers of 1024), kB, MB,
    /// GB, TB (powers of 1000); at least 2 GiB. Quotas of daemons are held against it. On a larger disk the root grows at
    /// the first boot.
    ///
    /// Absent: `16GiB`.
    ///
    /// Example: `disk = "64GiB"`
    #[schemars(default, regex(pattern = pattern::SIZE), extend("default" = "16GiB"))]
    pub disk: Field<String>,
    /// Who may log in over SSH, and where: sshd answers on one interface of the host, takes keys alone and lets this
    /// account in alone. No password exists anywhere.
    ///
    /// Absent: there is no sshd.
    ///
    /// ```toml fragment
    /// [host.admin]
    /// interface = "lan"
    /// authorized-keys = [
    ///     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINX5ZgmTZ55QZxrBqHe8Zapdvujm+Oi6bFcFo03nyEuV ops",
    /// ]
    /// ```
    #[schemars(default)]
    pub admin: Field<Admin>,
    /// Debian packages that the host has besides what dmhost needs, by name. What they recommend is not installed, and what
    /// they start is started. Packages that set up interfaces, rules, the resolver, the clock or an engine are refused.
    ///
    /// Absent: none.
    ///
    /// Example: `packages = ["tcpdump", "vim-tiny"]`
    #[schemars(default, length(min = 1), inner(regex(pattern = pattern::PACKAGE)))]
    pub packages: Field<List<String>>,
    /// Files that the host has besides.
    ///
    /// Absent: none.
    ///
    /// Example: `files = [{ path = "/etc/motd", content = "Only for the network team.\n" }]`
    #[schemars(default, length(min = 1))]
    pub files: Field<List<File>>,
}

/// `[host.admin]`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Admin {
    /// Where the section is.
    #[schemars(skip)]
    pub place: Place,
    /// The account: up to 32 lower-case letters, digits, `_` and `-`, a letter or `_` first. Names that Debian or dmhost
    /// has for itself are refused.
    ///
    /// Absent: `root`.
    ///
    /// Example: `user = "ops"`
    #[schemars(default, regex(pattern = pattern::USER), extend("default" = "root"))]
    pub user: Field<String>,
    /// The interface that sshd answers on. It has `addresses` and is in no daemon's `interfaces`.
    ///
    /// Example: `interface = "lan"`
    #[schemars(regex(pattern = pattern::INTERFACE))]
    pub interface: Field<String>,
    /// Public keys, each one line of a `.pub` file: Ed25519, ECDSA, RSA, or those of a hardware token (`sk-`). A private
    /// key is refused.
    ///
    /// Example: `authorized-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINX5ZgmTZ55QZxrBqHe8Zapdvujm+Oi6bFcFo03nyEuV ops"]`
    #[schemars(length(min = 1), inner(regex(pattern = pattern::AUTHORIZED_KEY)))]
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
                engine: table.string("engine", report),
                kernel: table.string("kernel", report),
                disk: table.string("disk", report),
                admin: admin(table.table("admin", report), report),
                packages: table.strings("packages", report),
                files: files(table.tables("files", report), report),
            };
            table.finish(report).require(&host.name, "name", "name = \"atlas\"", report);
            Field::Given(At { value: host, place })
        }
    }
}

fn files(tables: Field<List<Table<'_>>>, report: &mut Report) -> Field<List<File>> {
    match tables {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: List { items, complete }, place }) => {
            let items =
                items.into_iter().map(|At { value, place }| At { value: file::read(value, report), place }).collect();
            Field::Given(At { value: List { items, complete }, place })
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
