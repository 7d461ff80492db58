//! A build as data: what will be done, in order, each step with its commands and paths decided.
//!
//! [`steps`] does nothing; the runner does. `--dry-run` prints this list.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::layout::{Layout, Subvolume};
use dmhost_layout::plan::{Host, HostPlan};

use crate::base::{BaseKey, Bootstrap};
use crate::command::Command;
use crate::disk::Geometry;
use crate::format::Format;
use crate::identity::Identity;
use crate::machine::Privilege;
use crate::pins::{LockFile, Pins};
use crate::recipe::System;
use crate::resolve::Question;
use crate::sources::Mirror;
use crate::vendor::Vendor;

const ASSEMBLE: &str = include_str!("scripts/assemble.sh");

/// Every feature by name: mkfs.btrfs changes its defaults between versions. Quotas are left to the host, since
/// `-O squota` with `--rootdir` writes uninitialised limits.
const MKFS: &str = "--quiet --label dmhost --data single --metadata dup --checksum crc32c \
                    --features extref,skinny-metadata,no-holes,free-space-tree --compress zstd:1";

/// The kernel command line of every image. Nothing is mounted by partition type and no socket of sshd is made: the
/// layout alone says what is mounted and what listens.
pub const COMMAND_LINE: &str = "root=PARTLABEL=dmhost-root rootfstype=btrfs rootflags=subvol=@ rw quiet \
     systemd.gpt_auto=no systemd.ssh_auto=no console=tty0 console=ttyS0,115200";

/// What a build is asked for beyond plan and layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The image to write.
    pub out: Utf8PathBuf,
    /// Whether an image that is there may be replaced.
    pub force: bool,
    /// The cache's folder.
    pub cache_dir: Utf8PathBuf,
    /// The lock, if the spec has one.
    pub lock: Option<LockFile>,
    /// Where packages come from.
    pub mirror: Mirror,
    /// How the build gets its rights.
    pub privilege: Privilege,
    /// Whether the network is not to be used.
    pub offline: bool,
    /// The key of the engine's own archive, where it has one.
    pub engine_key: Option<Utf8PathBuf>,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Decides which packages the base is made of.
    Packages {
        /// What is asked, and of whom.
        question: Question,
        /// The pins, where they are known without asking the archive.
        known: Option<Pins>,
    },
    /// Makes the base aside and moves it into the cache, unless it is there.
    Base {
        /// Its key.
        key: BaseKey,
        /// Where it stands when it is complete.
        folder: Utf8PathBuf,
        /// Where it is made.
        aside: Utf8PathBuf,
        /// What is fetched if the cache lacks it, and from where; `None`: to be decided by the step before.
        pins: Option<Pins>,
        /// Where packages come from and are kept.
        question: Question,
        /// How.
        bootstrap: Bootstrap,
    },
    /// Makes the root file system of base and layout in a file of its own, in memory where that has room.
    FileSystem {
        /// The layout; its secrets are filled in on the way.
        layout: Layout,
        /// Where the file is if memory is short.
        file: Utf8PathBuf,
        /// Its size in bytes: the root partition's.
        size: u64,
        /// How; takes the layout as a tar, and the file as its output.
        command: Command,
        /// Whose UUIDs it gets.
        identity: Identity,
        /// The latest time that a file of it has, in seconds since 1970.
        latest: u64,
        /// The disk that it will be on, made meanwhile.
        blank: Blank,
    },
    /// Puts the root file system on its disk.
    Disk {
        /// The disk, [`Blank`] so far.
        file: Utf8PathBuf,
        /// Where things stand on it.
        geometry: Geometry,
    },
    /// Reads back what was written: partition table, boot entry, kernel, superblock.
    ReadBack {
        /// The disk.
        file: Utf8PathBuf,
    },
    /// Writes the disk down in another format than raw.
    Convert {
        /// The raw disk, which goes.
        from: Utf8PathBuf,
        /// The file in the other format.
        file: Utf8PathBuf,
        /// Which.
        format: Format,
        /// How.
        command: Command,
    },
    /// Gives the image its name, mode 0600.
    Publish {
        /// The finished disk.
        file: Utf8PathBuf,
        /// The image.
        out: Utf8PathBuf,
        /// Whether an image that is there may be replaced.
        force: bool,
    },
}

/// A disk with partition table and EFI system partition, and nothing on its root partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blank {
    /// The base's tree, for kernel, initramfs and boot loader.
    pub base: Utf8PathBuf,
    /// The disk.
    pub file: Utf8PathBuf,
    /// Where things stand on it.
    pub geometry: Geometry,
    /// The title of its boot entry.
    pub title: String,
}

/// The folder beside the image where it is made: hidden, and named for it, so that leavings are known and taken over.
pub fn workspace(out: &Utf8Path) -> Utf8PathBuf {
    out.with_file_name(format!(".{}.dmhost-build", out.file_name().unwrap_or("image")))
}

impl Options {
    /// What is to be known of the packages of a host's base.
    pub fn question(&self, host: &Host) -> Question {
        let Self { out: _, force: _, cache_dir, lock, mirror, privilege, offline, engine_key } = self.clone();
        let (system, packages) = (System::of(host), host.packages.clone());
        Question { system, engine_key, packages, cache_dir, lock, mirror, privilege, offline }
    }
}

/// The steps that make the image of a host. Where its packages are known only when the archive has been asked, the first
/// step finds out, and `steps` is asked again with them as `pins`.
///
/// # Errors
/// If the disk is smaller than an image can be, the image's name asks for a format that is not written here, or the lock may
/// not be used.
pub fn steps(plan: &HostPlan, layout: &Layout, options: &Options, pins: Option<&Pins>) -> anyhow::Result<Vec<Step>> {
    let host = &plan.host;
    let question = options.question(host);
    let known = match pins {
        Some(pins) => Some(pins.clone()),
        None => question.known()?.map(|resolution| resolution.pins),
    };
    let packages = Step::Packages { question: question.clone(), known: known.clone() };
    let base_step = base(question, known)?;
    let Step::Base { key, folder, question, .. } = &base_step else { anyhow::bail!("{base_step} makes no base") };
    let (identity, latest) = (Identity::new(key, layout), question.recipe()?.released);
    let geometry = Geometry::of(host.disk)?;
    let work = workspace(&options.out);
    let base = folder.join("root");
    let root = work.join("root.btrfs");
    let disk = work.join("disk.raw");
    let stage = work.join("stage");
    let (system, device) = (identity.uuid("file system"), identity.uuid("device"));
    let mkfs = format!("{MKFS} --uuid {system} --device-uuid {device}");
    let epoch = format!("SOURCE_DATE_EPOCH={latest}");
    let script = ["env", &epoch, "sh", "-euc", ASSEMBLE, "assemble"];
    let argv = script
        .into_iter()
        .chain([stage.as_str(), base.as_str(), &mkfs])
        .map(str::to_owned)
        .chain(subvolume_words(layout.subvolumes())?);
    let command = Command::privileged(options.privilege, argv);
    let format = Format::of(&options.out)?;
    let converted = work.join(format!("disk.{format}"));
    let convert = format.convert(&disk, &converted).map(|command| {
        let (from, file) = (disk.clone(), converted.clone());
        Step::Convert { from, file, format, command }
    });
    let finished = if convert.is_some() { converted } else { disk.clone() };
    let blank = Blank { base, file: disk.clone(), geometry, title: format!("dmhost: {}", host.name) };
    let (layout, size) = (layout.clone(), geometry.root.length);
    let mut steps = vec![
        packages,
        base_step,
        Step::FileSystem { layout, file: root, size, command, identity, latest, blank },
        Step::Disk { file: disk.clone(), geometry },
        Step::ReadBack { file: disk },
    ];
    steps.extend(convert);
    steps.push(Step::Publish { file: finished, out: options.out.clone(), force: options.force });
    Ok(steps)
}

/// The step that makes a base.
///
/// # Errors
/// If there is no such recipe.
pub(crate) fn base(question: Question, pins: Option<Pins>) -> anyhow::Result<Step> {
    let Question { system, ref cache_dir, privilege, .. } = question;
    let recipe = question.recipe()?;
    let key = BaseKey::new(system, &recipe, pins.as_ref())?;
    let bases = cache_dir.join("bases");
    let folder = bases.join(key.folder());
    let aside = bases.join(format!(".{}.making", key.folder()));
    let bootstrap = Bootstrap::new(&recipe, system.kernel, privilege, &aside);
    Ok(Step::Base { key, folder, aside, pins, question, bootstrap })
}

/// The root's name, then name and mount of the others, deepest mounts first, so that a mount below another is moved
/// out of it before that is.
fn subvolume_words(subvolumes: &[Subvolume]) -> anyhow::Result<Vec<String>> {
    let Some((root, others)) = subvolumes.split_first() else {
        anyhow::bail!("the layout names no subvolume for the root");
    };
    let mut others: Vec<_> = others.iter().collect();
    others.sort_by_key(|subvolume| {
        std::cmp::Reverse(subvolume.mount.as_ref().map_or(0, |mount| mount.components().count()))
    });
    let words = |subvolume: &Subvolume| {
        let mount = subvolume.mount.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        [subvolume.name.clone(), mount]
    };
    Ok(std::iter::once(root.name.clone()).chain(others.into_iter().flat_map(words)).collect())
}

/// Who is asked for packages.
fn archives(question: &Question, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "packages: ask {} what it has", question.mirror.archive)?;
    // A key that is missing stopped the build before it had steps.
    let vendor = question.recipe().ok().and_then(|recipe| recipe.vendor);
    let Some(Vendor { archive, .. }) = vendor else { return Ok(()) };
    write!(f, "\n  and {} for the engine, signed with the key {}", archive.uri, archive.fingerprint)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages { question, known } => match known {
                Some(pins) => write!(f, "packages: {}, as they are pinned", pins.packages.len()),
                None => archives(question, f),
            },
            Self::Base { key, folder, aside: _, pins: _, question: _, bootstrap } => {
                let System { base, engine, kernel } = key.system;
                let (base, engine, kernel) = (base.as_str(), engine.as_str(), kernel.as_str());
                writeln!(f, "base {base} with {engine} and the {kernel} kernel, unless it is in {folder}")?;
                write!(f, "  {}\n  {}", bootstrap.install, bootstrap.finish)
            }
            Self::FileSystem { layout, file, size, command, identity: _, latest: _, blank } => {
                let (entries, volumes) = (layout.iter().count(), layout.subvolumes().len());
                writeln!(
                    f,
                    "root file system of {size} bytes in memory, or {file}: {entries} entries of the layout, {volumes} subvolumes"
                )?;
                let Blank { base: _, file, geometry, title: _ } = blank;
                writeln!(f, "  {command}")?;
                write!(f, "  meanwhile partition table and EFI system partition of {} bytes in {file}", geometry.size)
            }
            Self::Disk { file, geometry } => {
                write!(f, "disk: the root file system into {file}, at byte {}", geometry.root.start)
            }
            Self::ReadBack { file } => write!(f, "read {file} back"),
            Self::Convert { from: _, file, format, command } => write!(f, "{format} in {file}\n  {command}"),
            Self::Publish { file, out, force } => {
                write!(f, "name {file} {out}{}", if *force { ", in place of what is there" } else { "" })
            }
        }
    }
}

impl Step {
    /// What the step does in a few words, for a line of progress.
    pub fn title(&self) -> String {
        match self {
            Self::Packages { known: Some(pins), .. } => format!("packages: {}", pins.packages.len()),
            Self::Packages { known: None, .. } => "packages".to_owned(),
            Self::Base { key, .. } => {
                let System { base, engine: _, kernel } = key.system;
                format!("base {}, {} kernel", base.as_str(), kernel.as_str())
            }
            Self::FileSystem { layout, .. } => format!("root file system, {} subvolumes", layout.subvolumes().len()),
            Self::Disk { .. } => "disk with boot loader".to_owned(),
            Self::ReadBack { .. } => "read back".to_owned(),
            Self::Convert { format, .. } => format!("as {format}"),
            Self::Publish { out, .. } => format!("image {out}"),
        }
    }
}
