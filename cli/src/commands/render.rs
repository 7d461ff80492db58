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

use super::plan;
use crate::args;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// In a folder that this command wrote.
const MARK: &str = ".dmhost-layout";

pub(super) fn run(args: &args::Render, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let out = &args.out;
    let ours = replaceable(out)?;
    let layout = dmhost_layout::render(&plan);
    let pki = if args.without_secrets { None } else { Some(pki(&args.spec.path)?) };

    let parent = match out.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    };
    if !parent.is_dir() {
        return Err(Failure::Usage(anyhow!("{parent} is not a folder, so {out} cannot be made in it")));
    }
    let aside = tempfile::Builder::new()
        .prefix(".dmhost-render-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot make a folder in {parent}"))?;
    let tree = Utf8PathBuf::try_from(aside.path().join("tree")).context("the folder's name is not UTF-8")?;
    let files = write(&layout, pki.as_ref(), &tree)?;
    if ours {
        fs_err::rename(out, aside.path().join("old")).context("cannot put the old layout aside")?;
    }
    fs_err::rename(&tree, out).context("cannot put the new layout in place")?;

    if terminal.json() {
        terminal.print(format!("{:#}", serde_json::json!({ "out": out, "files": files })));
    } else {
        terminal.print(format!("{out}: {} files", files.len()));
    }
    Ok(())
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
            Content::Secret(id) => match pki {
                Some(pki) => put(&place, entry.mode, &pki.credential(id)?)?,
                None => {
                    place = Utf8PathBuf::from(format!("{place}.missing"));
                    put(&place, 0o644, format!("{id}\n").as_bytes())?;
                }
            },
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
