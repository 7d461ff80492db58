//! What the cache holds, and how it is made smaller: the longest unused goes first, and nothing that is in use.

use std::time::SystemTime;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};

use crate::cache::{self, Exclusive};
use crate::command::Command;
use crate::machine::Privilege;
use crate::manifest::MANIFEST;
use crate::packages;

/// Something in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Where it is.
    pub path: Utf8PathBuf,
    /// What it takes on the file system, in bytes.
    pub bytes: u64,
    /// When it was last used to build.
    pub used: SystemTime,
}

/// Kinds of what the cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A base.
    Base,
    /// What an interrupted build left, or a base of another version of this program.
    Leaving,
    /// A package file.
    Package,
    /// Package lists of the archive, and what they last came to.
    Lists,
    /// A host as it was when its boot was done: memory and overlay.
    State,
}

impl EntryKind {
    /// Its name for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Leaving => "leaving",
            Self::Package => "package",
            Self::Lists => "lists",
            Self::State => "state",
        }
    }
}

/// What is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Leavings alone.
    Leavings,
    /// Leavings, and then what was not used for longest, until the rest takes no more than this many bytes.
    DownTo(u64),
    /// Of states alone, what was not used for longest, until the others take no more than this many bytes.
    States(u64),
    /// Everything.
    All,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was removed.
    pub removed: Vec<Entry>,
    /// What should have been, and is in use.
    pub busy: Vec<Entry>,
    /// What is left, in bytes.
    pub left: u64,
}

/// Everything in the cache that builds put there, the longest unused first.
///
/// # Errors
/// If the cache cannot be read. One that is not there holds nothing.
pub fn list(cache_dir: &Utf8Path) -> anyhow::Result<Vec<Entry>> {
    let privilege = Privilege::of_this_process();
    let mut entries = Vec::new();
    let bases = cache_dir.join("bases");
    for path in folder(&bases)? {
        if path.is_dir() {
            let whole = !hidden(&path) && path.join(MANIFEST).is_file();
            let kind = if whole { EntryKind::Base } else { EntryKind::Leaving };
            entries.push(entry(kind, path, privilege)?);
        }
    }
    for path in folder(&packages::folder(cache_dir))? {
        let kind = if path.is_dir() { EntryKind::Leaving } else { EntryKind::Package };
        entries.push(entry(kind, path, privilege)?);
    }
    entries.extend(states(cache_dir, privilege)?);
    for name in ["archive", "resolutions"] {
        let path = cache_dir.join(name);
        if path.is_dir() {
            entries.push(entry(EntryKind::Lists, path, privilege)?);
        }
    }
    Ok(by_age(entries))
}

fn by_age(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
    entries
}

fn states(cache_dir: &Utf8Path, privilege: Privilege) -> anyhow::Result<Vec<Entry>> {
    let folders = folder(&cache_dir.join("states"))?.into_iter().filter(|path| path.is_dir());
    let kind = |path: &Utf8Path| if hidden(path) { EntryKind::Leaving } else { EntryKind::State };
    folders.map(|path| entry(kind(&path), path, privilege)).collect()
}

fn hidden(path: &Utf8Path) -> bool {
    path.file_name().is_some_and(|name| name.starts_with('.'))
}

fn folder(path: &Utf8Path) -> anyhow::Result<Vec<Utf8PathBuf>> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let entries = path.read_dir_utf8().with_context(|| format!("could not list {path}"))?;
    entries.map(|entry| Ok(entry.with_context(|| format!("could not list {path}"))?.into_path())).collect()
}

fn entry(kind: EntryKind, path: Utf8PathBuf, privilege: Privilege) -> anyhow::Result<Entry> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs_err::metadata(&path)?;
    let used = fs_err::metadata(path.join("used")).unwrap_or(metadata.clone()).modified()?;
    let bytes = if metadata.is_dir() { tree_bytes(&path, privilege)? } else { metadata.blocks() * 512 };
    Ok(Entry { kind, path, bytes, used })
}

/// Folders of a base can be closed to the one who made it: the namespace's root sees them all.
fn tree_bytes(path: &Utf8Path, privilege: Privilege) -> anyhow::Result<u64> {
    let mut bytes = None;
    Command::privileged(privilege, ["du", "--summarize", "--block-size=1", path.as_str()])
        .run(Vec::new(), |line| bytes = bytes.or(line.split_whitespace().next().and_then(|word| word.parse().ok())))?;
    bytes.with_context(|| format!("could not tell how much {path} takes"))
}

/// Removes from the cache what `what` says.
///
/// # Errors
/// If something cannot be removed. What is in use is left, and told.
pub fn prune(cache_dir: &Utf8Path, what: Prune) -> anyhow::Result<Pruned> {
    let entries = match what {
        Prune::States(_) => {
            let all = states(cache_dir, Privilege::of_this_process())?;
            by_age(all.into_iter().filter(|entry| entry.kind == EntryKind::State).collect())
        }
        Prune::Leavings | Prune::DownTo(_) | Prune::All => list(cache_dir)?,
    };
    let mut pruned = Pruned { left: entries.iter().map(|entry| entry.bytes).sum(), ..Pruned::default() };
    let (leavings, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.kind == EntryKind::Leaving);
    for entry in leavings.into_iter().chain(rest) {
        let wanted = match what {
            Prune::All => true,
            Prune::Leavings => entry.kind == EntryKind::Leaving,
            Prune::States(limit) => pruned.left > limit,
            // Lists are small, and asking for them anew takes longer than anything else here.
            Prune::DownTo(limit) => {
                entry.kind == EntryKind::Leaving || (pruned.left > limit && entry.kind != EntryKind::Lists)
            }
        };
        if !wanted {
            continue;
        }
        if remove(cache_dir, &entry)? {
            pruned.left -= entry.bytes;
            pruned.removed.push(entry);
        } else {
            pruned.busy.push(entry);
        }
    }
    Ok(pruned)
}

/// Removes an entry under its lock; false if somebody has that.
fn remove(cache_dir: &Utf8Path, entry: &Entry) -> anyhow::Result<bool> {
    let name = entry.path.file_name().unwrap_or_default();
    let lock = match entry.kind {
        EntryKind::Lists => cache_dir.join("archive.lock"),
        EntryKind::Package => cache_dir.join("packages.lock"),
        EntryKind::Base | EntryKind::State => entry.path.with_file_name(format!("{name}.lock")),
        EntryKind::Leaving if entry.path.parent() == Some(&packages::folder(cache_dir)) => {
            cache_dir.join("packages.lock")
        }
        // `.NAME.making` is made under the lock of NAME.
        EntryKind::Leaving => {
            let of = name.strip_prefix('.').and_then(|name| name.strip_suffix(".making")).unwrap_or(name);
            entry.path.with_file_name(format!("{of}.lock"))
        }
    };
    let Some(_lock) = Exclusive::try_take(&lock)? else { return Ok(false) };
    if entry.path.is_dir() {
        cache::remove_tree(&entry.path, Privilege::of_this_process())?;
    } else {
        fs_err::remove_file(&entry.path)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cache(folder: &Utf8Path) {
        for (name, age) in [("old", 30), ("busy", 20), ("new", 10)] {
            let base = folder.join("bases").join(name);
            fs_err::create_dir_all(&base).expect("a folder");
            fs_err::write(base.join(MANIFEST), vec![1; 100_000]).expect("a file");
            let used = fs_err::File::create(base.join("used")).expect("a file");
            let then = SystemTime::now() - Duration::from_secs(age);
            used.file().set_modified(then).expect("a time");
        }
        fs_err::create_dir_all(folder.join("bases/.new.making")).expect("a folder");
        fs_err::create_dir_all(folder.join("states/.key.making")).expect("a folder");
        fs_err::create_dir_all(folder.join("packages")).expect("a folder");
        fs_err::write(folder.join("packages/aa.deb"), vec![1; 100_000]).expect("a file");
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.path.file_name().expect("it has a name")).collect()
    }

    #[test]
    fn the_longest_unused_goes_first_and_nothing_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        assert_eq!(list(folder).expect("nothing is there"), []);
        cache(folder);
        assert_eq!(names(&list(folder).expect("it is listed"))[..3], ["old", "busy", "new"]);
        let held = Exclusive::try_take(&folder.join("bases/busy.lock")).expect("a lock").expect("it is free");
        let pruned = prune(folder, Prune::DownTo(250_000)).expect("it is pruned");
        assert_eq!(names(&pruned.removed), [".new.making", ".key.making", "old", "new"]);
        assert_eq!(names(&pruned.busy), ["busy"]);
        drop(held);
        let pruned = prune(folder, Prune::All).expect("it is pruned");
        assert_eq!((names(&pruned.removed).len(), pruned.busy, pruned.left), (2, vec![], 0));
    }

    #[test]
    fn without_a_limit_only_leavings_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        cache(folder);
        let pruned = prune(folder, Prune::Leavings).expect("it is pruned");
        assert_eq!(names(&pruned.removed), [".new.making", ".key.making"]);
    }

    #[test]
    fn a_state_goes_under_its_own_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::create_dir_all(folder.join("states/key")).expect("a folder");
        fs_err::write(folder.join("states/key/memory"), vec![1; 100_000]).expect("a file");
        let held = Exclusive::try_take(&folder.join("states/key.lock")).expect("a lock").expect("it is free");
        assert_eq!(names(&prune(folder, Prune::All).expect("it is pruned").busy), ["key"]);
        drop(held);
        let pruned = prune(folder, Prune::All).expect("it is pruned");
        assert_eq!(pruned.removed[0].kind.as_str(), "state");
        assert!(!folder.join("states/key").exists());
    }
}
