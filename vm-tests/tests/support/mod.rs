//! Hosts for the cases: a spec, its keys made for this run alone, its image, and the running machine.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::{HostPlan, plan_from_toml, render};
use dmhost_pki::Pki;
use tempfile::TempDir;
use vm_tests::bed::{BedRequest, Testbed, image_of};
use vm_tests::proof::containers;
use vm_tests::vm::{Accel, cache_dir};

use crate::cases::truth::Admin;

/// A host with its keys and its image.
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
    folder: Utf8PathBuf,
}

/// A host for one test, which is alone with it.
#[derive(Debug)]
pub(crate) struct Own {
    host: Host,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// A host for many tests, of which one is at it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Who may log in.
    pub(crate) admin: &'static Admin,
    host: &'static Host,
    _alone: MutexGuard<'static, ()>,
}

impl Deref for Own {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Deref for Shared {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host
    }
}

/// Held while a host is built and runs: on two cores one at a time is faster than two, and timers starve.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A case that panicked left nothing behind that the next one sees.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The example with two VLANs and an administrator of this run, whose image is built once, and booted once by those that take it as it is
/// after that.
pub(crate) fn two_vlans() -> Result<Shared> {
    static HOST: OnceLock<(Admin, Host)> = OnceLock::new();
    let alone = alone();
    let (admin, host) = if let Some(made) = HOST.get() {
        made
    } else {
        // Nothing is dropped at the end of a process: so it is where the next run finds and removes it.
        let folder = Utf8PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("two-vlans");
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir(&folder)?;
        let admin = Admin::new(folder.as_std_path())?;
        let host = Host::in_folder(folder, "../examples/two-vlans.toml", |text| admin.may_log_in(&text, "cloud"))?;
        HOST.get_or_init(|| (admin, host))
    };
    Ok(Shared { admin, host, _alone: alone })
}

impl Own {
    /// Plans a spec of this repository (a path from this crate's folder), makes its keys and builds its image.
    pub(crate) fn of(spec: &str) -> Result<Self> {
        // The cloud kernel and its packages alone for every host but those that are about them: each further base takes its
        // time.
        let own = |line: &&str| !line.starts_with("packages = ");
        let plain = |text: String| text.lines().filter(own).map(|line| format!("{line}\n")).collect::<String>();
        Self::edited(spec, |text| plain(text).replace("kernel = \"generic\"", "kernel = \"cloud\""))
    }

    /// [`Own::of`] with a spec that is changed before it is read.
    pub(crate) fn edited(spec: &str, edit: impl FnOnce(String) -> String) -> Result<Self> {
        let alone = alone();
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let path = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?;
        let host = Host::in_folder(path.to_owned(), spec, edit)?;
        Ok(Self { host, _folder: folder, _alone: alone })
    }
}

impl Host {
    fn in_folder(folder: Utf8PathBuf, spec: &str, edit: impl FnOnce(String) -> String) -> Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(spec);
        let text = edit(fs_err::read_to_string(file)?);
        let (plan, diagnostics) = plan_from_toml(spec, &text);
        let plan = plan.ok_or_else(|| anyhow!("{}", diagnostics.render(false)))?;
        let keys = folder.join("host.pki");
        dmhost_pki::init(&plan, &keys, SystemTime::now())?;
        let pki = Pki::open(&keys)?;
        let mut host = Self { plan, pki, keys, image: Utf8PathBuf::new(), folder };
        host.image = host.build("host.raw")?;
        Ok(host)
    }

    /// Builds its image, in the format that the name says.
    pub(crate) fn build(&self, name: &str) -> Result<Utf8PathBuf> {
        let image = self.folder.join(name);
        image_of(&self.plan, &render(&self.plan), &self.pki, &image)?;
        Ok(image)
    }

    /// Boots it.
    pub(crate) fn boot(&self) -> Result<Testbed> {
        Testbed::boot(&self.request(&cache_dir()?), &mut |_| {})
    }

    /// As it is when it has booted and its probe containers run, restored if it was booted before.
    pub(crate) fn settled(&self) -> Result<Testbed> {
        containers::settled(&self.request(&cache_dir()?), &mut |_| {})
    }

    /// What it takes to boot it.
    pub(crate) fn request<'a>(&'a self, cache_dir: &'a Path) -> BedRequest<'a> {
        BedRequest { plan: &self.plan, image: &self.image, accel: Accel::Auto, cache_dir, report: None }
    }
}
