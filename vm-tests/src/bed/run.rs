//! The folder of one run.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// What the console of a restored machine said before it was saved: a file of the run folder.
const BEFORE: &str = "before.log";

/// The folder of one run. The lock in it is held as long as the run lasts: one that is free tells of a run that was killed.
#[derive(Debug)]
pub(super) struct Run {
    folder: TempDir,
    _lock: File,
    report: Option<PathBuf>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // The console helps whoever reads the report, above all of a boot that failed; a report without it is still one.
        if let Some(report) = &self.report {
            let _ = fs_err::write(report.join("console.log"), self.console());
        }
    }
}

impl Run {
    pub(super) fn new(report: Option<&Path>) -> Result<Self> {
        // Unix sockets are made in it, and their paths have at most 107 bytes: so not below a long TMPDIR.
        let (folder, lock) = take_folder(Path::new("/tmp"))?;
        if let Some(report) = report {
            fs_err::create_dir_all(report)?;
        }
        Ok(Self { folder, _lock: lock, report: report.map(Path::to_owned) })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts before all of it what the console said before the machine was saved.
    pub(super) fn continues(&self, console: &[u8]) -> Result<()> {
        Ok(fs_err::write(self.folder.path().join(BEFORE), console)?)
    }

    /// What the console has said, before the machine was saved and since.
    pub(super) fn console(&self) -> Vec<u8> {
        let said = |name: &str| fs_err::read(self.folder.path().join(name)).unwrap_or_default();
        [said(BEFORE), said("console.log")].concat()
    }
}

const PREFIX: &str = "dmhost-";
const LOCK: &str = "lock";

/// Makes a folder for a run in `parent`, and removes those that killed runs of the same user left there.
fn take_folder(parent: &Path) -> Result<(TempDir, File)> {
    let (mine, list) = (rustix::process::geteuid().as_raw(), || format!("cannot list {}", parent.display()));
    for entry in fs_err::read_dir(parent).with_context(list)? {
        let folder = entry.with_context(list)?.path();
        let ours = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
            // Not through a link: anybody can make one in /tmp.
            && folder.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == mine);
        // A folder without a lock is one of this moment, or nobody's that is known here.
        let lock = ours.then(|| File::options().write(true).open(folder.join(LOCK)).ok()).flatten();
        if lock.is_some_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            // Another run may be at it too; what neither can remove is there for the next.
            let _ = fs_err::remove_dir_all(&folder);
        }
    }
    let make = || format!("cannot make a folder in {}", parent.display());
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).with_context(make)?;
    // It gets its name when it is held: no other run finds it free.
    let aside = folder.path().join("lock.new");
    let lock = File::create_new(&aside).with_context(make)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).with_context(make)?;
    fs_err::rename(&aside, folder.path().join(LOCK))?;
    Ok((folder, lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_and_what_is_in_use_stays() -> Result<()> {
        let parent = tempfile::tempdir()?;
        let (running, lock) = take_folder(parent.path())?;
        for (name, file) in [("dmhost-dead", "lock"), ("dmhost-young", "disk"), ("others", "lock")] {
            fs_err::create_dir(parent.path().join(name))?;
            fs_err::write(parent.path().join(name).join(file), "")?;
        }
        std::os::unix::fs::symlink(parent.path().join("others"), parent.path().join("dmhost-link"))?;
        let (next, _lock) = take_folder(parent.path())?;
        let there = |name: &str| parent.path().join(name).exists();
        assert_eq!(["dmhost-dead", "dmhost-young", "dmhost-link", "others/lock"].map(there), [false, true, true, true]);
        assert!(running.path().exists() && next.path().exists());
        drop(lock);
        drop(take_folder(parent.path())?);
        assert!(!running.path().exists() && next.path().exists());
        Ok(())
    }
}
