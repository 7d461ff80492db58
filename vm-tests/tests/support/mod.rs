//! Hosts for the cases: a spec, its keys made for this run alone, its image, and the running machine.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::{HostPlan, plan_from_toml, render};
use dmhost_pki::Pki;
use tempfile::TempDir;
use vm_tests::bed::{BedRequest, Testbed, image_of};
use vm_tests::vm::{Accel, cache_dir};

/// A host with its keys and its image, in a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its plan.
    pub(crate) plan: HostPlan,
    /// Its keys.
    pub(crate) pki: Pki,
    /// Where they are.
    pub(crate) keys: Utf8PathBuf,
    /// Its image.
    pub(crate) image: Utf8PathBuf,
    folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Held while a host is built and runs: on two cores one at a time is faster than two, and timers starve.
static ALONE: Mutex<()> = Mutex::new(());

impl Host {
    /// Plans a spec of this repository (a path from this crate's folder), makes its keys and builds its image.
    pub(crate) fn of(spec: &str) -> Result<Self> {
        // The cloud kernel and its packages alone for every host but those that are about them: each further base takes its
        // time.
        let own = |line: &&str| !line.starts_with("packages = ");
        let plain = |text: String| text.lines().filter(own).map(|line| format!("{line}\n")).collect::<String>();
        Self::edited(spec, |text| plain(text).replace("kernel = \"generic\"", "kernel = \"cloud\""))
    }

    /// [`Host::of`] with a spec that is changed before it is read.
    pub(crate) fn edited(spec: &str, edit: impl FnOnce(String) -> String) -> Result<Self> {
        // A case that panicked left nothing behind that the next one sees.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(spec);
        let text = edit(fs_err::read_to_string(file)?);
        let (plan, diagnostics) = plan_from_toml(spec, &text);
        let plan = plan.ok_or_else(|| anyhow!("{}", diagnostics.render(false)))?;
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let path = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?;
        let keys = path.join("host.pki");
        dmhost_pki::init(&plan, &keys, SystemTime::now())?;
        let pki = Pki::open(&keys)?;
        let mut host = Self { plan, pki, keys, image: Utf8PathBuf::new(), folder, _alone: alone };
        host.image = host.build("host.raw")?;
        Ok(host)
    }

    /// Builds its image, in the format that the name says.
    pub(crate) fn build(&self, name: &str) -> Result<Utf8PathBuf> {
        let folder = Utf8Path::from_path(self.folder.path()).context("the temporary folder's name is not UTF-8")?;
        let image = folder.join(name);
        image_of(&self.plan, &render(&self.plan), &self.pki, &image)?;
        Ok(image)
    }

    /// Boots it.
    pub(crate) fn boot(&self) -> Result<Testbed> {
        Testbed::boot(&self.request(&cache_dir()?), &mut |_| {})
    }

    /// What it takes to boot it.
    pub(crate) fn request<'a>(&'a self, cache_dir: &'a Path) -> BedRequest<'a> {
        BedRequest { plan: &self.plan, image: &self.image, accel: Accel::Auto, cache_dir, report: None }
    }
}
