//! `settings`: keys of daemon.json, carried over as they are, each value with its place.

use serde_json::Number;
use toml::de::DeValue;

use super::place::{At, Field, Place};
use super::table::{Report, Table, too_large};
use super::words::{quoted, step};
use crate::engine::{Member, Node, Value};

/// A table of daemon.json keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its keys in source order.
    pub entries: Vec<Setting>,
}

/// One key of daemon.json.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key and where it stands.
    pub key: At<String>,
    /// What dockerd will read.
    pub node: Node,
}

/// Reads a table of settings.
pub(super) fn read(table: Field<Table<'_>>, report: &mut Report) -> Field<Settings> {
    match table {
        Field::Absent => Field::Absent,
        Field::Bad => Field::Bad,
        Field::Given(At { value: mut table, place }) => {
            if table.is_empty() {
                report.push(place.key_error("no-effect", "empty `settings` have no effect").help("leave them out"));
            }
            let mut entries = Vec::new();
            for entry in table.take_all() {
                if let Some(value) = value(entry.value, &entry.place, report) {
                    let node = Node { span: entry.place.value.clone(), value };
                    entries.push(Setting { key: At { value: entry.key.to_owned(), place: entry.place }, node });
                }
            }
            Field::Given(At { value: Settings { entries }, place })
        }
    }
}

/// A TOML value as JSON has it. The parser bounds the depth.
fn value(value: &DeValue<'_>, place: &Place, report: &mut Report) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.clone().into_owned())),
        DeValue::Boolean(boolean) => Some(Value::Bool(*boolean)),
        DeValue::Integer(integer) => {
            let parsed = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
            if parsed.is_none() {
                report.push(too_large(integer.as_str(), place));
            }
            parsed.map(|number| Value::Number(number.into()))
        }
        DeValue::Float(float) => {
            let parsed = float.as_str().parse().ok().and_then(Number::from_f64);
            if parsed.is_none() {
                let message = format!("JSON has no number {}", quoted(float.as_str()));
                report.push(place.error("number-out-of-range", message).help("write a finite number"));
            }
            parsed.map(Value::Number)
        }
        DeValue::Datetime(_) => {
            let message = "JSON, and so daemon.json, has no dates";
            report.push(place.error("wrong-type", message).help("put it in quotes"));
            None
        }
        DeValue::Array(array) => {
            let items: Vec<_> = array
                .iter()
                .enumerate()
                .map(|(n, item)| {
                    let place = Place { path: format!("{}[{n}]", place.path), key: item.span(), value: item.span() };
                    self::value(item.get_ref(), &place, report).map(|value| Node { span: item.span(), value })
                })
                .collect();
            items.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
        }
        DeValue::Table(table) => {
            let mut fields: Vec<_> = table
                .iter()
                .map(|(key, value)| {
                    let path = format!("{}.{}", place.path, step(key.get_ref()));
                    let place = Place { path, key: key.span(), value: value.span() };
                    self::value(value.get_ref(), &place, report).map(|inner| Member {
                        key: key.get_ref().clone().into_owned(),
                        key_span: key.span(),
                        node: Node { span: value.span(), value: inner },
                    })
                })
                .collect();
            fields.sort_by_key(|field| field.as_ref().map(|member| member.key_span.start));
            fields.into_iter().collect::<Option<Vec<_>>>().map(Value::Object)
        }
    }
}
