//! What a layout is for: the system whose files it joins.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::nixos::RESOLVER;
use super::program::Program;
use crate::plan::{DaemonName, Engine, HostPlan};

/// The system that a layout is rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A base of `images/recipes/` with this engine: the layout is all there is beside the packages.
    Debian(Engine),
    /// NixOS with the module of `nix/module.nix`, which takes the layout apart and says the rest as options.
    Nixos(Nixos),
}

/// Where a NixOS system has what a layout refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nixos {
    /// Programs by their absolute paths; one that is not here is the system profile's.
    pub programs: BTreeMap<Program, Utf8PathBuf>,
    /// The folder with `NAME/ca.pem`, `NAME/cert.pem` and `NAME/key.pem` of each daemon: absolute, and not in the store.
    pub credentials: Utf8PathBuf,
}

impl Nixos {
    /// `credentials` unless something else is said.
    pub const CREDENTIALS: &str = "/var/lib/dmhost/credentials";
}

impl Default for Nixos {
    fn default() -> Self {
        Self { programs: BTreeMap::new(), credentials: Self::CREDENTIALS.into() }
    }
}

/// How dockerd finds the name servers of its zone as `/etc/resolv.conf`.
#[derive(Debug)]
pub(super) struct Resolver {
    /// A folder of the zone's own below `/run`, into which the file is copied first.
    pub(super) folder: Option<String>,
    /// What is bound in the zone's mount namespace, and over what.
    pub(super) source: Utf8PathBuf,
    pub(super) place: &'static str,
}

impl Target {
    /// The base that the spec asks for.
    pub fn base(plan: &HostPlan) -> Self {
        Self::Debian(plan.host.engine)
    }

    /// The path of a program.
    pub(super) fn path(&self, program: Program) -> String {
        match self {
            Self::Debian(engine) => program.on_debian(*engine).to_owned(),
            Self::Nixos(nixos) => match nixos.programs.get(&program) {
                Some(path) => path.to_string(),
                None => program.on_nixos(),
            },
        }
    }

    /// The name servers of a zone, which are in `file`.
    ///
    /// On NixOS `/etc/resolv.conf` is a link into the store, which a switch to another generation replaces: what was bound
    /// over its end would be lost to the zone. There it ends in a folder of `/run`, and the folder is what is bound over,
    /// with a copy: what is bound from the store goes when the store is swept.
    pub(super) fn resolver(&self, daemon: &DaemonName, file: &Utf8Path) -> Resolver {
        match self {
            Self::Debian(_) => Resolver { folder: None, source: file.to_owned(), place: "/etc/resolv.conf" },
            Self::Nixos(_) => {
                let folder = format!("dmhost_zone/{daemon}");
                Resolver { source: format!("/run/{folder}").into(), folder: Some(folder), place: RESOLVER }
            }
        }
    }
}
