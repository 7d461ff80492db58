//! `dmhost fmt`: specs in the one style, written aside and put in place by a rename; or the difference, and a no.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{Gid, Uid, fchown};
use similar::TextDiff;

use super::{read_spec, reason};
use crate::args;
use crate::failure::Failure;
use crate::interrupt;
use crate::scratch::Scratch;
use crate::terminal::Terminal;

/// A spec that is TOML, before and after.
struct Styled<'a> {
    path: &'a Utf8Path,
    before: String,
    after: String,
}

pub(super) fn run(args: &args::Fmt, terminal: &Terminal) -> Result<(), Failure> {
    let mut specs = Vec::with_capacity(args.specs.len());
    let mut refused = false;
    for path in &args.specs {
        let (name, bytes) = if path == "-" { ("standard input", stdin()?) } else { (path.as_str(), read_spec(path)?) };
        match dmhost_layout::format(name, &bytes) {
            // Format has read them as text.
            Ok(after) => specs.push(Styled { path, before: String::from_utf8_lossy(&bytes).into_owned(), after }),
            Err(diagnostics) => {
                terminal.say(diagnostics.render(terminal.color_err()));
                refused = true;
            }
        }
    }
    // All or nothing: one that is no TOML leaves the others as they are.
    if refused {
        return Err(Failure::No);
    }
    if args.check { check(&specs, terminal) } else { write(&specs, terminal) }
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(super::LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Usage(anyhow!("cannot read standard input: {}", reason(&error))))?;
    if bytes.len() as u64 > super::LIMIT {
        let message = anyhow!("standard input has more than {} bytes, the most that a host spec has", super::LIMIT);
        return Err(Failure::Usage(message));
    }
    Ok(bytes)
}

fn check(specs: &[Styled<'_>], terminal: &Terminal) -> Result<(), Failure> {
    let changed: Vec<&Styled<'_>> = specs.iter().filter(|spec| spec.before != spec.after).collect();
    if terminal.json() {
        let files: Vec<_> = specs
            .iter()
            .map(|spec| {
                let diff = (spec.before != spec.after).then(|| diff(spec));
                serde_json::json!({ "file": spec.path, "changed": diff.is_some(), "diff": diff })
            })
            .collect();
        terminal.print(format!("{:#}", serde_json::json!({ "files": files })))?;
    } else {
        let diffs: String =
            changed.iter().map(|spec| if terminal.color_out() { colored(&diff(spec)) } else { diff(spec) }).collect();
        terminal.print(diffs)?;
    }
    if changed.is_empty() { Ok(()) } else { Err(Failure::No) }
}

/// As `patch` takes it.
fn diff(spec: &Styled<'_>) -> String {
    let path = if spec.path == "-" { "stdin" } else { spec.path.as_str() };
    TextDiff::from_lines(&spec.before, &spec.after)
        .unified_diff()
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

/// What goes in red, what comes in green, as git has it.
fn colored(diff: &str) -> String {
    diff.split_inclusive('\n')
        .map(|line| {
            let color = match line.as_bytes().first() {
                _ if line.starts_with("+++") || line.starts_with("---") => "1",
                Some(b'-') => "31",
                Some(b'+') => "32",
                Some(b'@') => "36",
                Some(_) | None => return line.to_owned(),
            };
            format!("\u{1b}[{color}m{}\u{1b}[0m\n", line.trim_end_matches('\n'))
        })
        .collect()
}

fn write(specs: &[Styled<'_>], terminal: &Terminal) -> Result<(), Failure> {
    let mut files = Vec::new();
    for spec in specs {
        let changed = spec.before != spec.after;
        if spec.path != "-" {
            if changed {
                interrupt::orderly(|| Ok(replace(spec.path, &spec.after)?))?;
            }
        } else if !terminal.json() {
            terminal.print(&spec.after)?;
        }
        files.push((spec, changed));
    }
    if terminal.json() {
        let files: Vec<_> = files
            .iter()
            .map(|(spec, changed)| {
                let text = (spec.path == "-").then_some(&spec.after);
                serde_json::json!({ "file": spec.path, "changed": changed, "text": text })
            })
            .collect();
        return terminal.print(format!("{:#}", serde_json::json!({ "files": files })));
    }
    let named = files.iter().filter(|(spec, changed)| *changed && spec.path != "-");
    terminal.print(named.map(|(spec, _)| format!("{}\n", spec.path)).collect::<String>())
}

/// Puts a text in the place of a file, whole or not at all, with the file's mode and owner. Through a link, what it leads
/// to is replaced.
fn replace(path: &Utf8Path, text: &str) -> anyhow::Result<()> {
    let path: Utf8PathBuf = path.canonicalize_utf8().with_context(|| format!("cannot tell where {path} leads"))?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        anyhow::bail!("{path} is no file that could be replaced");
    };
    let metadata = fs_err::metadata(&path)?;
    anyhow::ensure!(
        metadata.is_file(),
        "{path} is no file that could be replaced; `dmhost fmt -` reads standard input"
    );
    let aside = Scratch::take(&parent.join(format!(".{name}.dmhost-fmt")))?
        .with_context(|| format!("another `dmhost fmt` is writing {path}"))?;
    let new = aside.join("new");
    let mode = metadata.permissions().mode() & 0o7777;
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
        fchown(file.file(), Some(uid), Some(gid)).with_context(|| format!("cannot keep the owner of {path}"))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs_err::rename(&new, &path).with_context(|| format!("cannot put the new {path} in place"))
}
