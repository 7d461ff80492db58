//! Makes a base in the cache: fetches what it is pinned to, installs it aside, and gives it its name when it is complete.

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::Kernel;

use crate::base::{BaseTree, Bootstrap};
use crate::cache::{self, Exclusive, Shared};
use crate::contents::Contents;
use crate::machine::Privilege;
use crate::manifest;
use crate::packages;
use crate::pins::{Pins, architecture, asked_packages};
use crate::progress::{Event, Progress};
use crate::recipe::Recipe;
use crate::resolve::Question;
use crate::step::Step;
use crate::tree;

/// A base in the cache.
#[derive(Debug)]
pub(crate) struct Installed {
    /// As long as it is held, nobody removes the base.
    pub(crate) _held: Shared,
    /// What it holds.
    pub(crate) contents: Contents,
    folder: Utf8PathBuf,
    privilege: Privilege,
    /// Whether it was there before.
    pub(crate) cached: bool,
    /// Bytes that were fetched for it.
    pub(crate) fetched: u64,
}

impl Installed {
    /// Whether its bytes are no longer those that it was made of. It is then made anew when it is next asked for.
    pub(crate) fn damaged(&self) -> anyhow::Result<bool> {
        let damaged = !manifest::holds(&self.folder, &self.contents, self.privilege)?;
        if damaged {
            manifest::break_seal(&self.folder)?;
        }
        Ok(damaged)
    }
}

/// Sees to it that the base of a step is in the cache, and as it was when it was made.
pub(crate) fn base(step: &Step, progress: &mut dyn Progress) -> anyhow::Result<Installed> {
    let Step::Base { key, folder, aside, pins, question, bootstrap } = step else {
        anyhow::bail!("{step} makes no base")
    };
    let pins = pins.as_ref().context("a base is made of packages that have been decided")?;
    let bases = folder.parent().context("a base is in no folder")?;
    fs_err::create_dir_all(bases)?;
    let lock = bases.join(format!("{}.lock", key.folder()));
    let (mut cached, mut fetched) = (true, 0);
    loop {
        let held = Shared::wait(&lock, progress)?;
        if folder.is_dir()
            && let Ok(contents) = manifest::check(folder, question.privilege)
        {
            cache::touch(folder)?;
            let (folder, privilege) = (folder.clone(), question.privilege);
            return Ok(Installed { _held: held, contents, folder, privilege, cached, fetched });
        }
        drop(held);
        let _alone = Exclusive::wait(&lock, progress)?;
        if folder.is_dir() {
            if manifest::check(folder, question.privilege).is_ok() {
                continue;
            }
            progress.event(Event::Damaged { what: folder.as_str() });
            cache::remove_tree(folder, question.privilege)?;
        }
        cached = false;
        cache::remove_tree(aside, question.privilege).context("could not clear what an interrupted build left")?;
        fs_err::create_dir(aside)?;
        let made = make(pins, question, bootstrap, aside, progress)
            .with_context(|| format!("could not make the base {}", key.folder()))
            .and_then(|bytes| fs_err::rename(aside, folder).map(|()| bytes).map_err(Into::into));
        if made.is_err() {
            // The failure is told; what cannot be removed now is cleared by the next build.
            let _ = cache::remove_tree(aside, question.privilege);
        }
        fetched = made?;
    }
}

fn make(
    pins: &Pins,
    question: &Question,
    bootstrap: &Bootstrap,
    aside: &Utf8Path,
    progress: &mut dyn Progress,
) -> anyhow::Result<u64> {
    let Question { cache_dir, mirror, privilege, offline, .. } = question;
    let recipe = question.recipe()?;
    let fetched = packages::fetch(cache_dir, pins, &recipe, mirror, *privilege, *offline, progress)?;
    let local = aside.join("packages");
    packages::local_archive(cache_dir, pins, &recipe.suite, &local)?;
    let mut say = |line: &str| progress.event(Event::Line(line));
    bootstrap.install.run(Vec::new(), &mut say).context("could not install the packages")?;
    let mut sources = Layout::new();
    for (path, text) in &bootstrap.sources {
        sources.text(path.as_str(), text.trim_start());
    }
    // mmdebstrap's versions mark different ones.
    sources.text("/var/lib/apt/extended_states", automatic(pins, &recipe, question.system.kernel));
    let no_secrets = |id: &_| anyhow::bail!("a base has no secrets, and no {id}");
    let sources = tree::archive(&sources, &no_secrets, 0)?;
    bootstrap.finish.run(sources, &mut say).context("could not finish what was installed")?;
    fs_err::remove_dir_all(&local)?;
    let tree = BaseTree { root: aside.join("root") };
    tree.release()?;
    installed_as_pinned(&tree, pins)?;
    manifest::write(aside, *privilege)?;
    Ok(fetched)
}

/// apt's marks of what is there because others need it: all that nobody asked for.
fn automatic(pins: &Pins, recipe: &Recipe, kernel: Kernel) -> String {
    let asked = asked_packages(recipe, kernel);
    let automatic = pins.packages.iter().map(|package| package.name.as_str());
    let automatic = automatic.filter(|name| *name != "apt" && !asked.contains(name));
    automatic.map(|name| format!("Package: {name}\nArchitecture: {}\nAuto-Installed: 1\n\n", architecture())).collect()
}

/// apt chose among the pinned packages alone; it must have chosen them all.
fn installed_as_pinned(tree: &BaseTree, pins: &Pins) -> anyhow::Result<()> {
    let mut installed = tree.packages()?;
    let mut pinned: Vec<_> = pins
        .packages
        .iter()
        .map(|package| format!("{} {} {}", package.name, package.version, package.architecture))
        .collect();
    installed.sort();
    pinned.sort();
    let without = |some: &[String], others: &[String]| {
        some.iter().filter(|line| !others.contains(line)).cloned().collect::<Vec<_>>().join(", ")
    };
    anyhow::ensure!(
        installed == pinned,
        "what is installed is not what is pinned: installed and not pinned: [{}]; pinned and not installed: [{}]; \
         --update-lock makes new pins",
        without(&installed, &pinned),
        without(&pinned, &installed)
    );
    Ok(())
}
