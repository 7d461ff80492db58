//! Sizes as people write them: a whole number and a unit, powers of 1024 or of 1000.

use super::Report;
use crate::spec::At;
use crate::spec::words::quoted;

/// Powers of 1024 and of 1000.
const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a size in bytes, or reports `code`; `what` says whose size: `of a disk`.
pub(super) fn read(at: &At<String>, code: &'static str, what: &str, example: &str, report: &mut Report) -> Option<u64> {
    let text = at.value.as_str();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start_matches(' '));
    let Some((number, (_, unit))) = number.parse::<u64>().ok().zip(unit) else {
        let message = format!("{} is no size {what}", quoted(text));
        let help =
            format!("write a whole number and one of KiB, MiB, GiB, TiB, kB, MB, GB, TB, for example `{example}`");
        report.push(at.place.error(code, message).help(help));
        return None;
    };
    let bytes = number.checked_mul(*unit).filter(|bytes| *bytes <= i64::MAX.unsigned_abs());
    if bytes.is_none() {
        let message = format!("no machine has {}", quoted(text));
        report.push(at.place.error(code, message).help(format!("write a smaller size, for example `{example}`")));
    }
    bytes
}

/// A size for a message: in the largest unit that leaves it whole.
pub(super) fn show(bytes: u64) -> String {
    let unit = UNITS[..4].iter().rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}
