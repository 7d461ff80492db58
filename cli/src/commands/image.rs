//! The image that `verify` and `run` boot: the one that was named, or one that is built and thrown away.

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::BuildRequest;
use dmhost_layout::HostPlan;
use dmhost_pki::Pki;
use tempfile::TempDir;

use super::build::{FromPki, make};
use crate::args::Machine;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// An image for one run.
#[derive(Debug)]
pub(super) struct Image {
    path: Utf8PathBuf,
    _folder: Option<TempDir>,
}

impl Image {
    /// The image of `--image`, or a fresh one below the cache.
    pub(super) fn of(
        machine: &Machine,
        plan: &HostPlan,
        pki: &Pki,
        cache: &Utf8Path,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        if let Some(path) = &machine.image {
            if !path.is_file() {
                return Err(Failure::Usage(anyhow!("{path} is not a file; `dmhost build` makes one")));
            }
            return Ok(Self { path: path.clone(), _folder: None });
        }
        fs_err::create_dir_all(cache).context("cannot make the cache's folder")?;
        let folder = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(cache)
            .with_context(|| format!("cannot make a folder in {cache}"))?;
        let path = Utf8PathBuf::try_from(folder.path().join("host.raw")).context("the cache's path is not UTF-8")?;
        let layout = dmhost_layout::render(plan);
        let secrets = FromPki(pki);
        let request =
            BuildRequest { plan, layout: &layout, secrets: &secrets, out: &path, cache_dir: Some(cache), force: false };
        make(&request, terminal)?;
        Ok(Self { path, _folder: Some(folder) })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }
}
