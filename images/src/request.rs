//! What a build is asked for, and what came of it.

use std::time::Duration;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::HostPlan;

use crate::cache;
use crate::machine::Privilege;
use crate::pins::LockFile;
use crate::resolve::Resolution;
use crate::sources::Mirror;
use crate::step::Options;
use crate::tree::Secrets;

/// What an image is made of and where it goes.
pub struct BuildRequest<'a> {
    /// The host.
    pub plan: &'a HostPlan,
    /// Its files.
    pub layout: &'a Layout,
    /// The bytes of its secrets.
    pub secrets: &'a dyn Secrets,
    /// The image to write.
    pub out: &'a Utf8Path,
    /// The cache's folder; `None`: [`cache::default_cache_dir`].
    pub cache_dir: Option<&'a Utf8Path>,
    /// Whether an image that is there may be replaced.
    pub force: bool,
    /// The lock; `None`: packages are those the cache last resolved for the recipe, else what the archive has.
    pub lock: Option<LockFile>,
    /// Where packages come from; `None`: the mirror that this machine uses.
    pub mirror: Option<Mirror>,
    /// Whether the network is not to be used.
    pub offline: bool,
    /// The key of the engine's own archive, where it has one.
    pub engine_key: Option<&'a Utf8Path>,
    /// The most bytes that the cache may take after a build that added to it: what was not used for longest is removed, and
    /// nothing that is in use. `None`: as many as there are.
    pub cache_limit: Option<u64>,
    /// The most bytes of memory that the root file system may take while it is made. What may be more is made beside the
    /// image. `None`: half of what is free.
    pub memory: Option<u64>,
    /// The spec's bytes, whose SHA-256 stands in `IMAGE.json`.
    pub spec: Option<&'a [u8]>,
}

impl std::fmt::Debug for BuildRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plan, layout: _, secrets: _, out, cache_dir, force, lock, mirror, offline, cache_limit, .. } = self;
        let mut debug = f.debug_struct("BuildRequest");
        debug.field("host", &plan.host.name).field("out", out).field("cache_dir", cache_dir).field("force", force);
        debug.field("lock", lock).field("mirror", mirror).field("offline", offline).field("cache_limit", cache_limit);
        debug.finish_non_exhaustive()
    }
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its size in bytes: the disk's.
    pub bytes: u64,
    /// What it takes on the file system, in bytes: holes take nothing.
    pub allocated: u64,
    /// Whether the base came from the cache.
    pub base_cached: bool,
    /// Its packages, and whether a lock was written with them.
    pub packages: Resolution,
    /// The tree hash: SHA-256 over every path, mode, owner, attribute and content that was read back. Two builds of one
    /// lock, spec and PKI have the same.
    pub tree: String,
    /// What each step took, by its title.
    pub timings: Vec<(String, Duration)>,
}

impl<'a> BuildRequest<'a> {
    /// A build that asks for nothing else: in the default cache, of what the mirror of this machine has, over no image that is there.
    pub fn new(plan: &'a HostPlan, layout: &'a Layout, secrets: &'a dyn Secrets, out: &'a Utf8Path) -> Self {
        Self {
            plan,
            layout,
            secrets,
            out,
            cache_dir: None,
            force: false,
            lock: None,
            mirror: None,
            offline: false,
            engine_key: None,
            cache_limit: None,
            memory: None,
            spec: None,
        }
    }

    /// What this build is asked for, on this machine.
    ///
    /// # Errors
    /// If no cache folder can be found, or the image's path has no name.
    pub fn options(&self) -> anyhow::Result<Options> {
        let cache_dir = match self.cache_dir {
            Some(folder) => folder.to_owned(),
            None => cache::default_cache_dir()?,
        };
        let absolute =
            |path: &Utf8Path| camino::absolute_utf8(path).with_context(|| format!("could not tell where {path} is"));
        let out = absolute(self.out)?;
        anyhow::ensure!(out.file_name().is_some(), "{out} names no file");
        Ok(Options {
            out,
            force: self.force,
            cache_dir: absolute(&cache_dir)?,
            lock: self.lock.clone(),
            mirror: self.mirror.clone().unwrap_or_else(Mirror::of_this_machine),
            privilege: Privilege::of_this_process(),
            offline: self.offline,
            engine_key: self.engine_key.map(absolute).transpose()?,
        })
    }
}
