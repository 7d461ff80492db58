//! `dmhost graph`: the networks of a spec as a drawing.

use std::io::Write;

use anyhow::{Context, anyhow};
use camino::Utf8Path;
use dmhost_layout::graph::{Characters, drawing};

use super::plan;
use crate::args::{self, Format};
use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Graph, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let svg = args.out.as_ref().is_some_and(|out| out.extension() == Some("svg"));
    let format = args.format.unwrap_or(if svg { Format::Svg } else { Format::Box });
    let drawn = match format {
        Format::Box => drawing(&plan, 0).text(Characters::Box),
        Format::Ascii => drawing(&plan, 0).text(Characters::Ascii),
        // A picture has room for gaps.
        Format::Svg => drawing(&plan, 1).svg(),
    };
    let name = match format {
        Format::Box => "box",
        Format::Ascii => "ascii",
        Format::Svg => "svg",
    };
    match &args.out {
        None if terminal.json() => {
            terminal.print(format!("{:#}", serde_json::json!({ "format": name, "drawing": drawn })))
        }
        None => terminal.print(drawn),
        Some(out) => {
            interrupt::orderly(|| write(out, args.force, &drawn))?;
            if terminal.json() {
                terminal.print(format!("{:#}", serde_json::json!({ "format": name, "out": out })))
            } else {
                Ok(())
            }
        }
    }
}

/// Writes the whole file or none, aside and then in place.
fn write(out: &Utf8Path, force: bool, text: &str) -> Result<(), Failure> {
    let usage = |message: String| Err(Failure::Usage(anyhow!(message)));
    let parent = match out.parent() {
        Some(parent) if parent.as_str().is_empty() => Utf8Path::new("."),
        Some(parent) => parent,
        None => return usage(format!("{out} names no file that could be written")),
    };
    if !parent.is_dir() {
        return usage(format!("{parent} is not a folder, so {out} cannot be written in it"));
    }
    if out.is_dir() {
        return usage(format!("{out} is a folder; name a file"));
    }
    if out.symlink_metadata().is_ok() && !force {
        return usage(format!("{out} is there already; say --force to overwrite it"));
    }
    let name = out.file_name().unwrap_or_default();
    let aside = parent.join(format!(".{name}.{}", std::process::id()));
    let written = put(&aside, out, text);
    if written.is_err() {
        // Nothing half-written stays; why it failed is what is told.
        let _ = fs_err::remove_file(&aside);
    }
    Ok(written?)
}

fn put(aside: &Utf8Path, out: &Utf8Path, text: &str) -> anyhow::Result<()> {
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).open(aside).context("cannot write")?;
    file.write_all(text.as_bytes())?;
    fs_err::rename(aside, out).with_context(|| format!("cannot put {out} in place"))
}
