//! A spec as a tree: every value and section with its path and place, and copies of it with something changed.
//!
//! The keys are not known here. What the reader of specs takes, this finds; a new key needs no line in this file.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::diagnostics::Span;
use crate::spec::words;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A key of a table.
    Key(String),
    /// An item of an array, from 0.
    Item(usize),
}

/// Where a value is in the tree.
pub(super) type Path = Vec<Step>;

/// A path as diagnostics write it.
pub(super) fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text = words::step(key),
            Step::Key(key) => text.push_str(&format!(".{}", words::step(key))),
            Step::Item(n) => text.push_str(&format!("[{n}]")),
        }
    }
    text
}

/// Whether a path is `keys`, where `*` stands for any key.
pub(super) fn is_at(path: &[Step], keys: &[&str]) -> bool {
    path.len() == keys.len()
        && path.iter().zip(keys).all(|(step, key)| match step {
            Step::Key(step) => *key == "*" || step == key,
            Step::Item(_) => *key == "[]",
        })
}

/// A value or a section of a spec.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) path: Path,
    /// What stands for it: its key, or the item.
    pub(super) at: Span,
    /// All of it; of a section with a header, the header.
    pub(super) whole: Span,
    pub(super) shape: Shape,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// `[]` or `{}`.
    Empty,
    Array,
    Table,
}

/// Every node in source order. The tables that only hold named sections are none: nobody writes them.
pub(super) fn nodes(document: &DeTable<'_>) -> Vec<Node> {
    let mut nodes = Vec::new();
    below(document, &Vec::new(), &mut nodes);
    nodes.retain(|node: &Node| !["interfaces", "daemons", "expect"].iter().any(|key| is_at(&node.path, &[key])));
    nodes.sort_by_key(|node| (node.at.start, node.path.len()));
    nodes
}

fn below(table: &DeTable<'_>, path: &Path, nodes: &mut Vec<Node>) {
    for (key, value) in table {
        let mut path = path.clone();
        path.push(Step::Key(key.get_ref().clone().into_owned()));
        one(path, key.span(), value, nodes);
    }
}

fn one(path: Path, at: Span, value: &Spanned<DeValue<'_>>, nodes: &mut Vec<Node>) {
    let whole = at.start.min(value.span().start)..at.end.max(value.span().end);
    let shape = match value.get_ref() {
        DeValue::String(text) => Shape::String(text.clone().into_owned()),
        DeValue::Integer(integer) => {
            Shape::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or_default())
        }
        DeValue::Float(float) => Shape::Float(float.as_str().parse().unwrap_or_default()),
        DeValue::Boolean(boolean) => Shape::Boolean(*boolean),
        // No key takes one, so no spec that plans has one.
        DeValue::Datetime(_) => Shape::Empty,
        DeValue::Array(array) if array.is_empty() => Shape::Empty,
        DeValue::Table(table) if table.is_empty() => Shape::Empty,
        DeValue::Array(array) => {
            for (n, item) in array.iter().enumerate() {
                let mut path = path.clone();
                path.push(Step::Item(n));
                one(path, item.span(), item, nodes);
            }
            Shape::Array
        }
        DeValue::Table(table) => {
            below(table, &path, nodes);
            Shape::Table
        }
    };
    nodes.push(Node { path, at, whole, shape });
}

/// One thing that is different in a copy. Values are TOML.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edit {
    /// The value there is another.
    Set(Path, String),
    /// The table there has this key as well.
    Put(Path, String, String),
    /// It is not there.
    Remove(Path),
    /// Its key is another; references to it are edits of their own.
    Rename(Path, String),
}

/// A copy of a document with all of these edits. Paths are those of the document; one that leads nowhere changes nothing.
pub(super) fn edited<'e>(document: &DeTable<'e>, edits: &'e [Edit]) -> DeTable<'e> {
    let mut copy = document.clone();
    let mut removals = Vec::new();
    let mut renames = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set(path, literal) => {
                if let Some(place) = value_at(&mut copy, path) {
                    *place.get_mut() = parsed(literal).into_inner();
                }
            }
            Edit::Put(path, key, literal) => {
                let Some(DeValue::Table(table)) = value_at(&mut copy, path).map(Spanned::get_mut) else { continue };
                table.insert(Spanned::new(0..0, key.as_str().into()), parsed(literal));
            }
            Edit::Remove(path) => removals.push(path),
            Edit::Rename(path, key) => renames.push((path, key)),
        }
    }
    // From the back, so that the places of items before stay what they are.
    removals.sort();
    for path in removals.into_iter().rev() {
        take(&mut copy, path);
    }
    // A header without sections is refused where none at all is not.
    for sections in ["interfaces", "daemons"] {
        if matches!(copy.get(sections).map(Spanned::get_ref), Some(DeValue::Table(table)) if table.is_empty()) {
            copy.remove(sections);
        }
    }
    for (path, key) in renames {
        if let (Some(value), Some((_, parent))) = (take(&mut copy, path), path.split_last())
            && let Some(DeValue::Table(table)) = value_at(&mut copy, parent).map(Spanned::get_mut)
        {
            table.insert(Spanned::new(value.span(), key.as_str().into()), value);
        }
    }
    copy
}

fn parsed(literal: &str) -> Spanned<DeValue<'_>> {
    DeValue::parse_recoverable(literal).0
}

fn value_at<'v, 'i>(document: &'v mut DeTable<'i>, path: &[Step]) -> Option<&'v mut Spanned<DeValue<'i>>> {
    let (Step::Key(first), rest) = path.split_first()? else { return None };
    let mut value = document.get_mut(first.as_str())?;
    for step in rest {
        value = match (step, value.get_mut()) {
            (Step::Key(key), DeValue::Table(table)) => table.get_mut(key.as_str())?,
            (Step::Item(n), DeValue::Array(array)) => array.get_mut(*n)?,
            _ => return None,
        };
    }
    Some(value)
}

fn take<'i>(document: &mut DeTable<'i>, path: &[Step]) -> Option<Spanned<DeValue<'i>>> {
    let (last, parent) = path.split_last()?;
    let table = match (parent.is_empty(), last) {
        (true, Step::Key(key)) => return document.remove(key.as_str()),
        (true, Step::Item(_)) => return None,
        (false, _) => value_at(document, parent)?.get_mut(),
    };
    match (table, last) {
        (DeValue::Table(table), Step::Key(key)) => table.remove(key.as_str()),
        (DeValue::Array(array), Step::Item(n)) => {
            let mut taken = None;
            let mut rest = DeArray::new();
            for (at, item) in std::mem::replace(array, DeArray::new()).into_iter().enumerate() {
                if at == *n {
                    taken = Some(item);
                } else {
                    rest.push(item);
                }
            }
            *array = rest;
            taken
        }
        _ => None,
    }
}

/// A string as a TOML value.
pub(super) fn literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
