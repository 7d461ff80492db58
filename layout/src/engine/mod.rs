//! What dockerd reads in its `daemon.json`: keys, their types, and values it refuses, by version of the engine.
//!
//! Source: `daemon/config` of moby from v20.10 to v29.0. Each rule was run against dockerd 26.1.5, and the keys against
//! 20.10.24: a start tells what `dockerd --validate` (since 23.0) lets pass. `settings` of a host spec and the hand-made files
//! of [`crate::lint()`] are judged by the same rules, over a [`Node`] that keeps the place of every value.

mod addresses;
mod containers;
mod keys;
mod node;
mod shape;
mod values;
mod version;

pub(crate) use addresses::socket;
pub use keys::{KEYS, Key, find};
pub use node::{Member, Node, Value};
pub use shape::Shape;
pub(crate) use version::Reader;
pub use version::{OFFERED, Version, Versions};

use std::collections::BTreeSet;

use crate::diagnostics::{Diagnostic, Span};
use crate::spec::words::{quoted, suggest};

/// Judges one key of daemon.json: whether the engine reads it, its type, and its value as far as it stands alone.
pub(crate) fn check(
    key: &str,
    key_span: &Span,
    node: &Node,
    path: &str,
    reader: Reader<'_>,
    report: &mut Vec<Diagnostic>,
) {
    let lines = find(key);
    let Some(known) = lines.iter().find(|line| reader.has(line.versions)) else {
        let key_name = quoted(key);
        let message = format!("{} has no key {key_name} in daemon.json, and does not start with it", reader.name());
        let help = match (lines.last(), keys::never(key)) {
            (Some(line), _) => reader.elsewhere(line.versions, line.instead),
            (None, Some(never)) => never.to_owned(),
            (None, None) => {
                let names = KEYS.iter().filter(|known| reader.has(known.versions)).map(|known| known.name);
                let names: BTreeSet<_> = names.collect();
                suggest(key, "keys", names.iter().copied(), report.len())
            }
        };
        let mut diagnostic = Diagnostic::error("engine-key-unknown", path, key_span.clone(), message).help(help);
        if let (Some(_), Reader::Host(version, Some(place))) = (lines.first(), reader) {
            diagnostic = diagnostic.related(place.clone(), format!("engine {version} comes with it"));
        }
        report.push(diagnostic);
        return;
    };
    if let Some(help) = known.ignored {
        let message = format!("{} reads {} in daemon.json and does nothing with it", reader.name(), quoted(key));
        report.push(Diagnostic::error("engine-key-ignored", path, key_span.clone(), message).help(help));
        return;
    }
    let before = report.len();
    shape::check(known.shape, node, path, reader, report);
    if report.len() == before {
        values::check(key, node, path, reader, report);
    }
}

/// Judges keys of one daemon.json together: what each value alone does not show. `driver` is the storage driver if it is
/// decided elsewhere.
pub(crate) fn check_together<'n>(
    members: impl Iterator<Item = (&'n str, &'n Node, String)>,
    driver: Option<&str>,
    report: &mut Vec<Diagnostic>,
) {
    let members: Vec<_> = members.collect();
    values::check_together(&members, driver, report);
}
