//! `dmhost cache`: what is kept, and how it is made smaller.

use std::time::{SystemTime, UNIX_EPOCH};

use dmhost_images::store::{self, Entry, EntryKind, Prune, Pruned};

use super::cache_dir;
use crate::args::Stored;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &Stored, terminal: &Terminal) -> Result<(), Failure> {
    match args {
        Stored::Ls(cache) => ls(&store::list(&cache_dir(cache)?)?, terminal),
        Stored::Prune { cache, max_size, all } => {
            let what = match (all, max_size) {
                (true, _) => Prune::All,
                (false, Some(size)) => Prune::DownTo(*size),
                (false, None) => Prune::Leavings,
            };
            tell(&store::prune(&cache_dir(cache)?, what)?, terminal)
        }
    }
}

fn json(entries: &[Entry]) -> Vec<serde_json::Value> {
    // A clock before 1970 says 1970.
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    entries
        .iter()
        .map(|Entry { kind, path, bytes, used }| {
            serde_json::json!({ "kind": kind.as_str(), "path": path, "bytes": bytes, "used": seconds(*used) })
        })
        .collect()
}

/// Packages are told as one line: there are hundreds, and nobody knows them by their hash.
fn ls(entries: &[Entry], terminal: &Terminal) -> Result<(), Failure> {
    let total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    if terminal.json() {
        return terminal.print(format!("{:#}", serde_json::json!({ "entries": json(entries), "bytes": total })));
    }
    let mut text = String::new();
    let packages: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Package).collect();
    for entry in entries.iter().filter(|entry| entry.kind != EntryKind::Package) {
        text += &line(entry.bytes, entry.kind.as_str(), entry.path.as_str(), &age(entry.used));
    }
    if let Some(first) = packages.last() {
        let what = format!("{} in {}", packages.len(), first.path.parent().map_or("", camino::Utf8Path::as_str));
        text += &line(packages.iter().map(|entry| entry.bytes).sum(), "packages", &what, &age(first.used));
    }
    terminal.print(text + &format!("{:>8} MiB in all\n", mib(total)))
}

fn line(bytes: u64, kind: &str, what: &str, age: &str) -> String {
    format!("{:>8} MiB  {kind:<8}  {what}, used {age}\n", mib(bytes))
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// How long ago, in the largest unit there is one of.
fn age(then: SystemTime) -> String {
    let seconds = then.elapsed().map_or(0, |since| since.as_secs());
    let units = [(86400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or_else(|| "just now".to_owned(), |(length, name)| format!("{} {name} ago", seconds / length))
}

fn tell(pruned: &Pruned, terminal: &Terminal) -> Result<(), Failure> {
    let Pruned { removed, busy, left } = pruned;
    if terminal.json() {
        let value = serde_json::json!({ "removed": json(removed), "busy": json(busy), "left": left });
        return terminal.print(format!("{value:#}"));
    }
    for entry in busy {
        terminal.say(format!("{} is in use: it is left", entry.path));
    }
    let freed: u64 = removed.iter().map(|entry| entry.bytes).sum();
    terminal.print(format!("{} removed, {} MiB; {} MiB are left", removed.len(), mib(freed), mib(*left)))
}
