//! A TOML table that is read key by key: each asked for with its type, and what nobody asked for is reported.
//!
//! Nothing here stops at the first problem. A value of a wrong type is reported and read as [`Field::Bad`].

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{At, Field, List, Place};
use super::words::{quoted, step, suggest};
use crate::diagnostics::Diagnostic;

/// The problems found so far.
pub(super) type Report = Vec<Diagnostic>;

/// A table being read.
pub(super) struct Table<'t> {
    pub(super) place: Place,
    entries: Vec<Entry<'t>>,
    known: Vec<&'static str>,
}

/// One key of a table.
#[derive(Clone)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    pub(super) place: Place,
    pub(super) value: &'t DeValue<'t>,
}

impl<'t> Table<'t> {
    /// `table` at `place`, its keys in source order.
    pub(super) fn new(place: Place, table: &'t DeTable<'t>) -> Self {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().as_ref();
                let path = if place.path.is_empty() { step(name) } else { format!("{}.{}", place.path, step(name)) };
                Entry { key: name, place: Place { path, key: key.span(), value: value.span() }, value: value.get_ref() }
            })
            .collect();
        entries.sort_by_key(|entry| entry.place.key.start);
        Self { place, entries, known: Vec::new() }
    }

    /// Whether the table has no keys at all, or none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a key out.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Entry<'t>> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Takes all keys that are left: the table's keys are names that the user chose.
    pub(super) fn take_all(&mut self) -> Vec<Entry<'t>> {
        std::mem::take(&mut self.entries)
    }

    /// A string, which is never empty.
    pub(super) fn string(&mut self, key: &'static str, report: &mut Report) -> Field<String> {
        self.field(key, report, |value, place, report| string(value, place, report))
    }

    /// An integer. One that does not fit is reported as out of range.
    pub(super) fn integer(&mut self, key: &'static str, report: &mut Report) -> Field<i64> {
        self.field(key, report, |value, place, report| match value {
            DeValue::Integer(integer) => {
                let parsed = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                if parsed.is_none() {
                    report
                        .push(place.error("number-out-of-range", format!("{} is too large", quoted(integer.as_str()))));
                }
                parsed
            }
            other => wrong_type(place, "an integer", other, report),
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, report: &mut Report) -> Field<bool> {
        self.field(key, report, |value, place, report| match value {
            DeValue::Boolean(boolean) => Some(*boolean),
            other => wrong_type(place, "`true` or `false`", other, report),
        })
    }

    /// An array of strings.
    pub(super) fn strings(&mut self, key: &'static str, report: &mut Report) -> Field<List<String>> {
        self.field(key, report, |value, place, report| match value {
            DeValue::Array(array) => {
                let items: Vec<_> =
                    array.iter().enumerate().filter_map(|(n, item)| item_string(n, item, place, report)).collect();
                Some(List { complete: items.len() == array.len(), items })
            }
            other => {
                let help = matches!(other, DeValue::String(_)).then_some("put it between `[` and `]`");
                report.push(wrong(place, "an array of strings", other, help));
                None
            }
        })
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str, report: &mut Report) -> Field<Table<'t>> {
        match self.take(key) {
            None => Field::Absent,
            Some(entry) => match entry.table(report) {
                Some(table) => Field::Given(At { place: entry.place, value: table }),
                None => Field::Bad,
            },
        }
    }

    /// A key of the spec that this version reads and does not do yet.
    pub(super) fn not_yet(&mut self, key: &'static str, help: &str, report: &mut Report) {
        if let Some(entry) = self.take(key) {
            let message = format!("this version of dmhost does not do {} yet", quoted(key));
            report.push(entry.place.key_error("not-yet", message).help(help));
        }
    }

    /// Says that a key must be there, if it is absent.
    pub(super) fn require<T>(&self, field: &Field<T>, key: &str, example: &str, report: &mut Report) {
        if field.is_absent() {
            let message = format!("{} has no {}", quoted(&self.place.path), quoted(key));
            report.push(self.place.key_error("missing-key", message).help(format!("write `{example}`")));
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, report: &mut Report) {
        for entry in self.entries {
            let whose = if self.place.path.is_empty() { "a host spec".to_owned() } else { quoted(&self.place.path) };
            let message = format!("{whose} has no key {}", quoted(entry.key));
            let help = suggest(entry.key, "known key", self.known.iter().copied());
            report.push(entry.place.key_error("unknown-key", message).help(help));
        }
    }

    fn field<T>(
        &mut self,
        key: &'static str,
        report: &mut Report,
        read: impl FnOnce(&'t DeValue<'t>, &Place, &mut Report) -> Option<T>,
    ) -> Field<T> {
        match self.take(key) {
            None => Field::Absent,
            Some(entry) => match read(entry.value, &entry.place, report) {
                Some(value) => Field::Given(At { value, place: entry.place }),
                None => Field::Bad,
            },
        }
    }
}

impl<'t> Entry<'t> {
    /// The value as a table, or a report.
    pub(super) fn table(&self, report: &mut Report) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.place.clone(), table)),
            other => wrong_type(&self.place, "a table", other, report),
        }
    }
}

fn item_string(n: usize, item: &Spanned<DeValue<'_>>, list: &Place, report: &mut Report) -> Option<At<String>> {
    let place = Place { path: format!("{}[{n}]", list.path), key: item.span(), value: item.span() };
    let value = string(item.get_ref(), &place, report)?;
    Some(At { value, place })
}

fn string(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<String> {
    match value {
        DeValue::String(text) if text.is_empty() => {
            report.push(
                place.error("empty-string", "an empty string says nothing").help("leave it out, or write a value"),
            );
            None
        }
        DeValue::String(text) => Some(text.clone().into_owned()),
        other => {
            let help =
                matches!(other, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Boolean(_))
                    .then_some("put it in quotes");
            report.push(wrong(place, "a string", other, help));
            None
        }
    }
}

fn wrong_type<T>(place: &Place, expected: &str, found: &DeValue<'_>, report: &mut Report) -> Option<T> {
    report.push(wrong(place, expected, found, None));
    None
}

fn wrong(place: &Place, expected: &str, found: &DeValue<'_>, help: Option<&str>) -> Diagnostic {
    let article = match found {
        DeValue::Array(_) | DeValue::Integer(_) => "an",
        DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => "a",
    };
    let message = format!("expected {expected}, found {article} {}", found.type_str());
    let diagnostic = match found {
        DeValue::Table(_) => place.key_error("wrong-type", message),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => place.error("wrong-type", message),
    };
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}
