//! Folders for work under way, gone with it. The lock in each is held as long as it is used, so what a killed run left
//! is known for dead by its free lock, and cleared by the next one.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{FlockOperation, flock};

use crate::interrupt::AtForcedEnd;

const LOCK: &str = "lock";

/// A folder of ours. Dropped, it is removed.
pub(crate) struct Scratch {
    folder: Utf8PathBuf,
    _lock: File,
    _forced: AtForcedEnd,
}

impl Scratch {
    /// Takes this folder, empty; `None` if another process has it.
    pub(crate) fn take(folder: &Utf8Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(LOCK);
        loop {
            match std::fs::DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.with_context(|| format!("cannot make the folder {folder}"))?,
            }
            let mut options = fs_err::OpenOptions::new();
            let lock = match options.create(true).truncate(false).write(true).mode(0o600).open(&path) {
                // Its owner took it away between the two.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other?,
            };
            match flock(lock.file(), FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                other => other.with_context(|| format!("cannot lock {path}"))?,
            }
            // A lock on a file that is no longer there binds nobody.
            let held = lock.metadata()?.ino();
            if !fs_err::metadata(&path).is_ok_and(|found| found.ino() == held) {
                continue;
            }
            clear(folder)?;
            let forced = {
                let folder = folder.to_owned();
                AtForcedEnd::new(move || drop(fs_err::remove_dir_all(&folder)))
            };
            return Ok(Some(Self { folder: folder.to_owned(), _lock: lock, _forced: forced }));
        }
    }

    /// Takes a folder of its own in `parent`, named `PREFIX` and a number, and removes those that killed runs left.
    pub(crate) fn numbered(parent: &Utf8Path, prefix: &str) -> anyhow::Result<Self> {
        let list = || format!("cannot list {parent}");
        for entry in parent.read_dir_utf8().with_context(list)? {
            let entry = entry.with_context(list)?;
            let ours = entry.file_name().strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok());
            if ours && entry.file_type().with_context(list)?.is_dir() {
                drop(Self::take(entry.path())?);
            }
        }
        for number in 0..u32::MAX {
            if let Some(scratch) = Self::take(&parent.join(format!("{prefix}{number}")))? {
                return Ok(scratch);
            }
        }
        anyhow::bail!("every folder {prefix}* of {parent} is in use")
    }

    /// Where a file of this name is, to be made by the caller.
    pub(crate) fn join(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is cleared by the next run.
        let _ = clear(&self.folder).and_then(|()| Ok(fs_err::remove_dir_all(&self.folder)?));
    }
}

/// Removes all but the lock.
fn clear(folder: &Utf8Path) -> anyhow::Result<()> {
    for entry in folder.read_dir_utf8().with_context(|| format!("cannot list {folder}"))? {
        let entry = entry.with_context(|| format!("cannot list {folder}"))?;
        if entry.file_name() == LOCK {
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            fs_err::remove_dir_all(entry.path())?;
        } else {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_use_are_kept_and_dead_ones_cleared() {
        let parent = tempfile::tempdir().unwrap();
        let parent = Utf8Path::from_path(parent.path()).unwrap();
        let first = Scratch::numbered(parent, "run-").unwrap();
        fs_err::write(first.join("disk"), "in use").unwrap();
        // As runs leave them that were killed: before the lock was made, and after.
        for (dead, file) in [("run-3", "disk"), ("run-7", "lock")] {
            fs_err::create_dir(parent.join(dead)).unwrap();
            fs_err::write(parent.join(dead).join(file), "").unwrap();
        }
        fs_err::create_dir(parent.join("run-mine")).unwrap();
        assert!(Scratch::take(&parent.join("run-0")).unwrap().is_none());
        let second = Scratch::numbered(parent, "run-").unwrap();
        let names = || {
            let mut names: Vec<_> =
                parent.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["run-0", "run-1", "run-mine"]);
        assert_eq!(fs_err::read_to_string(first.join("disk")).unwrap(), "in use");
        drop((first, second));
        assert_eq!(names(), ["run-mine"]);
    }
}
