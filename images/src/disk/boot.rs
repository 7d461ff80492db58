//! What the firmware reads: FAT with systemd-boot and one entry of the Boot Loader Specification, type #1.
//!
//! <https://uapi-group.org/specifications/specs/boot_loader_specification/>

use std::io::{Read, Write};

use anyhow::Context;
use fatfs::{Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions, ReadWriteSeek};

use super::Window;

const ENTRIES: &str = "loader/entries";
const ENTRY: &str = "loader/entries/dmhost.conf";

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

/// Formats the partition and fills it.
///
/// # Errors
/// If it is too small, or writing fails.
pub(crate) fn write(mut partition: Window<&std::fs::File>, files: &BootFiles) -> anyhow::Result<()> {
    let options =
        FormatVolumeOptions::new().fat_type(FatType::Fat32).bytes_per_cluster(4096).volume_label(*b"DMHOST-ESP ");
    fatfs::format_volume(&mut partition, options).context("could not format the EFI system partition")?;
    let fat =
        FileSystem::new(partition, FsOptions::new()).context("could not open the EFI system partition just made")?;
    let root = fat.root_dir();
    let folder = format!("dmhost/{}", files.release);
    for path in ["EFI", "EFI/BOOT", "EFI/systemd", "loader", ENTRIES, "dmhost", &folder] {
        root.create_dir(path).with_context(|| format!("could not make {path} on the EFI system partition"))?;
    }
    let entry = format!(
        "title {}\nversion {}\nlinux /{folder}/linux\ninitrd /{folder}/initrd\noptions {}\n",
        files.title, files.release, files.command_line
    );
    put(&root, "EFI/BOOT/BOOTX64.EFI", &files.loader)?;
    put(&root, "EFI/systemd/systemd-bootx64.efi", &files.loader)?;
    put(&root, "loader/loader.conf", b"timeout 0\ndefault dmhost.conf\neditor no\n")?;
    put(&root, "loader/entries.srel", b"type1\n")?;
    put(&root, ENTRY, entry.as_bytes())?;
    put(&root, &format!("{folder}/linux"), &files.kernel)?;
    put(&root, &format!("{folder}/initrd"), &files.initrd)?;
    drop(root);
    fat.unmount().context("could not finish the EFI system partition")
}

fn put<T: ReadWriteSeek>(root: &Dir<'_, T>, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file =
        root.create_file(path).with_context(|| format!("could not make {path} on the EFI system partition"))?;
    file.write_all(bytes).with_context(|| format!("could not write {path} to the EFI system partition"))
}

/// Reads the entry and the files it names.
pub(crate) fn read(partition: Window<&std::fs::File>) -> anyhow::Result<Boot> {
    let fat = FileSystem::new(partition, FsOptions::new()).context("the EFI system partition is not FAT")?;
    let root = fat.root_dir();
    let entry = get(&root, ENTRY)?;
    let entry = String::from_utf8(entry).with_context(|| format!("{ENTRY} is not text"))?;
    let value = |key: &str| {
        let mut lines = entry.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let found = lines.find(|(word, _)| *word == key).map(|(_, value)| value.trim().to_owned());
        found.with_context(|| format!("{ENTRY} has no line `{key}`"))
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
