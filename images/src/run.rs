//! The one runner: makes steps happen, in order, and says how far it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::{Base, Engine, HostPlan, Kernel};
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::base::BaseTree;
use crate::cache::{self, Workspace};
use crate::command::Command;
use crate::contents::Contents;
use crate::disk::{self, BootFiles, Geometry, Window};
use crate::format::Format;
use crate::install::{self, Installed};
use crate::machine::{self, MachineError, Privilege};
use crate::meant;
use crate::pins::{LockFile, Pins, hex};
use crate::progress::{Event, Progress};
use crate::recipe::System;
use crate::report;
use crate::resolve::{self, Origin, Question, Resolution};
use crate::sources::Mirror;
use crate::step::{self, COMMAND_LINE, Options, Step, steps, workspace};
use crate::tree::{self, Secrets};

/// What an image is made of and where it goes.
pub struct BuildRequest<'a> {
    /// The host.
    pub plan: &'a HostPlan,
    /// Its files.
    pub layout: &'a Layout,
    /// The bytes of its secrets.
    pub secrets: &'a dyn Secrets,
    /// The image to write.
    pub out: &'a Utf8Path,
    /// The cache's folder; `None`: [`cache::default_cache_dir`].
    pub cache_dir: Option<&'a Utf8Path>,
    /// Whether an image that is there may be replaced.
    pub force: bool,
    /// The lock; `None`: packages are those the cache last resolved for the recipe, else what the archive has.
    pub lock: Option<LockFile>,
    /// Where packages come from; `None`: the mirror that this machine uses.
    pub mirror: Option<Mirror>,
    /// Whether the network is not to be used.
    pub offline: bool,
    /// The key of the engine's own archive, where it has one.
    pub engine_key: Option<&'a Utf8Path>,
    /// The spec's bytes, whose SHA-256 stands in `IMAGE.json`.
    pub spec: Option<&'a [u8]>,
}

impl std::fmt::Debug for BuildRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plan, layout: _, secrets: _, out, cache_dir, force, lock, mirror, offline, engine_key: _, spec: _ } =
            self;
        let mut debug = f.debug_struct("BuildRequest");
        debug.field("host", &plan.host.name).field("out", out).field("cache_dir", cache_dir).field("force", force);
        debug.field("lock", lock).field("mirror", mirror).field("offline", offline);
        debug.finish_non_exhaustive()
    }
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its size in bytes: the disk's.
    pub bytes: u64,
    /// What it takes on the file system, in bytes: holes take nothing.
    pub allocated: u64,
    /// Whether the base came from the cache.
    pub base_cached: bool,
    /// Its packages, and whether a lock was written with them.
    pub packages: Resolution,
    /// The tree hash: SHA-256 over every path, mode, owner, attribute and content that was read back. Two builds of one
    /// lock, spec and PKI have the same.
    pub tree: String,
    /// What each step took, by its title.
    pub timings: Vec<(String, Duration)>,
}

impl BuildRequest<'_> {
    /// What this build is asked for, on this machine.
    ///
    /// # Errors
    /// If no cache folder can be found, or the image's path has no name.
    pub fn options(&self) -> anyhow::Result<Options> {
        let cache_dir = match self.cache_dir {
            Some(folder) => folder.to_owned(),
            None => cache::default_cache_dir()?,
        };
        let absolute =
            |path: &Utf8Path| camino::absolute_utf8(path).with_context(|| format!("could not tell where {path} is"));
        let out = absolute(self.out)?;
        anyhow::ensure!(out.file_name().is_some(), "{out} names no file");
        Ok(Options {
            out,
            force: self.force,
            cache_dir: absolute(&cache_dir)?,
            lock: self.lock.clone(),
            mirror: self.mirror.clone().unwrap_or_else(Mirror::of_this_machine),
            privilege: Privilege::of_this_process(),
            offline: self.offline,
            engine_key: self.engine_key.map(absolute).transpose()?,
        })
    }
}

/// Makes the image of a host.
///
/// # Errors
/// If the image is there already and `force` is not set, a secret has no bytes, or a step fails. What is the machine's
/// fault has a [`MachineError`] in its chain. In each case nothing is left behind but, perhaps, a finished base.
pub fn build(request: &BuildRequest<'_>, progress: &mut dyn Progress) -> anyhow::Result<Built> {
    let options = request.options()?;
    let out = &options.out;
    refuse_existing(out, options.force)?;
    let parent = out.parent().with_context(|| format!("{out} is in no folder"))?;
    anyhow::ensure!(parent.is_dir(), "{parent} is no folder: {out} cannot be made there");
    let plan = steps(request.plan, request.layout, &options, None)?;
    machine::preflight(options.privilege, Format::of(out)?)?;
    let _workspace = Workspace::take(&workspace(out))?;
    let mut runner = Runner { request, progress, base: None, contents: Contents::default() };
    let mut timings = Vec::with_capacity(plan.len());
    let count = plan.len();
    let mut timed = |runner: &mut Runner<'_, '_>, index: usize, step: &Step| -> anyhow::Result<Option<Resolution>> {
        let begun = Instant::now();
        runner.progress.event(Event::Started { index, count, step });
        let taken = runner.take(step).map_err(name_full_disks)?;
        let took = begun.elapsed();
        timings.push((step.title(), took));
        runner.progress.event(Event::Finished { index, step, took, cached: taken.cached });
        Ok(taken.resolution)
    };
    let first = plan.first().context("a build has steps")?;
    let packages = timed(&mut runner, 0, first)?.context("the first step decides the packages")?;
    let plan = steps(request.plan, request.layout, &options, Some(&packages.pins))?;
    for (index, step) in plan.iter().enumerate().skip(1) {
        if let Step::Publish { .. } = step {
            if let Some(path) = &packages.write {
                resolve::write(&packages.pins, path)?;
            }
            runner.report(&plan, &packages.pins, out)?;
        }
        timed(&mut runner, index, step)?;
    }
    let Runner { base, contents, .. } = runner;
    let base_cached = base.as_ref().is_some_and(|base| base.cached);
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
struct Runner<'a, 'p> {
    request: &'a BuildRequest<'a>,
    progress: &'p mut dyn Progress,
    /// Held until the image is done: nobody removes the base meanwhile.
    base: Option<Installed>,
    /// What the image was found to hold.
    contents: Contents,
}

/// What came of a step.
#[derive(Default)]
struct Taken {
    cached: bool,
    resolution: Option<Resolution>,
}

impl Runner<'_, '_> {
    /// Writes what stands beside the image.
    fn report(&self, steps: &[Step], pins: &Pins, out: &Utf8Path) -> anyhow::Result<()> {
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
        for (ending, value) in [("json", subject.image(&tree)?), ("cdx.json", subject.bill())] {
            let path = report::beside(out, ending);
            let aside = workspace(out).join(ending);
            fs_err::write(&aside, format!("{value:#}\n"))?;
            fs_err::rename(&aside, &path)?;
        }
        Ok(())
    }

    fn take(&mut self, step: &Step) -> anyhow::Result<Taken> {
        let progress = &mut *self.progress;
        match step {
            Step::Packages { question, known: _ } => {
                let resolution = question.resolve(progress)?;
                let cached = resolution.origin != Origin::Archive;
                return Ok(Taken { cached, resolution: Some(resolution) });
            }
            Step::Base { .. } => {
                let base = install::base(step, progress)?;
                let cached = base.cached;
                self.base = Some(base);
                return Ok(Taken { cached, resolution: None });
            }
            Step::FileSystem { layout, file, size, command } => {
                make_file_system(layout, self.request.secrets, file, *size, command, progress)?;
            }
            Step::Disk { base, root, file, geometry, title } => {
                write_disk(&BaseTree { root: base.clone() }, root, file, geometry, title, progress)?;
            }
            Step::ReadBack { file } => {
                let base = self.base.as_ref().context("the base comes before the image")?;
                self.contents = read_back(file, &base.contents, self.request)?;
            }
            Step::Convert { from, file, format, command } => {
                drop(private_file(file)?);
                let said = |line: &str| progress.event(Event::Line(line));
                command.run(Vec::new(), said).with_context(|| format!("could not write the disk as {format}"))?;
                fs_err::remove_file(from)?;
            }
            Step::Publish { file, out, force } => {
                refuse_existing(out, *force)?;
                publish(file, out, *force)?;
            }
        }
        Ok(Taken::default())
    }
}

/// Gives the image its name; without `force` not even an image that came this moment is replaced.
fn publish(file: &Utf8Path, out: &Utf8Path, force: bool) -> anyhow::Result<()> {
    if !force {
        let named = renameat_with(CWD, file.as_std_path(), CWD, out.as_std_path(), RenameFlags::NOREPLACE);
        match named {
            // A file system that cannot promise that: the check before has to do.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            other => return other.with_context(|| format!("could not name the image {out}")),
        }
    }
    Ok(fs_err::rename(file, out)?)
}

fn now() -> u64 {
    // A clock before 1970 gives files of 1970.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn private_file(path: &Utf8Path) -> anyhow::Result<fs_err::File> {
    Ok(fs_err::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?)
}

fn make_file_system(
    layout: &Layout,
    secrets: &dyn Secrets,
    file: &Utf8Path,
    size: u64,
    command: &Command,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    let tar = tree::archive(layout, secrets, now())?;
    private_file(file)?.set_len(size)?;
    command.run(tar, |line| progress.event(Event::Line(line))).context("could not make the root file system")
}

fn write_disk(
    base: &BaseTree,
    root: &Utf8Path,
    file: &Utf8Path,
    geometry: &Geometry,
    title: &str,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    let release = base.release()?;
    let files = BootFiles {
        loader: fs_err::read(base.boot_loader())?,
        kernel: fs_err::read(base.kernel(&release))?,
        initrd: fs_err::read(base.initrd(&release))?,
        release,
        command_line: COMMAND_LINE.to_owned(),
        title: title.to_owned(),
    };
    let disk = disk::create(private_file(file)?, geometry)?;
    disk::write_boot(Window::new(disk.file(), geometry.esp), &files)?;
    let from = fs_err::File::open(root)?;
    disk::copy_into(&from, &disk, geometry.root, |done, total| progress.event(Event::Bytes { done, total }))?;
    fs_err::remove_file(root)?;
    Ok(())
}

/// Reads everything back, and gives it if it is what was meant.
fn read_back(file: &Utf8Path, base: &Contents, request: &BuildRequest<'_>) -> anyhow::Result<Contents> {
    /// More are no help.
    const TOLD: usize = 10;
    let disk = disk::open(file)?;
    let boot = disk.boot()?;
    anyhow::ensure!(boot.command_line == COMMAND_LINE, "the command line read back is {:?}", boot.command_line);
    let found = disk.contents().with_context(|| format!("could not read the root of {file} back"))?;
    let (mut meant, accounts) = meant::contents(base, request.layout, request.secrets)?;
    for path in accounts {
        // Whose bytes only the base's own program knows.
        if let (Some(meant), Some(found)) = (meant.nodes.get_mut(&path), found.nodes.get(&path)) {
            meant.kind = found.kind.clone();
        }
    }
    let differences = meant.differences(&found);
    anyhow::ensure!(
        differences.is_empty(),
        "the image does not hold what was meant, in {} places; the base in the cache may be damaged, \
         `dmhost cache prune --all` removes it:\n{}",
        differences.len(),
        differences[..differences.len().min(TOLD)].join("\n")
    );
    Ok(found)
}
