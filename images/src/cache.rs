//! Folders that are ours while a lock is held: the cache of bases, and the workspace beside an image.
//!
//! Whoever holds the lock of a folder knows that what another build left in it is dead, and clears it.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use fs4::fs_std::FileExt;

use crate::command::Command;
use crate::machine::Privilege;
use crate::progress::{Event, Progress};

/// The cache's folder: `$XDG_CACHE_HOME/dmhost`, else `~/.cache/dmhost`.
///
/// # Errors
/// If the environment names neither.
pub fn default_cache_dir() -> anyhow::Result<Utf8PathBuf> {
    let from = |key: &str| std::env::var(key).ok().filter(|value| value.starts_with('/'));
    let base =
        from("XDG_CACHE_HOME").map(Utf8PathBuf::from).or_else(|| Some(Utf8PathBuf::from(from("HOME")?).join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set: where shall the cache be?")?.join("dmhost"))
}

fn lock_file(path: &Utf8Path) -> anyhow::Result<File> {
    Ok(OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?)
}

/// A lock that one process has alone, given back when dropped.
#[derive(Debug)]
pub struct Exclusive {
    _file: File,
}

/// A lock that any number of processes have together, and none alone meanwhile; given back when dropped.
#[derive(Debug)]
pub struct Shared {
    _file: File,
}

impl Exclusive {
    /// Waits until no other process has it, and says so by [`Event::Waiting`].
    ///
    /// # Errors
    /// If there can be no file at `path`, or the wait is ended from outside.
    pub fn wait(path: &Utf8Path, progress: &mut dyn Progress) -> anyhow::Result<Self> {
        wait(path, "--exclusive", FileExt::try_lock_exclusive, progress).map(|file| Self { _file: file })
    }

    /// Takes it if no other process has it.
    ///
    /// # Errors
    /// If there can be no file at `path`.
    pub fn try_take(path: &Utf8Path) -> anyhow::Result<Option<Self>> {
        let file = lock_file(path)?;
        let ours = FileExt::try_lock_exclusive(file.file()).with_context(|| format!("could not lock {path}"))?;
        Ok(ours.then(|| Self { _file: file }))
    }
}

impl Shared {
    /// Waits until no other process has it alone, and says so by [`Event::Waiting`].
    ///
    /// # Errors
    /// If there can be no file at `path`, or the wait is ended from outside.
    pub fn wait(path: &Utf8Path, progress: &mut dyn Progress) -> anyhow::Result<Self> {
        wait(path, "--shared", FileExt::try_lock_shared, progress).map(|file| Self { _file: file })
    }
}

fn wait(
    path: &Utf8Path,
    how: &str,
    try_lock: impl Fn(&std::fs::File) -> std::io::Result<bool>,
    progress: &mut dyn Progress,
) -> anyhow::Result<File> {
    loop {
        let file = lock_file(path)?;
        if try_lock(file.file()).with_context(|| format!("could not lock {path}"))? {
            return Ok(file);
        }
        drop(file);
        // flock(1) waits in our stead: unlike a wait of our own, it can be ended from outside, from the event on.
        let attempt = || format!("could not wait for {path}");
        let waiting = Command::mortal(["flock", how, path.as_str(), "true"]).start().with_context(attempt)?;
        progress.event(Event::Waiting { path });
        waiting.wait().with_context(attempt)?;
    }
}

/// The folder in which one image is made; gone when dropped.
#[derive(Debug)]
pub(crate) struct Workspace {
    folder: Utf8PathBuf,
    _lock: File,
}

impl Workspace {
    /// Takes the folder over, with whatever a killed build left in it.
    pub(crate) fn take(folder: &Utf8Path) -> anyhow::Result<Self> {
        let path = folder.join("lock");
        loop {
            make_private(folder)?;
            let lock = match lock_file(&path) {
                // The build before us took the folder away between the two.
                Err(_) if !folder.exists() => continue,
                other => other?,
            };
            let ours = FileExt::try_lock_exclusive(lock.file()).with_context(|| format!("could not lock {path}"))?;
            anyhow::ensure!(ours, "another build is making this image: it holds {path}");
            // A lock on a file that is no longer there binds nobody.
            let same =
                fs_err::metadata(&path).is_ok_and(|found| lock.metadata().is_ok_and(|held| held.ino() == found.ino()));
            if !same {
                continue;
            }
            for entry in folder.read_dir_utf8().with_context(|| format!("could not read {folder}"))? {
                let entry = entry.with_context(|| format!("could not read {folder}"))?.into_path();
                if entry == path {
                } else if entry.is_dir() {
                    fs_err::remove_dir_all(&entry)?;
                } else {
                    fs_err::remove_file(&entry)?;
                }
            }
            fs_err::create_dir(folder.join("stage"))?;
            return Ok(Self { folder: folder.to_owned(), _lock: lock });
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed is taken over by the next build of the same image.
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

/// Notes that an entry of the cache has been used now.
///
/// # Errors
/// If the entry cannot be written to.
pub fn touch(folder: &Utf8Path) -> anyhow::Result<()> {
    Ok(fs_err::write(folder.join("used"), "")?)
}

fn make_private(folder: &Utf8Path) -> anyhow::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| format!("could not make {folder}")),
    }
}

/// Removes a tree whose files have owners of a user namespace.
pub(crate) fn remove_tree(tree: &Utf8Path, privilege: Privilege) -> anyhow::Result<()> {
    if tree.exists() {
        Command::privileged(privilege, ["rm", "-rf", "--one-file-system", tree.as_str()]).run(Vec::new(), |_| {})?;
    }
    Ok(())
}
