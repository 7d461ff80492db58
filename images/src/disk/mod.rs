//! The disk: a GUID partition table with an EFI system partition and a btrfs root, in a sparse file.
//!
//! Written and read in process: no loop device, no mount, no rights.

mod boot;
mod legacy;
mod memory;
mod sparse;
mod window;

use std::collections::BTreeMap;

use anyhow::Context;
use camino::Utf8Path;
use fs_err::File;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types;

use crate::contents::Contents;
use crate::identity::Identity;

pub use boot::Boot;
pub(crate) use boot::{BootFiles, make as make_boot};
pub(crate) use sparse::{Ahead, allocated, copy_into, data};
pub use window::Window;

/// The partition label of the root, which the kernel command line names.
pub const ROOT_LABEL: &str = "dmhost-root";

const MIB: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// Room for a handful of kernels with their initramfs.
const ESP: u64 = 512 * MIB;
/// Less leaves no room for what the base unpacks to.
const SMALLEST: u64 = 2 << 30;

/// A stretch of the disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub length: u64,
}

/// Where things stand on a disk. Everything is aligned to 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// The whole disk, in bytes.
    pub size: u64,
    /// The EFI system partition.
    pub esp: Extent,
    /// The root partition: all the rest, but the last MiB, where the second partition table is.
    pub root: Extent,
}

impl Geometry {
    /// The geometry of a disk of at least 2 GiB; what is over a whole MiB is left out.
    ///
    /// # Errors
    /// If the disk is smaller.
    pub fn of(size: u64) -> anyhow::Result<Self> {
        anyhow::ensure!(size >= SMALLEST, "a disk of {size} bytes is too small: an image needs at least 2 GiB");
        let size = size / MIB * MIB;
        let esp = Extent { start: MIB, length: ESP };
        let start = esp.start + esp.length;
        Ok(Self { size, esp, root: Extent { start, length: size - start - MIB } })
    }
}

/// Makes an empty file a disk of this geometry: the partition tables alone.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn create(mut file: File, geometry: &Geometry, identity: &Identity) -> anyhow::Result<File> {
    let path = file.path().display().to_string();
    file.set_len(geometry.size)?;
    let blocks = u32::try_from(geometry.size / SECTOR - 1).unwrap_or(u32::MAX);
    let mut sector = ProtectiveMBR::with_lb_size(blocks);
    sector.set_bootcode(legacy::boot_code());
    sector.overwrite_lba0(&mut file).with_context(|| format!("could not write the MBR of {path}"))?;
    let mut table = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(LogicalBlockSize::Lb512)
        .create_from_device(&mut file, Some(identity.uuid("disk")))
        .with_context(|| format!("could not make a partition table in {path}"))?;
    let partition = |extent: Extent, part_type_guid, name: &str| Partition {
        part_type_guid,
        part_guid: identity.uuid(name),
        first_lba: extent.start / SECTOR,
        last_lba: (extent.start + extent.length) / SECTOR - 1,
        flags: 0,
        name: name.to_owned(),
    };
    let partitions = BTreeMap::from([
        (1, partition(geometry.esp, partition_types::EFI, "dmhost-esp")),
        (2, partition(geometry.root, partition_types::LINUX_ROOT_X64, ROOT_LABEL)),
    ]);
    table.update_partitions(partitions).with_context(|| format!("could not place the partitions of {path}"))?;
    table.write().with_context(|| format!("could not write the partition table of {path}"))?;
    Ok(file)
}

/// A disk that dmhost made, opened to be read.
#[derive(Debug)]
pub struct Disk {
    file: File,
    /// Where its EFI system partition is.
    pub esp: Extent,
    /// Where its root is.
    pub root: Extent,
}

/// Opens a raw image.
///
/// # Errors
/// If it has no sound partition table with an EFI system partition and a partition named [`ROOT_LABEL`].
pub fn open(path: &Utf8Path) -> anyhow::Result<Disk> {
    let mut file = File::open(path)?;
    let table = gpt::GptConfig::new()
        .logical_block_size(LogicalBlockSize::Lb512)
        .open_from_device(&mut file)
        .with_context(|| format!("{path} has no partition table: it is no image of a disk"))?;
    let extent = |partition: &Partition| -> anyhow::Result<Extent> {
        let sectors =
            partition.last_lba.checked_sub(partition.first_lba).context("a partition ends before it begins")? + 1;
        Ok(Extent { start: partition.first_lba * SECTOR, length: sectors * SECTOR })
    };
    let find = |wanted: &dyn Fn(&Partition) -> bool| table.partitions().values().find(|partition| wanted(partition));
    let esp = find(&|partition| partition.part_type_guid == partition_types::EFI);
    let root = find(&|partition| partition.name == ROOT_LABEL);
    let esp = extent(esp.with_context(|| format!("{path} has no EFI system partition"))?)?;
    let root = extent(root.with_context(|| format!("{path} has no partition named {ROOT_LABEL}"))?)?;
    drop(table);
    Ok(Disk { file, esp, root })
}

impl Disk {
    /// Kernel, initramfs and command line of its boot entry.
    ///
    /// # Errors
    /// If the EFI system partition is not FAT, or its entry names files that are not there.
    pub fn boot(&self) -> anyhow::Result<Boot> {
        boot::read(Window::new(self.file.file(), self.esp))
    }

    /// Everything that the root holds, subvolume by subvolume.
    ///
    /// # Errors
    /// If it is no btrfs, or is damaged.
    pub fn contents(&self) -> anyhow::Result<Contents> {
        crate::btrfs::read(self.file.file(), self.root)
    }

    /// Hands out the bytes of every file and link that the root holds, with its path: subvolume, then the way from there.
    ///
    /// # Errors
    /// If it is no btrfs, or is damaged.
    pub fn each_file(&self, mut each: impl FnMut(&str, &[u8])) -> anyhow::Result<()> {
        crate::btrfs::each_file(self.file.file(), self.root, &mut each)
    }

    /// The root partition, to be read.
    pub fn root(&self) -> Window<&std::fs::File> {
        Window::new(self.file.file(), self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_takes_what_is_left() {
        let geometry = Geometry::of((64 << 30) + 1000).expect("it is large enough");
        assert_eq!(geometry.size, 64 << 30);
        assert_eq!(geometry.root.start, 513 * MIB);
        assert_eq!(geometry.root.start + geometry.root.length + MIB, geometry.size);
        let error = Geometry::of(1 << 30).expect_err("it is too small");
        assert_eq!(error.to_string(), "a disk of 1073741824 bytes is too small: an image needs at least 2 GiB");
    }
}
