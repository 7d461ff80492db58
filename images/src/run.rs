//! The one runner: makes steps happen, in order, and says how far it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::{Base, HostPlan, Kernel};
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::base::{BaseKey, BaseTree, Bootstrap};
use crate::cache::{self, Lock, Workspace};
use crate::command::Command;
use crate::disk::{self, BootFiles, Geometry, Window};
use crate::machine::{self, MachineError, Privilege};
use crate::progress::{Event, Progress};
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
}

impl std::fmt::Debug for BuildRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plan, layout: _, secrets: _, out, cache_dir, force } = self;
        let mut debug = f.debug_struct("BuildRequest");
        debug.field("host", &plan.host.name).field("out", out).field("cache_dir", cache_dir).field("force", force);
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
        let (mirror, privilege) = (Mirror::of_this_machine(), Privilege::of_this_process());
        Ok(Options { out, force: self.force, cache_dir: absolute(&cache_dir)?, mirror, privilege })
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
    let steps = steps(request.plan, request.layout, &options)?;
    machine::preflight(options.privilege)?;
    let _workspace = Workspace::take(&workspace(out))?;
    let mut built = Built {
        path: out.clone(),
        bytes: 0,
        allocated: 0,
        base_cached: false,
        timings: Vec::with_capacity(steps.len()),
    };
    for (index, step) in steps.iter().enumerate() {
        let begun = Instant::now();
        progress.event(Event::Started { index, count: steps.len(), step });
        let cached = take_step(step, request.secrets, options.privilege, progress).map_err(name_full_disks)?;
        built.base_cached |= cached;
        let took = begun.elapsed();
        built.timings.push((step.title(), took));
        progress.event(Event::Finished { index, step, took, cached });
    }
    let image = fs_err::File::open(out)?;
    built.bytes = image.metadata()?.len();
    built.allocated = disk::allocated(&image)?;
    Ok(built)
}

/// The base of a recipe with this kernel: from the cache, or made there. `None`: [`cache::default_cache_dir`].
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
    machine::preflight(privilege)?;
    let step = step::base(base, kernel, &cache_dir, &Mirror::of_this_machine(), privilege)?;
    let Step::Base { key, folder, aside, bootstrap } = &step else { anyhow::bail!("{step} makes no base") };
    make_base(key, folder, aside, bootstrap, privilege, progress).map_err(name_full_disks)?;
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

/// Takes one step; tells whether the cache had its result.
fn take_step(
    step: &Step,
    secrets: &dyn Secrets,
    privilege: Privilege,
    progress: &mut dyn Progress,
) -> anyhow::Result<bool> {
    match step {
        Step::Base { key, folder, aside, bootstrap } => make_base(key, folder, aside, bootstrap, privilege, progress),
        Step::FileSystem { layout, file, size, command } => {
            make_file_system(layout, secrets, file, *size, command, progress)?;
            Ok(false)
        }
        Step::Disk { base, root, file, geometry, title } => {
            write_disk(&BaseTree { root: base.clone() }, root, file, geometry, title, progress)?;
            Ok(false)
        }
        Step::ReadBack { file } => {
            read_back(file)?;
            Ok(false)
        }
        Step::Publish { file, out, force } => {
            refuse_existing(out, *force)?;
            fs_err::rename(file, out)?;
            Ok(false)
        }
    }
}

fn make_base(
    key: &BaseKey,
    folder: &Utf8Path,
    aside: &Utf8Path,
    bootstrap: &Bootstrap,
    privilege: Privilege,
    progress: &mut dyn Progress,
) -> anyhow::Result<bool> {
    if folder.is_dir() {
        return Ok(true);
    }
    let bases = folder.parent().context("a base is in no folder")?;
    fs_err::create_dir_all(bases)?;
    let _lock = Lock::wait(&bases.join(format!("{}.lock", key.folder())))?;
    if folder.is_dir() {
        return Ok(true);
    }
    cache::remove_tree(aside, privilege).context("could not clear what an interrupted build left")?;
    fs_err::create_dir(aside)?;
    let made = (|| {
        let mut say = |line: &str| progress.event(Event::Line(line));
        bootstrap
            .install
            .run(Vec::new(), &mut say)
            .with_context(|| format!("could not install the base {}", key.folder()))?;
        let mut sources = Layout::new();
        for (path, text) in &bootstrap.sources {
            sources.text(path.as_str(), text.trim_start());
        }
        let no_secrets = |id: &_| anyhow::bail!("a base has no secrets, and no {id}");
        let sources = tree::archive(&sources, &no_secrets, now())?;
        bootstrap
            .finish
            .run(sources, &mut say)
            .with_context(|| format!("could not finish the base {}", key.folder()))?;
        let tree = BaseTree { root: aside.join("root") };
        tree.release()?;
        fs_err::write(aside.join("packages"), tree.packages()?.join("\n") + "\n")?;
        fs_err::rename(aside, folder)?;
        anyhow::Ok(())
    })();
    if made.is_err() {
        // The failure is told; what cannot be removed now is cleared by the next build.
        let _ = cache::remove_tree(aside, privilege);
    }
    made.map(|()| false)
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

/// The offset and the bytes that tell btrfs: <https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html>.
const BTRFS_MAGIC: (u64, &[u8; 8]) = (0x1_0040, b"_BHRfS_M");

fn read_back(file: &Utf8Path) -> anyhow::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let disk = disk::open(file)?;
    let boot = disk.boot()?;
    anyhow::ensure!(boot.command_line == COMMAND_LINE, "the command line read back is {:?}", boot.command_line);
    let mut root = disk.root();
    let mut found = [0; 8];
    root.seek(SeekFrom::Start(BTRFS_MAGIC.0))
        .and_then(|_| root.read_exact(&mut found))
        .with_context(|| format!("could not read the root of {file} back"))?;
    anyhow::ensure!(found == *BTRFS_MAGIC.1, "the root of {file} is no btrfs");
    Ok(())
}
