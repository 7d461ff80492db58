//! A TOML table that is read key by key: each asked for with its type, and what nobody asked for is reported.
//!
//! Nothing here stops at the first problem. A value of a wrong type is reported and read as [`Field::Bad`].

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{At, Field, List, Place};
use super::words::{nearest, quoted, step, suggest};
use crate::diagnostics::{Diagnostic, MOST};

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
        self.remove(key)
    }

    fn remove(&mut self, key: &str) -> Option<Entry<'t>> {
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
                    report.push(too_large(integer.as_str(), place));
                }
                parsed
            }
            other => wrong_type(place, Expected::Integer, other, report),
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &'static str, report: &mut Report) -> Field<bool> {
        self.field(key, report, |value, place, report| match value {
            DeValue::Boolean(boolean) => Some(*boolean),
            other => wrong_type(place, Expected::Boolean, other, report),
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
            other => wrong_type(place, Expected::Strings, other, report),
        })
    }

    /// One string, or an array of them.
    pub(super) fn one_or_more(&mut self, key: &'static str, report: &mut Report) -> Field<List<String>> {
        let single = self.entries.iter().any(|entry| entry.key == key && matches!(entry.value, DeValue::String(_)));
        if !single {
            return self.strings(key, report);
        }
        self.field(key, report, |value, place, report| {
            let value = string(value, place, report)?;
            Some(List { items: vec![At { value, place: place.clone() }], complete: true })
        })
    }

    /// A whole or a broken number, which is finite.
    pub(super) fn number(&mut self, key: &'static str, report: &mut Report) -> Field<f64> {
        self.field(key, report, |value, place, report| {
            let text = match value {
                DeValue::Integer(integer) => integer.as_str(),
                DeValue::Float(float) => float.as_str(),
                other => return wrong_type(place, Expected::Number, other, report),
            };
            let parsed = text.parse::<f64>().ok().filter(|number| number.is_finite());
            if parsed.is_none() {
                let message = format!("{} is no number to count with", quoted(text));
                report.push(place.error("number-out-of-range", message).help("write a number such as `1.5`"));
            }
            parsed
        })
    }

    /// An array of tables, `[[NAME]]`.
    pub(super) fn tables(&mut self, key: &'static str, report: &mut Report) -> Field<List<Table<'t>>> {
        self.field(key, report, |value, place, report| match value {
            DeValue::Array(array) => {
                if array.is_empty() {
                    let message = format!("an empty {} has no effect", quoted(key));
                    report.push(place.key_error("no-effect", message).help("leave it out"));
                }
                let items: Vec<_> =
                    array.iter().enumerate().filter_map(|(n, item)| item_table(n, item, place, report)).collect();
                Some(List { complete: items.len() == array.len(), items })
            }
            other => wrong_type(place, Expected::Tables, other, report),
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

    /// Reports every key that nobody asked for; gives back what was probably meant by them, so that it is not said to
    /// be missing too.
    pub(super) fn finish(self, report: &mut Report) -> Meant {
        let mut meant = Vec::new();
        for entry in self.entries {
            let whose = if self.place.path.is_empty() { "a host spec".to_owned() } else { quoted(&self.place.path) };
            let message = format!("{whose} has no key {}", quoted(entry.key));
            let help = suggest(entry.key, "known keys", self.known.iter().copied(), report.len());
            report.push(entry.place.key_error("unknown-key", message).help(help));
            if report.len() < MOST {
                meant.extend(nearest(entry.key, self.known.iter().copied()));
            }
        }
        Meant { place: self.place, keys: meant }
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

/// What a table's unknown keys were probably meant to be.
pub(super) struct Meant {
    place: Place,
    keys: Vec<&'static str>,
}

impl Meant {
    /// Whether an unknown key was probably this one.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }

    /// The field, which is bad rather than absent if its key was misspelt.
    pub(super) fn field<T>(&self, key: &str, field: Field<T>) -> Field<T> {
        if field.is_absent() && self.has(key) { Field::Bad } else { field }
    }

    /// Says that a key must be there, if it is absent and was not misspelt.
    pub(super) fn require<T>(&self, field: &Field<T>, key: &str, example: &str, report: &mut Report) {
        if field.is_absent() && !self.has(key) {
            let message = format!("{} has no {}", quoted(&self.place.path), quoted(key));
            report.push(self.place.key_error("missing-key", message).help(format!("write `{example}`")));
        }
    }
}

impl<'t> Entry<'t> {
    /// The value as a table, or a report.
    pub(super) fn table(&self, report: &mut Report) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.place.clone(), table)),
            other => wrong_type(&self.place, Expected::Table, other, report),
        }
    }
}

fn item_string(n: usize, item: &Spanned<DeValue<'_>>, list: &Place, report: &mut Report) -> Option<At<String>> {
    let place = Place { path: format!("{}[{n}]", list.path), key: item.span(), value: item.span() };
    let value = string(item.get_ref(), &place, report)?;
    Some(At { value, place })
}

fn item_table<'t>(
    n: usize,
    item: &'t Spanned<DeValue<'t>>,
    list: &Place,
    report: &mut Report,
) -> Option<At<Table<'t>>> {
    let place = Place { path: format!("{}[{n}]", list.path), key: item.span(), value: item.span() };
    match item.get_ref() {
        DeValue::Table(table) => Some(At { value: Table::new(place.clone(), table), place }),
        other => wrong_type(&place, Expected::Table, other, report),
    }
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
        other => wrong_type(place, Expected::String, other, report),
    }
}

/// What a key's value is to be.
#[derive(Clone, Copy)]
enum Expected {
    String,
    Integer,
    Boolean,
    Number,
    Strings,
    Table,
    Tables,
}

fn wrong_type<T>(place: &Place, expected: Expected, found: &DeValue<'_>, report: &mut Report) -> Option<T> {
    let (what, help) = match (expected, found) {
        (Expected::String, DeValue::Array(_)) => ("a string", "write one value, without `[` and `]`"),
        (Expected::String, DeValue::Table(_)) => ("a string", "write a value in quotes"),
        (Expected::String, _) => ("a string", "put it in quotes"),
        (Expected::Integer, DeValue::String(_)) => ("an integer", "write a number without quotes"),
        (Expected::Integer, _) => ("an integer", "write a whole number"),
        (Expected::Number, DeValue::String(_)) => ("a number", "write it without quotes"),
        (Expected::Number, _) => ("a number", "write a number such as `1.5`"),
        (Expected::Boolean, _) => ("`true` or `false`", "write `true` or `false` without quotes"),
        (Expected::Strings, DeValue::String(_)) => ("an array of strings", "put it between `[` and `]`"),
        (Expected::Strings, _) => ("an array of strings", "write values in quotes between `[` and `]`"),
        (Expected::Tables, DeValue::Table(_)) => {
            ("an array of tables", "write its header with two brackets: `[[NAME]]`")
        }
        (Expected::Tables, _) => ("an array of tables", "write a section with two brackets: `[[NAME]]`"),
        (Expected::Table, _) => ("a table", "write keys with values between `{` and `}`, or a section of its own"),
    };
    let article = match found {
        DeValue::Array(_) | DeValue::Integer(_) => "an",
        DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => "a",
    };
    let message = format!("expected {what}, found {article} {}", found.type_str());
    let diagnostic = match found {
        DeValue::Table(_) => place.key_error("wrong-type", message),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => place.error("wrong-type", message),
    };
    report.push(diagnostic.help(help));
    None
}

/// An integer beyond 64 bits.
pub(super) fn too_large(digits: &str, place: &Place) -> Diagnostic {
    let diagnostic = place.error("number-out-of-range", format!("{} is too large", quoted(digits)));
    diagnostic.help("write a number that fits into 64 bits")
}
