//! Settled machines, kept: a host that has booted once is saved with its overlay, and whoever boots the same image in the same
//! machine again starts there, every daemon running.
//!
//! A state is a folder `states/KEY` of the cache, 0700, for it holds what the host's memory held. KEY is the hash of all that
//! decides what is in it: the image, QEMU and the command line.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::cache::{Exclusive, Shared, touch};
use dmhost_images::progress::Event;
use dmhost_images::store::{self, Prune};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::vm::{Console, Verdict, VmSpec, argv, qemu_version};

/// Counts changes of what is saved: whoever changes it adds one.
const FORMAT: u32 = 1;
/// What all states together may take: those that were not used for longest go.
const LIMIT: u64 = 8 << 30;

const NOTE: &str = "note.json";
const MEMORY: &str = "memory";
const DISK: &str = "disk.qcow2";
const CONSOLE: &str = "console.log";

/// Where states are kept.
#[derive(Debug, Clone)]
pub(crate) struct States {
    folder: Utf8PathBuf,
}

/// The files of a saved machine.
#[derive(Debug)]
pub(crate) struct Saved(Utf8PathBuf);

/// A state that is there, and stays there as long as this does.
#[derive(Debug)]
pub(crate) struct State {
    saved: Saved,
    note: Note,
    _lock: Shared,
}

/// What belongs to a state besides its files.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Note {
    memory: Identity,
    disk: Identity,
    /// From the start of QEMU to the agent's hello.
    booted: Duration,
}

/// A file that has not been written to since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds of the last write.
    modified: (i64, i64),
}

impl Identity {
    fn of(file: &Path) -> Result<Self> {
        let found = fs_err::metadata(file)?;
        let (device, inode, bytes) = (found.dev(), found.ino(), found.len());
        Ok(Self { device, inode, bytes, modified: (found.mtime(), found.mtime_nsec()) })
    }
}

impl States {
    /// The states of this cache.
    pub(crate) fn of(cache_dir: &Path) -> Result<Self> {
        let folder = Utf8PathBuf::try_from(cache_dir.join("states")).context("the path of the cache is not UTF-8")?;
        fs_err::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The key of a machine that boots this image: an image that was written to, copied or renamed is another one. `more` names what
    /// was done to it since.
    pub(crate) fn key(spec: &VmSpec, image: &Utf8Path, more: &str) -> Result<String> {
        let changed = {
            let found = fs_err::metadata(image)?;
            (found.ctime(), found.ctime_nsec())
        };
        let image = Identity::of(image.as_std_path())?;
        Ok(digest(&serde_json::to_vec(&(machine(spec)?, image, changed, more))?))
    }

    /// The state of this key, if there is one. One that is not as it was put there goes, and `told` hears of it.
    pub(crate) fn find(&self, key: &str, told: &mut dyn FnMut(&str)) -> Result<Option<State>> {
        let folder = self.folder.join(key);
        let lock = Shared::wait(&self.lock(key), &mut waiting(told))?;
        if !folder.exists() {
            return Ok(None);
        }
        match State::open(&folder, lock) {
            Ok(state) => {
                touch(&folder)?;
                Ok(Some(state))
            }
            Err(error) => {
                told(&format!("the saved state {folder} is damaged ({error:#}): the image is booted anew"));
                self.remove(key)?;
                Ok(None)
            }
        }
    }

    /// Leave to make the state of this key, which nobody else makes meanwhile.
    pub(crate) fn make(&self, key: &str, told: &mut dyn FnMut(&str)) -> Result<Making> {
        let lock = Exclusive::wait(&self.lock(key), &mut waiting(told))?;
        let aside = self.folder.join(format!(".{key}.making"));
        // Whoever left it there is dead, since we have its lock.
        if aside.exists() {
            fs_err::remove_dir_all(&aside)?;
        }
        std::fs::DirBuilder::new().mode(0o700).create(&aside).with_context(|| format!("cannot make {aside}"))?;
        Ok(Making { there: self.folder.join(key), aside, _lock: lock })
    }

    fn lock(&self, key: &str) -> Utf8PathBuf {
        self.folder.join(format!("{key}.lock"))
    }

    /// Removes a state unless somebody uses it; whether it is gone.
    fn remove(&self, key: &str) -> Result<bool> {
        let Some(_lock) = Exclusive::try_take(&self.lock(key))? else { return Ok(false) };
        let folder = self.folder.join(key);
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        Ok(true)
    }

    /// Removes what was not used for longest until the rest takes no more than the limit.
    pub(crate) fn trim(&self) -> Result<()> {
        self.trim_to(LIMIT)
    }

    fn trim_to(&self, limit: u64) -> Result<()> {
        let cache_dir = self.folder.parent().context("the states are in no cache")?;
        store::prune(cache_dir, Prune::States(limit)).map(drop)
    }
}

/// What a machine is, so that a state of it can be restored in it: QEMU and its command line, wherever the run and its console are.
pub(crate) fn machine(spec: &VmSpec) -> Result<String> {
    let spec = VmSpec { incoming: false, console: Console::Watched, ..spec.clone() };
    let run_dir = spec.run_dir.display().to_string();
    let words: Vec<String> = argv(&spec).iter().map(|word| word.replace(&run_dir, ".")).collect();
    Ok(digest(&serde_json::to_vec(&(FORMAT, qemu_version()?, words))?))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn waiting(told: &mut dyn FnMut(&str)) -> impl FnMut(Event<'_>) {
    move |event| {
        if let Event::Waiting { .. } = event {
            told("another run saves this machine: waiting for it");
        }
    }
}

/// A state that is being made; unless it is [`Making::done`], it goes.
#[derive(Debug)]
pub(crate) struct Making {
    there: Utf8PathBuf,
    aside: Utf8PathBuf,
    _lock: Exclusive,
}

impl Making {
    /// Whether another run has made it while this one waited.
    pub(crate) fn is_there(&self) -> bool {
        self.there.exists()
    }

    /// Where the machine's memory goes.
    pub(crate) fn memory(&self) -> PathBuf {
        self.aside.join(MEMORY).into()
    }

    /// Takes overlay and console of a machine that was saved.
    pub(crate) fn done(self, run_dir: &Path, console: &[u8], booted: Duration) -> Result<()> {
        let saved = Saved::at(self.aside.clone());
        saved.pack(run_dir, console)?;
        let (memory, disk) = (Identity::of(&saved.memory())?, Identity::of(saved.disk().as_std_path())?);
        let note = Note { memory, disk, booted };
        fs_err::write(self.aside.join(NOTE), serde_json::to_vec(&note)?)?;
        touch(&self.aside)?;
        Ok(fs_err::rename(&self.aside, &self.there)?)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Done, it is not there; what cannot be removed is taken over by the next run.
        let _ = fs_err::remove_dir_all(&self.aside);
    }
}

impl State {
    fn open(folder: &Utf8Path, lock: Shared) -> Result<Self> {
        let note: Note = serde_json::from_slice(&fs_err::read(folder.join(NOTE))?).context("its note is no note")?;
        for (name, identity) in [(MEMORY, note.memory), (DISK, note.disk)] {
            ensure!(Identity::of(folder.join(name).as_std_path())? == identity, "{name} is not as it was put there");
        }
        Ok(Self { saved: Saved(folder.to_owned()), note, _lock: lock })
    }

    /// Its files.
    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// How long the boot took that this was saved after.
    pub(crate) fn booted(&self) -> Duration {
        self.note.booted
    }
}

impl Saved {
    /// What is in this folder.
    pub(crate) fn at(folder: Utf8PathBuf) -> Self {
        Self(folder)
    }

    /// What it takes to restore it.
    pub(crate) fn files(&self) -> [Utf8PathBuf; 3] {
        [MEMORY, DISK, CONSOLE].map(|name| self.0.join(name))
    }

    /// The machine's memory.
    pub(crate) fn memory(&self) -> PathBuf {
        self.0.join(MEMORY).into()
    }

    /// What the console said until then.
    pub(crate) fn console(&self) -> Result<Vec<u8>> {
        Ok(fs_err::read(self.0.join(CONSOLE))?)
    }

    /// Takes the overlay of a machine that was saved, and what its console said, out of the folder of its run.
    pub(crate) fn pack(&self, run_dir: &Path, console: &[u8]) -> Result<()> {
        fs_err::copy(run_dir.join(DISK), self.disk())?;
        Ok(fs_err::write(self.0.join(CONSOLE), console)?)
    }

    fn disk(&self) -> Utf8PathBuf {
        self.0.join(DISK)
    }

    /// Puts a copy of the overlay into the folder of a run, over the image where it is now.
    pub(crate) fn unpack(&self, run_dir: &Path, image: &Utf8Path) -> Result<()> {
        let disk = run_dir.join(DISK);
        fs_err::copy(self.disk(), &disk)?;
        let output = Command::new("qemu-img")
            .args(["rebase", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(fs_err::canonicalize(image)?)
            .arg(&disk)
            .output()
            .map_err(|error| {
                Verdict::Infrastructure(format!("qemu-img (Debian: qemu-utils) cannot be run: {error}"))
            })?;
        if !output.status.success() {
            bail!("qemu-img cannot put {} over {image}: {}", disk.display(), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    struct Bed {
        _folder: tempfile::TempDir,
        run_dir: PathBuf,
        states: States,
    }

    fn bed() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = folder.path().join("run");
        fs_err::create_dir(&run_dir).unwrap();
        fs_err::write(run_dir.join(DISK), DISK).unwrap();
        let states = States::of(folder.path()).unwrap();
        Bed { _folder: folder, run_dir, states }
    }

    fn keep(bed: &Bed, key: &str) {
        let making = bed.states.make(key, &mut |_| {}).unwrap();
        fs_err::write(making.memory(), vec![7; 100_000]).unwrap();
        making.done(&bed.run_dir, b"login: ", Duration::from_secs(9)).unwrap();
    }

    #[test]
    fn what_is_kept_is_found_and_closed_to_others() {
        let bed = bed();
        assert!(bed.states.find("a", &mut |_| {}).unwrap().is_none());
        keep(&bed, "a");
        let state = bed.states.find("a", &mut |_| {}).unwrap().unwrap();
        assert_eq!(state.booted(), Duration::from_secs(9));
        assert_eq!(fs_err::read(state.saved().memory()).unwrap().len(), 100_000);
        assert_eq!(fs_err::metadata(&state.saved().0).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_run_that_died_leaves_no_state() {
        let bed = bed();
        let making = bed.states.make("a", &mut |_| {}).unwrap();
        fs_err::write(making.memory(), "half").unwrap();
        drop(making);
        assert!(bed.states.find("a", &mut |_| {}).unwrap().is_none());
        fs_err::create_dir(bed.states.folder.join(".a.making")).unwrap();
        keep(&bed, "a");
        assert!(!bed.states.folder.join(".a.making").exists());
    }

    #[test]
    fn a_damaged_state_is_told_and_goes() {
        for (file, bytes) in [(MEMORY, &b"short"[..]), (DISK, b"other"), (NOTE, b"{}")] {
            let bed = bed();
            keep(&bed, "a");
            fs_err::write(bed.states.folder.join("a").join(file), bytes).unwrap();
            let mut told = Vec::new();
            assert!(bed.states.find("a", &mut |text| told.push(text.to_owned())).unwrap().is_none());
            assert!(told.len() == 1 && told[0].contains("damaged"), "{told:?}");
            assert!(!bed.states.folder.join("a").exists());
        }
    }

    #[test]
    fn the_longest_unused_goes_and_nothing_in_use() {
        let bed = bed();
        for (key, age) in [("old", 30), ("used", 20), ("new", 10)] {
            keep(&bed, key);
            let used = fs_err::File::create(bed.states.folder.join(key).join("used")).unwrap();
            used.file().set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let held = bed.states.find("used", &mut |_| {}).unwrap();
        let used = fs_err::File::create(bed.states.folder.join("used/used")).unwrap();
        used.file().set_modified(SystemTime::now() - Duration::from_secs(20)).unwrap();
        bed.states.trim_to(250_000).unwrap();
        let there = |key: &str| bed.states.folder.join(key).exists();
        assert!(!there("old") && there("used") && there("new"));
        bed.states.trim_to(0).unwrap();
        assert!(there("used") && !there("new"));
        drop(held);
    }
}
