//! Which packages a base is made of: those of the lock, else those the cache last resolved, else what the archive has.
//!
//! Only the last asks the network, so a build of a known recipe needs none, with a lock or without.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};

use crate::archive::Apt;
use crate::cache::Exclusive;
use crate::machine::{MachineError, Privilege};
use crate::pins::{Changes, LockFile, LockMode, Pins, asked};
use crate::progress::Progress;
use crate::recipe::{Recipe, System};
use crate::sources::Mirror;

/// What a base is asked for, and where its packages may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Which base.
    pub system: System,
    /// The key of the engine's own archive, where it has one.
    pub engine_key: Option<Utf8PathBuf>,
    /// Packages besides the recipe's.
    pub packages: Vec<String>,
    /// The cache's folder.
    pub cache_dir: Utf8PathBuf,
    /// The lock, if the spec has one.
    pub lock: Option<LockFile>,
    /// Where packages come from.
    pub mirror: Mirror,
    /// How apt gets its rights.
    pub privilege: Privilege,
    /// Whether the network is not to be used.
    pub offline: bool,
}

/// Where pins came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The lock.
    Lock,
    /// What the cache last resolved for the same recipe.
    Cache,
    /// The archive, now.
    Archive,
}

/// Pins, and what is to be said of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The packages.
    pub pins: Pins,
    /// Where they came from.
    pub origin: Origin,
    /// The lock that is to be written with them.
    pub write: Option<Utf8PathBuf>,
    /// How they differ from the lock that was there.
    pub changes: Option<Changes>,
}

/// What a lock that is there comes to.
enum Lock {
    /// There is none, or it is not to be used.
    None,
    /// It fits.
    Fits(Pins),
    /// It is for something else.
    Misfit(Pins),
}

impl Question {
    pub(crate) fn recipe(&self) -> anyhow::Result<Recipe> {
        let System { base, engine, kernel: _ } = self.system;
        Ok(Recipe::of(base, engine, self.engine_key.as_deref())?.with(&self.packages))
    }

    /// Where the cache keeps what it last resolved.
    fn remembered(&self, recipe: &Recipe) -> Utf8PathBuf {
        let System { base, engine: _, kernel } = self.system;
        let asked = asked(recipe, kernel);
        let name = format!("{}-{}-{}.lock", base.as_str(), kernel.as_str(), &asked[..16]);
        self.cache_dir.join("resolutions").join(name)
    }

    fn read_lock(&self, recipe: &Recipe) -> anyhow::Result<Lock> {
        let Some(LockFile { path, mode }) = &self.lock else { return Ok(Lock::None) };
        if path.symlink_metadata().is_err() {
            anyhow::ensure!(
                *mode != LockMode::Locked,
                "there is no lock {path}, and --locked makes none: build once without it"
            );
            return Ok(Lock::None);
        }
        let read = Pins::read(path);
        match mode {
            LockMode::Update => Ok(read.map_or(Lock::None, Lock::Misfit)),
            LockMode::Read | LockMode::Keep | LockMode::Locked => {
                let pins = read?;
                match pins.misfit(self.system, recipe) {
                    None => Ok(Lock::Fits(pins)),
                    Some(why) if *mode == LockMode::Locked => {
                        anyhow::bail!("the lock {path} does not fit the spec: {why}; --update-lock makes it fit")
                    }
                    Some(_) => Ok(Lock::Misfit(pins)),
                }
            }
        }
    }

    fn update(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.mode == LockMode::Update)
    }

    fn resolution(&self, pins: Pins, origin: Origin, old: Option<&Pins>) -> Resolution {
        let write = self.lock.as_ref().filter(|lock| match lock.mode {
            LockMode::Keep | LockMode::Update => true,
            LockMode::Read | LockMode::Locked => false,
        });
        let changes = old.map(|old| old.changes(&pins));
        Resolution { pins, origin, write: write.map(|lock| lock.path.clone()), changes }
    }

    /// What is known without the network; `None`: the archive has to be asked.
    ///
    /// # Errors
    /// If the lock is missing, unreadable or unfit where that may not be.
    pub fn known(&self) -> anyhow::Result<Option<Resolution>> {
        let recipe = self.recipe()?;
        let lock = self.read_lock(&recipe)?;
        if let Lock::Fits(pins) = lock {
            return Ok(Some(Resolution { pins, origin: Origin::Lock, write: None, changes: None }));
        }
        let old = match &lock {
            Lock::Misfit(pins) => Some(pins),
            Lock::None | Lock::Fits(_) => None,
        };
        // A file that the cache has damaged is asked for again.
        let remembered = Pins::read(&self.remembered(&recipe)).ok();
        let remembered = remembered.filter(|pins| pins.misfit(self.system, &recipe).is_none());
        Ok(remembered.filter(|_| !self.update()).map(|pins| self.resolution(pins, Origin::Cache, old)))
    }

    /// The pins, from the archive if nothing else has them.
    ///
    /// # Errors
    /// As [`Question::known`]; if the archive has to be asked and cannot be.
    pub fn resolve(&self, progress: &mut dyn Progress) -> anyhow::Result<Resolution> {
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        if self.offline {
            let System { base, engine: _, kernel } = self.system;
            let detail = format!("a list of the packages of {} with the {} kernel", base.as_str(), kernel.as_str());
            return Err(MachineError::NotCached { detail }.into());
        }
        let recipe = self.recipe()?;
        let old = match self.read_lock(&recipe)? {
            Lock::Misfit(pins) => Some(pins),
            Lock::None | Lock::Fits(_) => None,
        };
        fs_err::create_dir_all(&self.cache_dir)?;
        let _lock = Exclusive::wait(&self.cache_dir.join("archive.lock"), progress)?;
        let apt = Apt::new(&self.cache_dir.join("archive"), &recipe, &self.mirror, self.privilege)?;
        let packages = apt.resolve(&recipe, self.system.kernel, progress)?;
        // A clock before 1970 gives pins of 1970.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let pins = Pins::new(self.system, &recipe, now, packages);
        let remembered = self.remembered(&recipe);
        fs_err::create_dir_all(remembered.parent().context("a resolution is in no folder")?)?;
        write(&pins, &remembered)?;
        Ok(self.resolution(pins, Origin::Archive, old.as_ref()))
    }
}

/// Writes a lock aside and names it.
pub(crate) fn write(pins: &Pins, path: &Utf8Path) -> anyhow::Result<()> {
    let name = path.file_name().with_context(|| format!("{path} names no file"))?;
    let aside = path.with_file_name(format!(".{name}.dmhost-{}", std::process::id()));
    let written = fs_err::write(&aside, pins.text()?).and_then(|()| fs_err::rename(&aside, path));
    if written.is_err() {
        // The failure is told; this is a file of some KiB.
        let _ = fs_err::remove_file(&aside);
    }
    written.with_context(|| format!("could not write the lock {path}"))
}
