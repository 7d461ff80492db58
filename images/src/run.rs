//! The one runner: makes steps happen, in order, and says how far it is.

use std::time::Instant;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::{Base, Engine, Kernel};
use sha2::{Digest, Sha256};

use crate::base::BaseTree;
use crate::cache::{self, Workspace};
use crate::contents::Contents;
use crate::disk::{self, Geometry};
use crate::format::Format;
use crate::image;
use crate::install::{self, Installed};
use crate::machine::{self, MachineError, Privilege};
use crate::pins::{Pins, hex};
use crate::progress::{Event, Progress};
use crate::recipe::System;
use crate::report;
use crate::request::{BuildRequest, Built};
use crate::resolve::{self, Origin, Question, Resolution};
use crate::sources::Mirror;
use crate::step::{self, Step, steps, workspace};
use crate::store::{self, Prune};

/// Makes the image of a host.
///
/// # Errors
/// If the image is there already and `force` is not set, a secret has no bytes, or a step fails. What is the machine's
/// fault has a [`MachineError`] in its chain. In each case nothing is left behind but, perhaps, a finished base.
pub fn build(request: &BuildRequest<'_>, progress: &mut dyn Progress) -> anyhow::Result<Built> {
    let built = attempt(request, progress);
    match &built {
        Err(error) if error.is::<DamagedBase>() => attempt(request, progress),
        Ok(_) | Err(_) => built,
    }
}

/// A base whose bytes are not those that it was made of; its seal is broken, so it is made anew when it is asked for.
#[derive(Debug)]
struct DamagedBase;

impl std::fmt::Display for DamagedBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the base in the cache was damaged while an image was made of it")
    }
}

impl std::error::Error for DamagedBase {}

fn attempt(request: &BuildRequest<'_>, progress: &mut dyn Progress) -> anyhow::Result<Built> {
    let options = request.options()?;
    let out = &options.out;
    refuse_existing(out, options.force)?;
    let parent = out.parent().with_context(|| format!("{out} is in no folder"))?;
    anyhow::ensure!(parent.is_dir(), "{parent} is no folder: {out} cannot be made there");
    let plan = steps(request.plan, request.layout, &options, None)?;
    machine::preflight(options.privilege, Format::of(out)?)?;
    let _workspace = Workspace::take(&workspace(out))?;
    let mut runner = Runner {
        request,
        progress,
        base: None,
        root: None,
        contents: Contents::default(),
        reports: Vec::new(),
        lock: None,
    };
    let mut timings = Vec::with_capacity(plan.len());
    let count = plan.len();
    let mut timed =
        |runner: &mut Runner<'_, '_, '_>, index: usize, step: &Step| -> anyhow::Result<Option<Resolution>> {
            let begun = Instant::now();
            runner.progress.event(Event::Started { index, count, step });
            let taken = runner.take(step).map_err(name_full_disks)?;
            let took = begun.elapsed();
            timings.push((step.title(), took));
            runner.progress.event(Event::Finished { index, step, took, cached: taken.cached, bytes: taken.bytes });
            Ok(taken.resolution)
        };
    let first = plan.first().context("a build has steps")?;
    let packages = timed(&mut runner, 0, first)?.context("the first step decides the packages")?;
    let plan = steps(request.plan, request.layout, &options, Some(&packages.pins))?;
    for (index, step) in plan.iter().enumerate().skip(1) {
        if let Step::Publish { .. } = step {
            runner.report(&plan, &packages.pins, out)?;
            runner.lock = packages.write.as_deref().map(|path| (&packages.pins, path));
        }
        timed(&mut runner, index, step)?;
    }
    let Runner { base, contents, .. } = runner;
    let base_cached = base.as_ref().is_some_and(|base| base.cached);
    if let Some(limit) = request.cache_limit.filter(|_| !base_cached) {
        // The base is still held, and so it stays.
        let pruned = store::prune(&options.cache_dir, Prune::DownTo(limit))?;
        if !pruned.removed.is_empty() {
            progress.event(Event::Pruned { pruned: &pruned, limit });
        }
    }
    drop(base);
    let tree = contents.digest();
    let bytes = Geometry::of(request.plan.host.disk)?.size;
    let mut built = Built { path: out.clone(), bytes, allocated: 0, base_cached, packages, tree, timings };
    let image = fs_err::File::open(out)?;
    built.allocated = disk::allocated(&image)?;
    Ok(built)
}

/// The base of a recipe with Debian's engine and this kernel: from the cache, or made there. `None`: [`cache::default_cache_dir`].
///
/// # Errors
/// If it has to be made and cannot be.
pub fn base(
    base: Base,
    kernel: Kernel,
    cache_dir: Option<&Utf8Path>,
    progress: &mut dyn Progress,
) -> anyhow::Result<BaseTree> {
    let cache_dir = match cache_dir {
        Some(folder) => folder.to_owned(),
        None => cache::default_cache_dir()?,
    };
    let privilege = Privilege::of_this_process();
    machine::preflight(privilege, Format::Raw)?;
    let mirror = Mirror::of_this_machine();
    let system = System { base, engine: Engine::DockerIo, kernel };
    let (lock, packages, engine_key, offline) = (None, Vec::new(), None, false);
    let question = Question { system, engine_key, packages, cache_dir, lock, mirror, privilege, offline };
    let resolution = question.resolve(progress).map_err(name_full_disks)?;
    let step = step::base(question, Some(resolution.pins))?;
    let Step::Base { folder, .. } = &step else { anyhow::bail!("{step} makes no base") };
    install::base(&step, progress).map_err(name_full_disks)?;
    Ok(BaseTree { root: folder.join("root") })
}

fn refuse_existing(out: &Utf8Path, force: bool) -> anyhow::Result<()> {
    let there = out.symlink_metadata().is_ok();
    anyhow::ensure!(force || !there, "{out} exists already: remove it, or say that it may be replaced");
    anyhow::ensure!(!there || out.is_file(), "{out} is no file: it is left as it is");
    Ok(())
}

/// Writes of our own fail with an error of the system; programs' are told by their words.
fn name_full_disks(error: anyhow::Error) -> anyhow::Error {
    let full = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    if full.into_iter().any(|cause| cause.kind() == std::io::ErrorKind::StorageFull) {
        let attempt = error.to_string();
        return error.context(MachineError::NoSpace { attempt });
    }
    error
}

/// What has been decided and taken hold of so far.
struct Runner<'a, 'p, 'r> {
    request: &'a BuildRequest<'a>,
    progress: &'p mut dyn Progress,
    /// Held until the image is done: nobody removes the base meanwhile.
    base: Option<Installed>,
    /// The root file system, until it is on its disk.
    root: Option<image::Root>,
    /// What the image was found to hold.
    contents: Contents,
    /// The reports as they were written aside, and where they stand when the image does.
    reports: Vec<(Utf8PathBuf, Utf8PathBuf)>,
    /// The lock that is written with the image.
    lock: Option<(&'r Pins, &'r Utf8Path)>,
}

/// What came of a step.
#[derive(Default)]
struct Taken {
    cached: bool,
    bytes: Option<u64>,
    resolution: Option<Resolution>,
}

impl Taken {
    /// A step that wrote this file: what it takes on the file system.
    fn written(file: &Utf8Path) -> anyhow::Result<Self> {
        Ok(Self { bytes: Some(disk::allocated(&fs_err::File::open(file)?)?), ..Self::default() })
    }
}

impl Runner<'_, '_, '_> {
    /// Writes aside what will stand beside the image.
    fn report(&mut self, steps: &[Step], pins: &Pins, out: &Utf8Path) -> anyhow::Result<()> {
        let BuildRequest { plan, layout, spec, .. } = self.request;
        let spec = spec.map(|spec| hex(&Sha256::digest(spec)));
        let base = steps.iter().find_map(|step| {
            let Step::Base { key, folder, .. } = step else { return None };
            Some((key.digest.as_str(), BaseTree { root: folder.join("root") }))
        });
        let (base, tree) = base.context("an image has a base")?;
        let subvolumes = layout.subvolumes().iter().map(|subvolume| subvolume.name.as_str()).collect();
        let (host, spec, contents) = (plan.host.name.as_str(), spec.as_deref(), &self.contents);
        let subject = report::Subject { host, spec, base, pins, contents, subvolumes };
        let values = [("json", subject.image(&tree)?), ("cdx.json", subject.bill())];
        for (ending, value) in values {
            let aside = workspace(out).join(ending);
            fs_err::write(&aside, format!("{value:#}\n"))?;
            self.reports.push((aside, report::beside(out, ending)));
        }
        Ok(())
    }

    /// Why the image is not what was meant: its base is to blame, or what made the image of it.
    fn blame(base: &Installed, differences: &[String]) -> anyhow::Error {
        /// More are no help.
        const TOLD: usize = 10;
        match base.damaged() {
            Ok(true) => return DamagedBase.into(),
            Ok(false) => {}
            Err(error) => return error,
        }
        anyhow::anyhow!(
            "the image does not hold what was meant, in {} places:\n{}",
            differences.len(),
            differences[..differences.len().min(TOLD)].join("\n")
        )
    }

    fn take(&mut self, step: &Step) -> anyhow::Result<Taken> {
        let progress = &mut *self.progress;
        match step {
            Step::Packages { question, known: _ } => {
                let resolution = question.resolve(progress)?;
                let cached = resolution.origin != Origin::Archive;
                return Ok(Taken { cached, resolution: Some(resolution), bytes: None });
            }
            Step::Base { .. } => {
                let base = install::base(step, progress)?;
                let (cached, bytes) = (base.cached, Some(base.fetched).filter(|&bytes| bytes > 0));
                self.base = Some(base);
                return Ok(Taken { cached, resolution: None, bytes });
            }
            Step::FileSystem { .. } => {
                let base = self.base.as_ref().context("the base comes before the root file system")?;
                let root = image::file_system(step, &base.contents, self.request, progress)?;
                let bytes = Some(disk::allocated(&root.file)?);
                self.root = Some(root);
                return Ok(Taken { bytes, ..Taken::default() });
            }
            Step::Disk { file, geometry } => {
                let root = self.root.take().context("the root file system comes before its disk")?;
                image::put_root(&root, file, geometry, progress)?;
                return Taken::written(file);
            }
            Step::ReadBack { file } => {
                let base = self.base.as_ref().context("the base comes before the image")?;
                self.contents = match image::read_back(file, &base.contents, self.request)? {
                    Ok(contents) => contents,
                    Err(differences) => return Err(Self::blame(base, &differences)),
                };
                let bytes = Some(self.contents.bytes());
                return Ok(Taken { bytes, ..Taken::default() });
            }
            Step::Convert { from, file, format, command } => {
                drop(image::private_file(file)?);
                let said = |line: &str| progress.event(Event::Line(line));
                command.run(Vec::new(), said).with_context(|| format!("could not write the disk as {format}"))?;
                fs_err::remove_file(from)?;
                return Taken::written(file);
            }
            Step::Publish { file, out, force } => {
                refuse_existing(out, *force)?;
                if let Some((pins, path)) = self.lock {
                    resolve::write(pins, path)?;
                }
                for (aside, path) in &self.reports {
                    fs_err::rename(aside, path)?;
                }
                // The last of all: where there is an image, all that belongs to it is there.
                image::publish(file, out, *force)?;
            }
        }
        Ok(Taken::default())
    }
}
