//! Types of values. `null` fits everywhere: dockerd takes it for an absent key.

use std::net::IpAddr;

use super::node::{Node, Value};
use super::version::{Reader, Versions};
use crate::diagnostics::Diagnostic;
use crate::spec::words::{nearest, quoted, step};

/// What a value of daemon.json must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number, at least this.
    Integer {
        /// The smallest that dockerd takes, or does not replace by another.
        least: i64,
    },
    /// A string.
    String,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An IP address without a prefix length.
    Address,
    /// An array of IP addresses.
    Addresses,
    /// A size such as `64M`, always a string.
    Size,
    /// An array of strings.
    Strings,
    /// Strings by name.
    MapOfStrings,
    /// `true` or `false` by name.
    MapOfBools,
    /// Options by name, by network driver.
    MapOfStringMaps,
    /// `[{ base, size }]`.
    Pools,
    /// `{ nofile = { Name, Soft, Hard } }`.
    Ulimits,
    /// `{ name = { path, runtimeArgs } }` or `{ name = { runtimeType, options } }`.
    Runtimes,
    /// `{ gc = { enabled, defaultKeepStorage, policy }, entitlements = { .. }, history = { .. } }`.
    Builder,
    /// `gc` of a builder.
    Collection,
    /// `policy` of a builder's `gc`.
    Policies,
    /// `history` of a builder.
    History,
    /// `{ http-proxy, https-proxy, no-proxy }`.
    Proxies,
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    /// `None`: anything.
    shape: Option<Shape>,
    versions: Versions,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape: Some(shape), versions: Versions::ALL }
}

const fn open(name: &'static str) -> Field {
    Field { name, shape: None, versions: Versions::ALL }
}

impl Field {
    const fn since(self, major: u16) -> Self {
        Self { versions: Versions::since(major, 0), ..self }
    }
}

const LIMIT: Shape = Shape::Integer { least: -1 };

const POOL: &[Field] = &[field("base", Shape::String), field("size", Shape::Integer { least: 1 })];
const ULIMIT: &[Field] = &[field("Name", Shape::String), field("Soft", LIMIT), field("Hard", LIMIT)];
const RUNTIME: &[Field] = &[
    field("path", Shape::String),
    field("runtimeArgs", Shape::Strings),
    field("runtimeType", Shape::String).since(23),
    open("options").since(23),
];
const BUILDER: &[Field] = &[
    field("gc", Shape::Collection),
    field("entitlements", Shape::MapOfBools),
    field("history", Shape::History).since(24),
];
const COLLECTION: &[Field] = &[
    field("enabled", Shape::Bool),
    field("defaultKeepStorage", Shape::Size),
    field("defaultReservedSpace", Shape::Size).since(28),
    field("defaultMaxUsedSpace", Shape::Size).since(28),
    field("defaultMinFreeSpace", Shape::Size).since(28),
    field("policy", Shape::Policies),
];
const POLICY: &[Field] = &[
    field("all", Shape::Bool),
    field("keepStorage", Shape::Size),
    field("reservedSpace", Shape::Size).since(28),
    field("maxUsedSpace", Shape::Size).since(28),
    field("minFreeSpace", Shape::Size).since(28),
    open("filter"),
];
const HISTORY: &[Field] = &[open("maxAge"), field("maxEntries", Shape::Integer { least: 0 })];
const PROXIES: &[Field] =
    &[field("http-proxy", Shape::String), field("https-proxy", Shape::String), field("no-proxy", Shape::String)];

/// Reports values of a wrong type.
pub(super) fn check(shape: Shape, node: &Node, path: &str, reader: Reader<'_>, report: &mut Vec<Diagnostic>) {
    if node.value == Value::Null {
        return;
    }
    match shape {
        Shape::Bool => expect(node, path, "`true` or `false`", node.as_bool().is_some(), report),
        Shape::Integer { least } => integer(node, path, least, report),
        Shape::String => expect(node, path, "a string", node.as_str().is_some(), report),
        Shape::OneOf(words) => one_of(node, path, words, report),
        Shape::Address => address(node, path, report),
        Shape::Addresses => each(node, path, report, address),
        Shape::Size => size(node, path, report),
        Shape::Strings => each(node, path, report, all(Shape::String, reader)),
        Shape::MapOfStrings => map(node, path, report, all(Shape::String, reader)),
        Shape::MapOfBools => map(node, path, report, all(Shape::Bool, reader)),
        Shape::MapOfStringMaps => map(node, path, report, all(Shape::MapOfStrings, reader)),
        Shape::Pools => each(node, path, report, object(POOL, reader)),
        Shape::Ulimits => map(node, path, report, object(ULIMIT, reader)),
        Shape::Runtimes => map(node, path, report, object(RUNTIME, reader)),
        Shape::Builder => fields(node, path, BUILDER, reader, report),
        Shape::Collection => fields(node, path, COLLECTION, reader, report),
        Shape::Policies => each(node, path, report, object(POLICY, reader)),
        Shape::History => fields(node, path, HISTORY, reader, report),
        Shape::Proxies => fields(node, path, PROXIES, reader, report),
    }
}

/// A check of every item for this shape.
fn all(shape: Shape, reader: Reader<'_>) -> impl Fn(&Node, &str, &mut Vec<Diagnostic>) {
    move |node, path, report| check(shape, node, path, reader, report)
}

/// A check of every item for these members.
fn object(known: &'static [Field], reader: Reader<'_>) -> impl Fn(&Node, &str, &mut Vec<Diagnostic>) {
    move |node, path, report| fields(node, path, known, reader, report)
}

fn wrong(node: &Node, path: &str, what: &str) -> Diagnostic {
    let message = format!("expected {what}, found {}", node.kind());
    let help = match what {
        "a string" => "put it in quotes".to_owned(),
        "`true` or `false`" => "write `true` or `false` without quotes".to_owned(),
        "a whole number" => "write a number without quotes and without a point".to_owned(),
        "an array" => "put values between `[` and `]`".to_owned(),
        _ => "write keys with values between `{` and `}`".to_owned(),
    };
    Diagnostic::error("engine-type", path, node.span.clone(), message).help(help)
}

fn expect(node: &Node, path: &str, what: &str, good: bool, report: &mut Vec<Diagnostic>) {
    if !good {
        report.push(wrong(node, path, what));
    }
}

fn integer(node: &Node, path: &str, least: i64, report: &mut Vec<Diagnostic>) {
    match node.as_i64() {
        None => report.push(wrong(node, path, "a whole number")),
        Some(number) if number < least => {
            let message = format!("{number} is too small: {least} is the least");
            let diagnostic = Diagnostic::error("engine-value", path, node.span.clone(), message);
            report.push(diagnostic.help(format!("write a number from {least}")));
        }
        Some(_) => {}
    }
}

fn one_of(node: &Node, path: &str, words: &[&'static str], report: &mut Vec<Diagnostic>) {
    match node.as_str() {
        None => report.push(wrong(node, path, "a string")),
        Some(word) if !words.contains(&word) => {
            let help = match nearest(word, words.iter().copied()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write `{}`", words.join("` or `")),
            };
            let message = format!("dockerd does not start with {} here", quoted(word));
            report.push(Diagnostic::error("engine-value", path, node.span.clone(), message).help(help));
        }
        Some(_) => {}
    }
}

fn address(node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    match node.as_str() {
        None => report.push(wrong(node, path, "a string")),
        Some(text) if text.is_empty() || text.parse::<IpAddr>().is_ok() => {}
        Some(text) => {
            let message = format!("{} is no IP address", quoted(text));
            let help = "write an address without a prefix length, for example `192.0.2.1`";
            report.push(Diagnostic::error("engine-value", path, node.span.clone(), message).help(help));
        }
    }
}

/// A size as `docker/go-units` reads it: a number, perhaps with a point, and a unit. dockerd takes no bare JSON number.
fn size(node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    match node.as_str() {
        None => report.push(wrong(node, path, "a string")),
        Some(text) if is_size(text) => {}
        Some(text) => {
            let message = format!("{} is no size", quoted(text));
            let help = "write a number and a unit, for example `64M` or `10GB`";
            report.push(Diagnostic::error("engine-value", path, node.span.clone(), message).help(help));
        }
    }
}

/// Whether `docker/go-units` reads this as a size in bytes.
pub(super) fn is_size(text: &str) -> bool {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ').to_ascii_lowercase();
    let scale = unit.trim_end_matches("ib").trim_end_matches('b');
    let known = matches!(scale, "" | "k" | "m" | "g" | "t" | "p") && !(scale.is_empty() && unit == "ib");
    known && number.parse::<f64>().is_ok()
}

type Check<'c> = dyn Fn(&Node, &str, &mut Vec<Diagnostic>) + 'c;

fn each(node: &Node, path: &str, report: &mut Vec<Diagnostic>, check: impl Fn(&Node, &str, &mut Vec<Diagnostic>)) {
    let check: &Check<'_> = &check;
    match &node.value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                check(item, &format!("{path}[{n}]"), report);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            report.push(wrong(node, path, "an array"));
        }
    }
}

fn map(node: &Node, path: &str, report: &mut Vec<Diagnostic>, check: impl Fn(&Node, &str, &mut Vec<Diagnostic>)) {
    let check: &Check<'_> = &check;
    match &node.value {
        Value::Object(members) => {
            for member in members {
                check(&member.node, &below(path, &member.key), report);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            report.push(wrong(node, path, "a table"));
        }
    }
}

/// An object with these members. Go tells upper from lower case in none of them; what it does not know it drops silently.
fn fields(node: &Node, path: &str, known: &[Field], reader: Reader<'_>, report: &mut Vec<Diagnostic>) {
    let Value::Object(members) = &node.value else {
        report.push(wrong(node, path, "a table"));
        return;
    };
    for member in members {
        let path = below(path, &member.key);
        let found = known.iter().find(|field| field.name.eq_ignore_ascii_case(&member.key));
        match found {
            Some(Field { shape, versions, .. }) if reader.has(*versions) => {
                if let Some(shape) = shape {
                    check(*shape, &member.node, &path, reader, report);
                }
            }
            Some(_) | None => {
                let (who, key) = (reader.name(), quoted(&member.key));
                let message = format!("{who} does not know {key} here, and drops it silently");
                let names = known.iter().filter(|field| reader.has(field.versions)).map(|field| field.name);
                let help = match (found, nearest(&member.key, names.clone())) {
                    (Some(field), _) => reader.elsewhere(field.versions, None),
                    (None, Some(name)) => format!("did you mean `{name}`?"),
                    (None, None) => format!("write `{}`", names.collect::<Vec<_>>().join("`, `")),
                };
                let diagnostic = Diagnostic::error("engine-key-unknown", path, member.key_span.clone(), message);
                report.push(diagnostic.help(help));
            }
        }
    }
}

/// The dotted path of a member.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { step(key) } else { format!("{path}.{}", step(key)) }
}

#[cfg(test)]
mod tests {
    use super::is_size;

    #[test]
    fn sizes_are_those_dockerd_takes() {
        let good = ["0", "64M", "64m", "64MB", "64MiB", "1.5g", "10 GB"];
        assert!(good.into_iter().all(is_size));
        let bad = ["", "-1", "64Q", "lots", "M", "64 MBs"];
        assert!(!bad.into_iter().any(is_size));
    }
}
