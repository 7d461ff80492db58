//! Capsules: a host whose proof is red, kept as it was at that instant, and opened again on a terminal.
//!
//! A capsule is a folder that needs nothing besides: the machine's state, its overlay and the image below it, the host spec, the capture,
//! the console and the journal. What was in the host's memory was its keys too, so all of it is its user's alone.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::Format;
use dmhost_layout::plan_from_toml;
use serde::{Deserialize, Serialize};

use super::{BedRequest, Outside, Testbed, Wires, until_off};
use crate::guest::now_logged_in;
use crate::states::{Saved, machine};
use crate::vm::{Accel, Console, Waiting};

const NOTE: &str = "capsule.json";
const SPEC: &str = "host.toml";
const IMAGE: &str = "image.raw";
const JOURNAL: &str = "journal.txt";
const CAPTURE: &str = "capture.pcapng";
/// For the journal to be read, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a capsule goes, and what it is told.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// The folder, which is not there yet.
    pub folder: &'a Utf8Path,
    /// The text of the host spec.
    pub spec: &'a str,
}

/// What a capsule tells of itself. It is written last: a folder without it is no capsule.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Note {
    /// The version that made it.
    dmhost: String,
    /// What its machine is.
    machine: String,
    /// From the start of QEMU to the agent's hello.
    booted: Duration,
}

impl Keep<'_> {
    /// Keeps a host, which ends with that.
    ///
    /// # Errors
    /// If the folder is there already or a file cannot be written, or the machine cannot be saved.
    pub fn keep(&self, request: &BedRequest<'_>, bed: Testbed) -> Result<()> {
        let Self { folder, spec } = self;
        // QEMU has a working folder of its own.
        let folder = &camino::absolute_utf8(folder).context("cannot tell where the capsule is to be")?;
        ensure!(!folder.exists(), "{folder} is there already");
        let aside = folder.with_file_name(format!(".{}.part", folder.file_name().context("a capsule needs a name")?));
        if aside.exists() {
            fs_err::remove_dir_all(&aside)?;
        }
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(&aside).with_context(|| format!("cannot make {aside}"))?;
        let filled = fill(&aside, request, bed, spec).and_then(|()| Ok(fs_err::rename(&aside, folder)?));
        if filled.is_err() {
            // Half a capsule helps nobody.
            let _ = fs_err::remove_dir_all(&aside);
        }
        filled
    }
}

fn fill(folder: &Utf8Path, request: &BedRequest<'_>, bed: Testbed, spec: &str) -> Result<()> {
    fs_err::write(folder.join(SPEC), spec)?;
    let journal = bed.guest.must("journalctl --boot --no-pager --output=short-monotonic", PATIENCE)?;
    fs_err::write(folder.join(JOURNAL), journal + "\n")?;
    bed.fabric.report()?;
    fs_err::copy(bed.capture(), folder.join(CAPTURE))?;
    Format::Raw.unpack(request.image, &folder.join(IMAGE))?;
    let saved = Saved::at(folder.to_owned());
    let booted = bed.guest.booted_in().unwrap_or_default();
    let Outside { vm, run, fabric, machine, .. } = bed.outside;
    vm.save(&saved.memory())?;
    drop(fabric);
    saved.pack(run.path(), &run.console())?;
    let note = Note { dmhost: env!("CARGO_PKG_VERSION").to_owned(), machine, booted };
    Ok(fs_err::write(folder.join(NOTE), format!("{}\n", serde_json::to_string_pretty(&note)?))?)
}

/// Restores what a capsule holds on the caller's terminal, logged in, on a fabric where nobody else is; returns when it is off. The
/// capsule stays as it is.
///
/// # Errors
/// If it is no capsule, or one of another version, QEMU or processor; as [`Testbed::settled`].
pub fn open(folder: &Utf8Path, accel: Accel, cache_dir: &Path, waiting: Waiting<'_>) -> Result<()> {
    let Note { dmhost, machine: kept, booted } = note(folder)?;
    let folder = &camino::absolute_utf8(folder).context("cannot tell where the capsule is")?;
    let spec: Utf8PathBuf = folder.join(SPEC);
    let (plan, diagnostics) = plan_from_toml(spec.as_str(), &fs_err::read_to_string(&spec)?);
    let Some(plan) = plan else { bail!("{}", diagnostics.render(false)) };
    let image = folder.join(IMAGE);
    let request = BedRequest { plan: &plan, image: &image, accel, cache_dir, report: None };
    let wires = Wires::lay(&plan, None, None, None)?;
    let (mut spec, pace) = wires.machine(&request)?;
    ensure!(
        machine(&spec)? == kept,
        "{folder} was made by dmhost {dmhost} on a machine that this one cannot be: another version of dmhost, of QEMU, or \
         another acceleration"
    );
    (spec.incoming, spec.console) = (true, Console::Terminal);
    let bed = wires.resume(&spec, pace, &Saved::at(folder.to_owned()), &image, booted, waiting)?;
    now_logged_in(&bed.guest)?;
    until_off(&bed)
}

/// Whether a folder is a capsule with all that it takes to open it.
///
/// # Errors
/// What is missing or damaged.
pub fn check(folder: &Utf8Path) -> Result<()> {
    note(folder)?;
    let saved = Saved::at(folder.to_owned()).files();
    let missing = [folder.join(SPEC), folder.join(IMAGE)].into_iter().chain(saved).find(|file| !file.exists());
    missing.map_or(Ok(()), |file| bail!("{folder} is no whole capsule: there is no {file}"))
}

fn note(folder: &Utf8Path) -> Result<Note> {
    let text = fs_err::read_to_string(folder.join(NOTE)).with_context(|| {
        format!("{folder} is no capsule; `dmhost verify --keep` makes one of a host that is not as planned")
    })?;
    serde_json::from_str(&text).with_context(|| format!("{folder}/{NOTE} is not a capsule's"))
}
