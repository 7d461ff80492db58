//! Disks and the machines they are put into. The copy of the image goes with the disk, the firmware's variables with the machine:
//! one that is new to a disk finds it by the removable media path (UEFI specification, 3.5.1.1), one that knows it by its
//! own boot entry.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use dmhost_images::Format;
use fs_err::os::unix::fs::OpenOptionsExt;
use tempfile::TempDir;

use super::firmware;
use super::power::Doomed;
use crate::bed::{BedRequest, Outside, bare};
use crate::vm::{self, Boot, Disk, DiskBus, DiskFormat, Verdict};

/// An image on a disk: a copy, as `dd` or an import makes one.
#[derive(Debug)]
pub struct Installed {
    folder: TempDir,
    path: PathBuf,
    format: DiskFormat,
}

impl Installed {
    /// Copies an image, raw or qcow2, to a disk of `size` bytes (`None`: the image's own size).
    ///
    /// # Errors
    /// If the image cannot be read or the disk not be made.
    pub fn new(image: &Utf8Path, size: Option<u64>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dmhost-disk-").tempdir().context("cannot make a folder")?;
        let path = folder.path().join("disk");
        let place = Utf8Path::from_path(&path).context("the temporary folder's name is not UTF-8")?;
        let format = match Format::found_in(image)? {
            // Its holes stay holes.
            Format::Raw => {
                Format::Raw.unpack(image, place)?;
                DiskFormat::Raw
            }
            Format::Qcow2 => {
                let mut options = fs_err::OpenOptions::new();
                let mut to = options.write(true).create_new(true).mode(0o600).open(&path)?;
                std::io::copy(&mut fs_err::File::open(image)?, &mut to)
                    .with_context(|| format!("cannot copy {image}"))?;
                DiskFormat::Qcow2
            }
        };
        let installed = Self { folder, path, format };
        if let Some(size) = size {
            installed.resize(size)?;
        }
        Ok(installed)
    }

    fn resize(&self, size: u64) -> Result<()> {
        let format = match self.format {
            DiskFormat::Raw => "raw",
            DiskFormat::Qcow2 => "qcow2",
        };
        let mut command = std::process::Command::new("qemu-img");
        command.args(["resize", "-q", "-f", format]).arg(&self.path).arg(size.to_string());
        let output = command.output().map_err(|error| {
            Verdict::Infrastructure(format!("qemu-img (Debian: qemu-utils) cannot be run: {error}"))
        })?;
        if !output.status.success() {
            bail!("qemu-img cannot resize a disk: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The folder of the disk, for what else belongs to this host: its ssh key as first seen.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The disk's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its format.
    pub(super) fn format(&self) -> DiskFormat {
        self.format
    }
}

/// A machine that a disk is put into.
#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
    boot: Boot,
    bus: DiskBus,
}

impl Machine {
    /// A machine with UEFI that has never seen a disk: with virtio the NICs are virtio's too, else cards of metal.
    ///
    /// # Errors
    /// If there is no UEFI firmware on this machine.
    pub fn uefi(bus: DiskBus) -> Result<Self> {
        let firmware = firmware::find()?;
        let folder = tempfile::Builder::new().prefix("dmhost-machine-").tempdir().context("cannot make a folder")?;
        let variables = folder.path().join("variables.fd");
        fs_err::copy(firmware.variables, &variables)?;
        Ok(Self { folder, boot: Boot::Firmware { code: firmware.code.into(), variables }, bus })
    }

    /// A machine of before UEFI.
    ///
    /// # Errors
    /// If its folder cannot be made.
    pub fn bios(bus: DiskBus) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dmhost-machine-").tempdir().context("cannot make a folder")?;
        Ok(Self { folder, boot: Boot::Bios, bus })
    }

    /// Boots from the disk. The request's image serves to measure this machine's pace alone.
    ///
    /// # Errors
    /// If QEMU cannot be started; a [`vm::Verdict`] in the chain tells why.
    pub fn boot(&self, request: &BedRequest<'_>, disk: &Installed) -> Result<Outside> {
        let disk = Disk { path: disk.path.clone(), format: disk.format, bus: self.bus, writes: None };
        self.start(request, disk)
    }

    /// Boots from the disk to cut the power. Until then the disk is not written to: its writes are kept aside, as a drive keeps
    /// them in its cache.
    ///
    /// # Errors
    /// As [`Machine::boot`], and if the disk is not raw.
    pub fn boot_doomed<'a>(&self, request: &BedRequest<'_>, disk: &'a Installed) -> Result<Doomed<'a>> {
        Doomed::boot(disk, |cache, writes| {
            let disk = Disk { bus: self.bus, writes: Some(writes), ..cache };
            self.start(request, disk)
        })
    }

    fn start(&self, request: &BedRequest<'_>, disk: Disk) -> Result<Outside> {
        let image = request.image;
        Outside::boot(request.plan, request.report, &mut |_| {}, |run_dir: &Path| {
            let kernel = self.folder.path().join("kernel");
            if !kernel.exists() {
                let image =
                    dmhost_images::disk::open(image).with_context(|| format!("{image} is no image of dmhost's"))?;
                fs_err::write(&kernel, image.boot()?.kernel)?;
            }
            let (engine, pace) = vm::probe(request.accel, &kernel, Some(request.cache_dir))?;
            Ok((bare(request.plan, run_dir, self.boot.clone(), disk, engine), pace))
        })
    }
}
