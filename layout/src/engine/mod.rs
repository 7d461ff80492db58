//! What dockerd of engine 26.1 reads in its `daemon.json`: keys, their types, and values it refuses.
//!
//! Source: `daemon/config` of moby v26.1, and each rule was run against dockerd 26.1.5: `dockerd --validate` tells unknown
//! keys and wrong types, a start tells the rest, which `--validate` lets pass. `settings` of a host spec and the hand-made
//! files of [`crate::lint()`] are judged by the same rules, over a [`Node`] that keeps the place of every value.

mod addresses;
mod containers;
mod keys;
mod node;
mod shape;
mod values;

pub(crate) use addresses::socket;
pub use keys::{KEYS, Key, find};
pub use node::{Member, Node, Value};
pub use shape::Shape;

use crate::diagnostics::{Diagnostic, Span};
use crate::spec::words::{quoted, suggest};

/// Judges one key of daemon.json: whether the engine reads it, its type, and its value as far as it stands alone.
pub(crate) fn check(key: &str, key_span: &Span, node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    let Some(known) = find(key) else {
        let message = format!("engine 26.1 has no key {} in daemon.json, and does not start with it", quoted(key));
        let help = match keys::gone(key) {
            Some(gone) => gone.to_owned(),
            None => suggest(key, "keys", KEYS.iter().map(|known| known.name), report.len()),
        };
        report.push(Diagnostic::error("engine-key-unknown", path, key_span.clone(), message).help(help));
        return;
    };
    if let Some(help) = known.ignored {
        let message = format!("engine 26.1 reads {} in daemon.json and does nothing with it", quoted(key));
        report.push(Diagnostic::error("engine-key-ignored", path, key_span.clone(), message).help(help));
        return;
    }
    let before = report.len();
    shape::check(known.shape, node, path, report);
    if report.len() == before {
        values::check(key, node, path, report);
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
