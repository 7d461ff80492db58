//! The truth lane: an image on a disk of its own, booted as its user would boot it. UEFI reads the boot loader from the disk; no
//! kernel is handed in, no credential enters, no agent answers. What is known of the host is what its networks see, and what
//! its administrator is told over ssh.
//!
//! * [`Installed`]: the disk and the firmware's variables, which stay over boots;
//! * [`served`]: waiting until every API and sshd answer on their own networks;
//! * [`Ssh`]: the administrator, with the real client.

mod firmware;
mod served;
mod ssh;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use camino::Utf8Path;
use tempfile::TempDir;

use crate::bed::{BedRequest, Outside, memory};
use crate::vm::{self, Boot, Console, Disk, DiskBus, VmSpec};

pub use served::{Served, served, sshd_listens};
pub use ssh::{Ssh, admin_key};

/// An image on a disk. The image itself is only read; what hosts write goes with this.
#[derive(Debug)]
pub struct Installed {
    folder: TempDir,
    disk: Disk,
    code: PathBuf,
    variables: PathBuf,
}

impl Installed {
    /// Puts the image on a disk of `size` bytes (`None`: the image's own size).
    ///
    /// # Errors
    /// If there is no UEFI firmware on this machine, or the disk cannot be made.
    pub fn new(image: &Utf8Path, size: Option<u64>) -> Result<Self> {
        let firmware = firmware::find()?;
        let folder = tempfile::Builder::new().prefix("dmhost-disk-").tempdir().context("cannot make a folder")?;
        let variables = folder.path().join("variables.fd");
        fs_err::copy(firmware.variables, &variables)?;
        let overlay = vm::overlay(folder.path(), image.as_std_path(), size)?;
        let disk = Disk { path: folder.path().join(overlay.path), ..overlay };
        Ok(Self { folder, disk, code: firmware.code.into(), variables })
    }

    /// Boots from the disk, attached to `bus`: with virtio the NICs are virtio's too, else cards of metal. The request's image
    /// serves to measure this machine's pace alone.
    ///
    /// # Errors
    /// If QEMU cannot be started; a [`vm::Verdict`] in the chain tells why.
    pub fn boot(&self, request: &BedRequest<'_>, bus: DiskBus) -> Result<Outside> {
        let image = request.image;
        Outside::boot(request.plan, request.report, &mut |_| {}, |run_dir: &Path| {
            let kernel = self.folder.path().join("kernel");
            if !kernel.exists() {
                let disk =
                    dmhost_images::disk::open(image).with_context(|| format!("{image} is no image of dmhost's"))?;
                fs_err::write(&kernel, disk.boot()?.kernel)?;
            }
            let (engine, pace) = vm::probe(request.accel, &kernel, Some(request.cache_dir))?;
            let boot = Boot::Firmware { code: self.code.clone(), variables: self.variables.clone() };
            let spec = VmSpec {
                boot,
                disk: Some(Disk { bus, ..self.disk.clone() }),
                memory: memory(request.plan),
                cpus: 2,
                nics: Vec::new(),
                run_dir: run_dir.to_owned(),
                engine,
                credentials: Vec::new(),
                console: Console::Watched,
                incoming: false,
            };
            Ok((spec, pace))
        })
    }

    /// The folder of the disk, for what else belongs to this host: its ssh key as first seen.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
