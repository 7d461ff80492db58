//! A file that lives as long as a build and has no name: in memory, where no `fsync` of `mkfs.btrfs` waits for a disk, or
//! beside the image, where memory is short. Either is gone with the last process that has it open.

use camino::Utf8Path;
use fs_err::File;
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::image::private_file;

/// A file of this length, without data: in memory, if that is asked for and the kernel gives it, else where `path` is.
///
/// # Errors
/// If there can be no file at `path`.
pub(crate) fn open(path: &Utf8Path, length: u64, in_memory: bool) -> anyhow::Result<File> {
    let inside = if in_memory { memory() } else { None };
    let file = inside.map_or_else(|| nameless(path), Ok)?;
    file.set_len(length)?;
    Ok(file)
}

fn nameless(path: &Utf8Path) -> anyhow::Result<File> {
    let file = private_file(path)?;
    fs_err::remove_file(path)?;
    Ok(file)
}

/// `None`: the kernel was made without, or is told not to.
fn memory() -> Option<File> {
    let file = memfd_create("dmhost-root", MemfdFlags::CLOEXEC).ok()?;
    fchmod(&file, Mode::RUSR | Mode::WUSR).ok()?;
    Some(File::from_parts(file.into(), "the root file system in memory"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn it_has_no_name_and_no_other_readers_wherever_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let device = fs_err::metadata(folder).expect("it is there").dev();
        for in_memory in [true, false] {
            let file = open(&folder.join("root"), 1 << 30, in_memory).expect("a file");
            let metadata = file.metadata().expect("it is open");
            assert_eq!((metadata.dev() == device, metadata.len()), (!in_memory, 1 << 30));
            assert_eq!((metadata.nlink(), metadata.permissions().mode() & 0o777), (0, 0o600));
            assert_eq!(folder.read_dir_utf8().expect("a folder").count(), 0);
        }
    }
}
