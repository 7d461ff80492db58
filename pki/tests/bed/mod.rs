//! A PKI folder in a temporary place and the plan it is for: web and lab with an API, quiet without.
#![allow(dead_code, reason = "each file of tests takes what it needs")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::plan::{Api, Base, Daemon, DaemonName, Engine, Host, Isolation, Kernel};
use dmhost_pki::{Change, Pki, init};

/// What an error says, source by source.
pub(crate) fn message<T>(result: Result<T>) -> String {
    result.err().map_or_else(|| "no error".to_owned(), |error| format!("{error:#}"))
}

/// One day.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A folder that goes away with it.
pub(crate) struct Bed {
    place: tempfile::TempDir,
    dir: Utf8PathBuf,
}

impl Bed {
    /// A place without a PKI.
    pub(crate) fn new() -> Result<Self> {
        let place = tempfile::tempdir()?;
        let dir = Pki::path_for(Utf8Path::from_path(place.path()).context("not UTF-8")?.join("atlas.toml").as_ref());
        Ok(Self { place, dir })
    }

    /// The PKI folder.
    pub(crate) fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// A file in it.
    pub(crate) fn path(&self, relative: &str) -> Utf8PathBuf {
        self.dir.join(relative)
    }

    /// `init`, now.
    pub(crate) fn init(&self, plan: &HostPlan) -> Result<Vec<Change>> {
        init(plan, &self.dir, SystemTime::now())
    }

    /// The folder, opened.
    pub(crate) fn open(&self) -> Result<Pki> {
        Pki::open(&self.dir)
    }
}

/// A name that is one.
pub(crate) fn name(text: &str) -> DaemonName {
    text.parse().expect("tests use names of the right shape")
}

/// The plan.
pub(crate) fn plan() -> HostPlan {
    let daemons = [
        daemon("web", &["198.51.100.2", "2001:db8:10::2"], &["web.example.org"]),
        daemon("lab", &["203.0.113.2", "203.0.113.3", "2001:db8:20::2"], &["lab.example.net", "lab.internal"]),
        Daemon { api: None, ..daemon("quiet", &[], &[]) },
    ];
    HostPlan {
        host: Host {
            name: "atlas".to_owned(),
            base: Base::Debian13,
            engine: Engine::DockerIo,
            kernel: Kernel::Cloud,
            disk: 16 << 30,
            admin: None,
            packages: Vec::new(),
            files: Vec::new(),
        },
        interfaces: BTreeMap::new(),
        daemons: daemons.into_iter().map(|daemon| (daemon.name.clone(), daemon)).collect(),
        expects: Vec::new(),
    }
}

/// The API of a daemon of the plan, to be changed.
pub(crate) fn api<'a>(plan: &'a mut HostPlan, daemon: &str) -> &'a mut Api {
    plan.daemons.get_mut(&name(daemon)).and_then(|daemon| daemon.api.as_mut()).expect("the plan has this API")
}

fn daemon(text: &str, addresses: &[&str], names: &[&str]) -> Daemon {
    Daemon {
        name: name(text),
        isolation: Isolation::Zone,
        interfaces: Vec::new(),
        api: Some(Api {
            tls: true,
            port: 2376,
            addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
            names: names.iter().map(ToString::to_string).collect(),
            from: None,
        }),
        expose: None,
        egress: None,
        pools: Vec::new(),
        routed: Vec::new(),
        live_restore: true,
        settings: BTreeMap::new(),
        quota: None,
        resources: dmhost_layout::plan::Resources::default(),
        networks: Vec::new(),
    }
}

/// What a folder holds: path to mode and bytes; folders have none.
pub(crate) type Listing = BTreeMap<Utf8PathBuf, (u32, Option<Vec<u8>>)>;

/// Everything below a folder.
pub(crate) fn dir_of(dir: &Utf8Path) -> Result<Listing> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in next.read_dir_utf8()? {
            let path = entry?.into_path();
            let metadata = fs_err::metadata(&path)?;
            let bytes = if metadata.is_dir() { None } else { Some(fs_err::read(&path)?) };
            found.insert(path.strip_prefix(dir)?.to_owned(), (metadata.permissions().mode() & 0o7777, bytes));
            if metadata.is_dir() {
                todo.push(path);
            }
        }
    }
    Ok(found)
}

/// The paths of files that two such lists do not have in common or not with the same bytes.
pub(crate) fn changed(before: &Listing, after: &Listing) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).map(ToString::to_string).collect()
}
