//! `dmhost render`: the layout as a folder, whole or not at all.
//!
//! The folder is made aside and put in place by a rename; `.dmhost-layout` in it marks it as ours, so that nobody else's
//! folder is ever replaced.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::{Content, Layout};
use dmhost_pki::Pki;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{plan, target};
use crate::args;
use crate::failure::Failure;
use crate::interrupt;
use crate::scratch::Scratch;
use crate::terminal::Terminal;

/// In a folder that this command wrote.
const MARK: &str = ".dmhost-layout";

pub(super) fn run(args: &args::Render, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let target = target::read(args, &plan)?;
    let out = camino::absolute_utf8(&args.out).with_context(|| format!("cannot tell where {} is", args.out))?;
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
        return Err(Failure::Usage(anyhow!("{} names no folder that could be made", args.out)));
    };
    let there = replaceable(&out)?;
    let layout = dmhost_layout::render_for(&plan, &target);
    let pki = if args.without_secrets || !layout.has_secrets() { None } else { Some(pki(&args.spec.path)?) };
    if !parent.is_dir() {
        return Err(Failure::Usage(anyhow!("{parent} is not a folder, so {} cannot be made in it", args.out)));
    }
    let files = interrupt::orderly(|| {
        let aside = Scratch::take(&parent.join(format!(".{name}.dmhost-render")))?
            .with_context(|| format!("another `dmhost render` is writing {}", args.out))?;
        let tree = aside.join("tree");
        let files = write(&layout, pki.as_ref(), &tree)?;
        if there {
            exchange(&tree, &out, &aside.join("old"))?;
        } else {
            fs_err::rename(&tree, &out).context(PLACE)?;
        }
        Ok(files)
    })?;
    if terminal.json() {
        terminal.print(format!("{:#}", serde_json::json!({ "out": args.out, "files": files })))
    } else {
        terminal.print(format!("{}: {} files", args.out, files.len()))
    }
}

const PLACE: &str = "cannot put the new layout in place";

/// Puts `tree` where `out` is, and `out` aside: at once where the file system can.
fn exchange(tree: &Utf8Path, out: &Utf8Path, old: &Utf8Path) -> anyhow::Result<()> {
    match renameat_with(CWD, tree.as_str(), CWD, out.as_str(), RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs_err::rename(out, old).context("cannot put the old layout aside")?;
            fs_err::rename(tree, out).context(PLACE).inspect_err(|_| drop(fs_err::rename(old, out)))
        }
        other => other.with_context(|| format!("{PLACE}, {out}")),
    }
}

/// Whether `out` is there and may be replaced. An empty folder may; one with a stranger's files may not.
fn replaceable(out: &Utf8Path) -> Result<bool, Failure> {
    let usage = |error: std::io::Error| Failure::Usage(error.into());
    match fs_err::symlink_metadata(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(usage(error)),
        Ok(metadata) if !metadata.is_dir() => Err(Failure::Usage(anyhow!("{out} is there and is not a folder"))),
        Ok(_) if out.join(MARK).is_file() => Ok(true),
        Ok(_) if fs_err::read_dir(out).map_err(usage)?.next().is_none() => Ok(true),
        Ok(_) => Err(Failure::Usage(anyhow!(
            "{out} holds files that dmhost did not write; name a new folder, or empty it first"
        ))),
    }
}

fn pki(spec: &Utf8Path) -> Result<Pki, Failure> {
    let folder = Pki::path_for(spec);
    Pki::open(&folder).map_err(|error| {
        Failure::Usage(error.context(format!(
            "no certificates for this spec; make them with `dmhost pki init {spec}`, or say --without-secrets"
        )))
    })
}

/// Writes every entry below `root`; gives their paths in order.
fn write(layout: &Layout, pki: Option<&Pki>, root: &Utf8Path) -> anyhow::Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    fs_err::create_dir(root)?;
    fs_err::write(root.join(MARK), "Written by `dmhost render`, which may replace this folder.\n")?;
    for (path, entry) in layout.iter() {
        let below = path.strip_prefix("/").with_context(|| format!("{path} is not absolute"))?;
        let mut place = root.join(below);
        if let Some(parent) = place.parent() {
            fs_err::create_dir_all(parent)?;
        }
        match &entry.content {
            Content::Directory => {
                fs_err::create_dir_all(&place)?;
                fs_err::set_permissions(&place, std::fs::Permissions::from_mode(entry.mode))?;
                continue;
            }
            Content::Link(target) => fs_err::os::unix::fs::symlink(target, &place)?,
            Content::Text(text) => put(&place, entry.mode, text.as_bytes())?,
            Content::Secret(id) => {
                if let Some(pki) = pki {
                    put(&place, entry.mode, &pki.credential(id)?)?;
                } else {
                    place = Utf8PathBuf::from(format!("{place}.missing"));
                    put(&place, 0o644, format!("{id}\n").as_bytes())?;
                }
            }
        }
        files.push(below.to_owned());
    }
    Ok(files)
}

/// A file with its mode from the first byte on.
fn put(path: &Utf8Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(())
}
