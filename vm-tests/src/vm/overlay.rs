//! The disk of a run: a qcow2 overlay over an image that is only read, thrown away with the run folder.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::spec::{Disk, DiskBus, DiskFormat};
use super::verdict::Verdict;

/// Makes `disk.qcow2` in `folder` over the raw `image`, of `size` bytes if that is given and larger. The image is never
/// written to.
///
/// # Errors
/// If the image does not exist or `qemu-img create` fails.
pub fn overlay(folder: &Path, image: &Path, size: Option<u64>) -> anyhow::Result<Disk> {
    let image = fs_err::canonicalize(image).context("there is no image to boot")?;
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&image)
        .arg(folder.join("disk.qcow2"))
        .args(size.map(|size| size.to_string()))
        .output()
        .map_err(|error| Verdict::Infrastructure(format!("qemu-img (Debian: qemu-utils) cannot be run: {error}")))?;
    if !output.status.success() {
        bail!(
            "qemu-img cannot make an overlay over {}: {}",
            image.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(Disk { path: "disk.qcow2".into(), format: DiskFormat::Qcow2, bus: DiskBus::Virtio, writes: None })
}
