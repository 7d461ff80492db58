//! What the firmware reads: FAT with systemd-boot and one entry of the Boot Loader Specification, type #1.
//!
//! <https://uapi-group.org/specifications/specs/boot_loader_specification/>

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};

use anyhow::Context;
use fatfs::{Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions, ReadWriteSeek};

use super::Window;
use super::memory::Memory;

const ENTRIES: &str = "loader/entries";
/// An entry for each kernel, named for its release: the boot loader takes the newest. The host itself adds those of kernels
/// that apt brings, and removes those of kernels that go (`layout`, `render/host/kernels.rs`).
const ENTRY: &str = "dmhost-";

/// What an EFI system partition is made of.
#[derive(Debug)]
pub(crate) struct BootFiles {
    /// systemd-boot, an EFI program.
    pub(crate) loader: Vec<u8>,
    /// The kernel.
    pub(crate) kernel: Vec<u8>,
    /// The initramfs.
    pub(crate) initrd: Vec<u8>,
    /// The kernel's release, which names their folder.
    pub(crate) release: String,
    /// The kernel command line.
    pub(crate) command_line: String,
    /// The entry's title.
    pub(crate) title: String,
}

/// What it takes to boot an image directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initramfs.
    pub initrd: Vec<u8>,
    /// The kernel command line.
    pub command_line: String,
}

/// A partition of this length, formatted and filled: its bytes up to the last that is used.
///
/// # Errors
/// If it is too small.
pub(crate) fn make(length: u64, files: &BootFiles) -> anyhow::Result<Vec<u8>> {
    let mut partition = Memory::new(length);
    let options =
        FormatVolumeOptions::new().fat_type(FatType::Fat32).bytes_per_cluster(4096).volume_label(*b"DMHOST-ESP ");
    fatfs::format_volume(&mut partition, options).context("could not format the EFI system partition")?;
    let folder = format!("dmhost/{}", files.release);
    let folders = ["EFI", "EFI/BOOT", "EFI/systemd", "loader", ENTRIES, "dmhost", &folder];
    let open = "could not open the EFI system partition just made";
    let fat = FileSystem::new(&mut partition, FsOptions::new()).context(open)?;
    for path in folders {
        fat.root_dir()
            .create_dir(path)
            .with_context(|| format!("could not make {path} on the EFI system partition"))?;
    }
    fat.unmount().context("could not put folders on the EFI system partition")?;
    mend_dot_entries(&mut partition, folders.len())
        .context("could not mend the folders of the EFI system partition")?;

    let fat = FileSystem::new(&mut partition, FsOptions::new()).context(open)?;
    let root = fat.root_dir();
    let entry = format!(
        "title {}\nversion {}\nlinux /{folder}/linux\ninitrd /{folder}/initrd\noptions {}\n",
        files.title, files.release, files.command_line
    );
    put(&root, "EFI/BOOT/BOOTX64.EFI", &files.loader)?;
    put(&root, "EFI/systemd/systemd-bootx64.efi", &files.loader)?;
    put(&root, "loader/loader.conf", b"timeout 0\ndefault dmhost-*\neditor no\n")?;
    put(&root, "loader/entries.srel", b"type1\n")?;
    put(&root, &format!("{ENTRIES}/{ENTRY}{}.conf", files.release), entry.as_bytes())?;
    put(&root, &format!("{folder}/linux"), &files.kernel)?;
    put(&root, &format!("{folder}/initrd"), &files.initrd)?;
    drop(root);
    // Counts the free clusters, which unmounting then writes down.
    fat.stats().context("could not count what is free on the EFI system partition")?;
    fat.unmount().context("could not finish the EFI system partition")?;
    Ok(partition.bytes)
}

/// fatfs 0.3 gives the entries `.` and `..` of a new folder a long name each; the specification wants them first and
/// bare, and `fsck.vfat` says so. On a volume with nothing but folders they are one cluster each, after the root's.
fn mend_dot_entries(partition: &mut Memory, folders: usize) -> std::io::Result<()> {
    const ENTRY_SIZE: usize = 32;
    const DELETED: u8 = 0xe5;
    let mut boot_sector = [0; 512];
    partition.seek(SeekFrom::Start(0))?;
    partition.read_exact(&mut boot_sector)?;
    let u16_at = |at: usize| u64::from(u16::from_le_bytes([boot_sector[at], boot_sector[at + 1]]));
    let sector = u16_at(11);
    let cluster = u64::from(boot_sector[13]) * sector;
    let fat_sectors = u16_at(36) | u16_at(38) << 16;
    let first = (u16_at(14) + u64::from(boot_sector[16]) * fat_sectors) * sector;
    for index in 1..=folders as u64 {
        let at = first + index * cluster;
        let mut entries = [0; 4 * ENTRY_SIZE];
        partition.seek(SeekFrom::Start(at))?;
        partition.read_exact(&mut entries)?;
        let (dot, dots) = (&entries[ENTRY_SIZE..][..11], &entries[3 * ENTRY_SIZE..][..11]);
        if dot != b".          " || dots != b"..         " {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "a folder is not where it was expected"));
        }
        entries.copy_within(ENTRY_SIZE..2 * ENTRY_SIZE, 0);
        entries.copy_within(3 * ENTRY_SIZE.., ENTRY_SIZE);
        // In a folder of the root `..` is cluster 0, not the root's own.
        if entries[ENTRY_SIZE + 26..][..2] == boot_sector[44..46] {
            entries[ENTRY_SIZE + 26..][..2].fill(0);
        }
        entries[2 * ENTRY_SIZE] = DELETED;
        entries[3 * ENTRY_SIZE] = DELETED;
        partition.seek(SeekFrom::Start(at))?;
        partition.write_all(&entries)?;
    }
    // fatfs begins where the partition stands.
    partition.rewind()
}

fn put<T: ReadWriteSeek>(root: &Dir<'_, T>, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file =
        root.create_file(path).with_context(|| format!("could not make {path} on the EFI system partition"))?;
    file.write_all(bytes).with_context(|| format!("could not write {path} to the EFI system partition"))
}

/// Reads the one entry of an image and the files it names.
pub(crate) fn read(partition: Window<&std::fs::File>) -> anyhow::Result<Boot> {
    let fat = FileSystem::new(partition, FsOptions::new()).context("the EFI system partition is not FAT")?;
    let root = fat.root_dir();
    let folder = root.open_dir(ENTRIES).context("the EFI system partition has no boot entries")?;
    let names: Vec<String> = folder
        .iter()
        .map(|entry| Ok(entry?.file_name()))
        .filter(|name| name.as_ref().is_ok_and(|name| name.starts_with(ENTRY)) || name.is_err())
        .collect::<std::io::Result<_>>()
        .context("could not list the boot entries")?;
    let [name] = &names[..] else { anyhow::bail!("there is not one boot entry of dmhost's but {names:?}") };
    let entry = get(&folder, name)?;
    let entry = String::from_utf8(entry).with_context(|| format!("{name} is not text"))?;
    let value = |key: &str| {
        let mut lines = entry.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let found = lines.find(|(word, _)| *word == key).map(|(_, value)| value.trim().to_owned());
        found.with_context(|| format!("{name} has no line `{key}`"))
    };
    Ok(Boot {
        kernel: get(&root, value("linux")?.trim_start_matches('/'))?,
        initrd: get(&root, value("initrd")?.trim_start_matches('/'))?,
        command_line: value("options")?,
    })
}

fn get<T: ReadWriteSeek>(root: &Dir<'_, T>, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut file = root.open_file(path).with_context(|| format!("the EFI system partition has no {path}"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("could not read {path} from the EFI system partition"))?;
    Ok(bytes)
}
