//! Lints what others wrote: hand-made `daemon.json` files of one machine, the units that start their daemons, and the
//! environment files of those.
//!
//! Each daemon is judged by the engine's own rules ([`crate::engine`]), then all of them together: what two daemons in one
//! network namespace take from each other. The rules were met by running engine 26.1; where moby's source names one, the
//! code's explanation ([`crate::diagnostics::codes()`]) says so.

mod alone;
mod daemon;
mod json;
mod together;
mod unit;

use std::collections::BTreeMap;

use crate::diagnostics::{Diagnostic, Diagnostics, Span};
use crate::engine::{self, Reader, Version};
use daemon::Daemon;

/// The longest file that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Lints files of one machine: `NAME.json` are daemons' configurations, `NAME.service` units that start dockerd, anything
/// else an environment file of a unit.
///
/// A unit belongs to the configuration that its `--config-file=` names, by file name; a template (`%i`) to each that fits.
/// What comes back has one [`Diagnostics`] for each file, in the order of `files`; a place in another file is told in the
/// message.
pub fn lint(files: &[(&str, &str)]) -> Vec<Diagnostics> {
    let mut reports = Reports { files, all: vec![Vec::new(); files.len()] };
    let daemons = daemons(files, &mut reports);
    for daemon in &daemons {
        engine_rules(daemon, &mut reports);
        alone::check(daemon, &mut reports);
    }
    together::check(&daemons, &mut reports);
    let Reports { all, .. } = reports;
    files.iter().zip(all).map(|((name, text), report)| Diagnostics::new(*name, *text, report)).collect()
}

/// The problems found so far, by file.
struct Reports<'f> {
    files: &'f [(&'f str, &'f str)],
    all: Vec<Vec<Diagnostic>>,
}

impl Reports<'_> {
    fn push(&mut self, place: &At, diagnostic: Diagnostic) {
        self.all[place.file].push(diagnostic);
    }

    /// A place as a message names it: `daemon-br0.json:4`.
    fn name(&self, place: &At) -> String {
        let (name, text) = self.files[place.file];
        let before = text.as_bytes().get(..place.span.start).unwrap_or_default();
        // Counting lines of a file that is at most a megabyte, for a message.
        #[expect(clippy::naive_bytecount, reason = "one message, one file")]
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{name}:{line}")
    }
}

/// A place in one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct At {
    file: usize,
    span: Span,
    /// The key, or the flag with its dashes.
    path: String,
}

impl At {
    fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, &self.path, self.span.clone(), message)
    }
}

fn daemons(files: &[(&str, &str)], reports: &mut Reports<'_>) -> Vec<Daemon> {
    let environments: BTreeMap<&str, (usize, &str)> = files
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| !is(name, "json") && !is(name, "service"))
        .map(|(file, (name, text))| (base(name), (file, *text)))
        .collect();
    let units: Vec<_> = files
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| is(name, "service"))
        .map(|(file, (_, text))| unit::read(file, text))
        .collect();
    let mut used = vec![false; units.len()];
    let mut daemons = Vec::new();
    for (file, (name, text)) in files.iter().enumerate().filter(|(_, (name, _))| is(name, "json")) {
        if text.len() > LONGEST {
            let message = format!("a daemon.json has at most {} MiB", LONGEST >> 20);
            reports.all[file].push(Diagnostic::error("file-too-big", "", 0..0, message).help("give a daemon.json"));
            continue;
        }
        // Of what cannot be read nothing more is said: what is absent is not known.
        let Some(root) = json::read(file, text, reports) else {
            used.iter_mut().zip(&units).for_each(|(used, unit)| {
                *used |= unit.config_file().is_some_and(|pattern| instance(base(pattern), base(name)).is_some());
            });
            continue;
        };
        let mut found = false;
        for (unit, used) in units.iter().zip(&mut used) {
            if let Some(instance) = unit.config_file().and_then(|pattern| instance(base(pattern), base(name))) {
                let flags = unit.flags(instance, &environments);
                daemons.push(Daemon::new(base(name), file, Some(&root), flags));
                (*used, found) = (true, true);
            }
        }
        if !found {
            daemons.push(Daemon::new(base(name), file, Some(&root), Vec::new()));
        }
    }
    for (unit, _) in units.iter().zip(used).filter(|(unit, used)| !used && unit.starts_dockerd()) {
        let (name, _) = files[unit.file];
        daemons.push(Daemon::new(base(name), unit.file, None, unit.flags("%i", &environments)));
    }
    daemons
}

/// The engine that hand-made files are held against.
const ENGINE: Reader<'_> = Reader::Given(Version::V26_1);

fn engine_rules(daemon: &Daemon, reports: &mut Reports<'_>) {
    // A flag was checked by its parser in dockerd; only the file's keys go through JSON.
    for value in daemon.values.iter().filter(|value| !value.flag) {
        let report = &mut reports.all[value.at.file];
        engine::check(&value.key, &value.at.span, &value.node, &value.at.path, ENGINE, report);
    }
    let members = daemon.values.iter().filter(|value| !value.flag);
    let members = members.map(|value| (value.key.as_str(), &value.node, value.at.path.clone()));
    engine::check_together(members, None, &mut reports.all[daemon.file]);
}

fn is(name: &str, extension: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// What `%i` stands for if `name` is made from `pattern`; the name itself for a pattern without one.
fn instance<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    match pattern.split_once("%i").or_else(|| pattern.split_once("%I")) {
        None => (pattern == name).then_some(name),
        // `daemon-%i.json` in a repository is the template's own example.
        Some((start, end)) => name.strip_prefix(start)?.strip_suffix(end).filter(|found| !found.is_empty()),
    }
}
