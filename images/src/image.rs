//! What a build does itself: the root file system and the disk, read back and given their name.

use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::base::BaseTree;
use crate::btrfs;
use crate::contents::Contents;
use crate::disk::{self, Ahead, BootFiles, Extent, Geometry};
use crate::identity::Identity;
use crate::meant;
use crate::progress::{Event, Progress};
use crate::request::BuildRequest;
use crate::room;
use crate::scratch;
use crate::step::{Blank, COMMAND_LINE, Step};
use crate::tree;

/// Gives the image its name; without `force` not even an image that came this moment is replaced.
pub(crate) fn publish(file: &Utf8Path, out: &Utf8Path, force: bool) -> anyhow::Result<()> {
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

pub(crate) fn private_file(path: &Utf8Path) -> anyhow::Result<File> {
    Ok(OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?)
}

/// A root file system that is not yet on its disk, and what of it is there already.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) file: File,
    ahead: Ahead,
}

/// Makes the root file system, and beside it, since that keeps one processor busy, the disk that it will be on. It is made in
/// memory if what the base unpacks to is no more than may be taken of that.
pub(crate) fn file_system(
    step: &Step,
    base: &Contents,
    request: &BuildRequest<'_>,
    progress: &mut dyn Progress,
) -> anyhow::Result<Root> {
    let Step::FileSystem { layout, file, size, command, identity, latest, blank } = step else {
        anyhow::bail!("{step} makes no file system")
    };
    let tar = tree::archive(layout, request.secrets, *latest)?;
    let memory = request.memory.unwrap_or_else(|| room::free() / 2);
    let in_memory = base.bytes() <= memory;
    let root = scratch::open(file, *size, in_memory)?;
    let output = root.file().try_clone().context("could not open the root file system twice")?;
    let ahead = std::thread::scope(|scope| -> anyhow::Result<Ahead> {
        let (running, ended) = channel();
        let root = &root;
        let disk = scope.spawn(move || {
            let disk = make_blank(blank, identity)?;
            // From one file of a disk to another the kernel copies best what is done.
            if in_memory { follow(root, &disk, blank.geometry.root, &ended) } else { Ok(Ahead::default()) }
        });
        let made = command.run_into(tar, output, |line| progress.event(Event::Line(line)));
        drop(running);
        let ahead = disk.join().unwrap_or_else(|panic| resume_unwind(panic));
        made.context("could not make the root file system").and(ahead)
    })?;
    btrfs::settle(root.file(), Extent { start: 0, length: *size }, identity, *latest)
        .context("could not settle the root file system")?;
    Ok(Root { file: root, ahead })
}

/// Copies what there is of the root, until the program that makes it has ended.
fn follow(root: &File, disk: &File, extent: Extent, ended: &Receiver<()>) -> anyhow::Result<Ahead> {
    const EVERY: Duration = Duration::from_millis(100);
    let mut ahead = Ahead::default();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
        ahead.copy(root, disk, extent)?;
    }
    Ok(ahead)
}

fn make_blank(blank: &Blank, identity: &Identity) -> anyhow::Result<File> {
    let Blank { base, file, geometry, title } = blank;
    let base = BaseTree { root: base.clone() };
    let release = base.release()?;
    let files = BootFiles {
        loader: fs_err::read(base.boot_loader())?,
        kernel: fs_err::read(base.kernel(&release))?,
        initrd: fs_err::read(base.initrd(&release))?,
        release,
        command_line: COMMAND_LINE.to_owned(),
        title: title.clone(),
    };
    let disk = disk::create(private_file(file)?, geometry, identity)?;
    let esp = disk::make_boot(geometry.esp.length, &files)?;
    disk.file().write_all_at(&esp, geometry.esp.start).context("could not write the EFI system partition")?;
    Ok(disk)
}

/// Puts the root on its disk.
pub(crate) fn put_root(
    Root { file: root, ahead }: &Root,
    file: &Utf8Path,
    geometry: &Geometry,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    let disk = OpenOptions::new().read(true).write(true).open(file)?;
    disk::copy_into(root, &disk, geometry.root, ahead, |done, total| progress.event(Event::Bytes { done, total }))
}

/// Reads everything back, and gives it if it is what was meant, or how it differs.
pub(crate) fn read_back(
    file: &Utf8Path,
    base: &Contents,
    request: &BuildRequest<'_>,
) -> anyhow::Result<Result<Contents, Vec<String>>> {
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
    Ok(if differences.is_empty() { Ok(found) } else { Err(differences) })
}
