//! The image that `verify`, `run` and `lab` boot: the one that was named, or one that is built and thrown away.

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::pins::lock_path;
use dmhost_images::{BuildRequest, Format, LockFile, LockMode};
use dmhost_layout::HostPlan;
use dmhost_pki::Pki;
use vm_tests::bed::BedRequest;

use super::build::{FromPki, make};
use super::verify::accel;
use crate::args::Machine;
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::terminal::Terminal;

/// An image for one run.
pub(super) struct Image {
    path: Utf8PathBuf,
    _folder: Option<Scratch>,
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
            let format = Format::found_in(path).map_err(Failure::Usage)?;
            let (raw, folder) = match format {
                Format::Raw => (path.clone(), None),
                Format::Qcow2 => {
                    fs_err::create_dir_all(cache).context("cannot make the cache's folder")?;
                    let folder = Scratch::numbered(cache, "run-")?;
                    let raw = folder.join("host.raw");
                    format.unpack(path, &raw)?;
                    (raw, Some(folder))
                }
            };
            dmhost_images::disk::open(&raw)
                .and_then(|disk| disk.boot())
                .with_context(|| format!("{path} is no image of dmhost's; `dmhost build` makes one"))
                .map_err(Failure::Usage)?;
            return Ok(Self { path: raw, _folder: folder });
        }
        fs_err::create_dir_all(cache).context("cannot make the cache's folder")?;
        let folder = Scratch::numbered(cache, "run-")?;
        let path = folder.join("host.raw");
        let layout = dmhost_layout::render(plan);
        let secrets = FromPki(pki);
        let request = BuildRequest {
            cache_dir: Some(cache),
            lock: Some(LockFile { path: lock_path(&machine.spec.path), mode: LockMode::Read }),
            engine_key: machine.engine.engine_key.as_deref(),
            cache_limit: machine.limit.cache_limit,
            ..BuildRequest::new(plan, &layout, &secrets, &path)
        };
        make(&request, terminal)?;
        Ok(Self { path, _folder: Some(folder) })
    }

    /// What is asked of a bed for it.
    pub(super) fn request<'a>(
        &'a self,
        machine: &Machine,
        plan: &'a HostPlan,
        cache: &'a Utf8Path,
        report: Option<&'a Utf8Path>,
    ) -> BedRequest<'a> {
        BedRequest {
            plan,
            image: &self.path,
            accel: accel(machine.accel),
            cache_dir: cache.as_std_path(),
            report: report.map(Utf8Path::as_std_path),
        }
    }
}
