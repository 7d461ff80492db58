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

/// A lock on a file, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn lock_file(path: &Utf8Path) -> anyhow::Result<File> {
    Ok(OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?)
}

impl Lock {
    /// Waits until no other process has it.
    pub(crate) fn wait(path: &Utf8Path) -> anyhow::Result<Self> {
        let file = lock_file(path)?;
        file.file().lock_exclusive().with_context(|| format!("could not lock {path}"))?;
        Ok(Self { _file: file })
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
