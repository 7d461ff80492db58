//! What stands after a `=`: scalars as they are, arrays on one line or one element to a line, inline tables on one.

use std::ops::Range;

use toml_edit::{Array, InlineTable, Value};

use super::line::{Trailing, trailing};
use super::{keys, place};

/// One step of indentation inside an array.
const STEP: usize = 4;

/// Prints values of a source.
pub(super) struct Printer<'t> {
    pub(super) source: &'t str,
    pub(super) eol: &'static str,
}

/// What stands between two elements of an array.
struct Gap<'t> {
    /// A comment on the line of what comes before.
    trailing: Option<Trailing<'t>>,
    /// Comments on lines of their own; an empty one is a blank line.
    own: Vec<&'t str>,
    broken: bool,
}

impl<'t> Printer<'t> {
    /// A value on a line that is indented by `indent` and has `column` characters before it, in `width` at most.
    pub(super) fn value(&self, value: &Value, indent: usize, column: usize, width: usize) -> String {
        match value {
            Value::String(_) => string(self.text(span(value))),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                self.text(span(value)).to_owned()
            }
            Value::Array(array) => self.array(array, &span(value), indent, column, width),
            Value::InlineTable(table) => self.table(table, span(value)),
        }
    }

    fn text(&self, span: Range<usize>) -> &'t str {
        &self.source[span]
    }

    /// On one line if it was and fits there; an array that was broken by its author stays so.
    fn array(&self, array: &Array, whole: &Range<usize>, indent: usize, column: usize, width: usize) -> String {
        let mut gaps = Vec::new();
        let mut from = whole.start + 1;
        for value in array {
            let span = span(value);
            gaps.push(self.gap(from..span.start));
            from = span.end;
        }
        gaps.push(self.gap(from..whole.end - 1));
        if gaps.iter().all(|gap| !gap.broken) {
            let values: Vec<String> = array.iter().map(|value| self.value(value, indent, 0, usize::MAX)).collect();
            let line = format!("[{}]", values.join(", "));
            let long = column + line.chars().count() > width && !values.is_empty();
            if !long && !line.contains('\n') {
                return line;
            }
        }
        if array.is_empty()
            && gaps.iter().all(|gap| gap.trailing.is_none() && gap.own.iter().all(|line| line.is_empty()))
        {
            return "[]".to_owned();
        }
        let below = indent + STEP;
        let mut text = "[".to_owned();
        let mut values = array.iter();
        for (at, gap) in gaps.iter().enumerate() {
            text = place(text, column, gap.trailing.as_ref());
            text.push_str(self.eol);
            for comment in lines(&gap.own, at == 0, at == array.len()) {
                if !comment.is_empty() {
                    text.extend(std::iter::repeat_n(' ', below));
                    text.push_str(comment);
                }
                text.push_str(self.eol);
            }
            if let Some(value) = values.next() {
                text.extend(std::iter::repeat_n(' ', below));
                text.push_str(&self.value(value, below, below, width.saturating_sub(1)));
                text.push(',');
            }
        }
        text.extend(std::iter::repeat_n(' ', indent));
        text.push(']');
        text
    }

    /// What is between two elements: space, a comma, comments.
    fn gap(&self, span: Range<usize>) -> Gap<'t> {
        let text = self.text(span.clone());
        let mut lines = text.split('\n');
        // What follows a line's first `#` is comment: there are no strings between elements.
        let behind = lines.next().filter(|line| line.contains('#')).and_then(|_| trailing(self.source, span.start));
        let mut own: Vec<&str> = lines.map(str::trim).collect();
        let broken = !own.is_empty();
        // The last piece is the one that the next element is on. A comma alone on its line is no blank line.
        own.pop();
        own.retain(|line| line.is_empty() || line.contains('#'));
        let own = own.into_iter().map(|line| line.trim_start_matches([' ', '\t', ','])).collect();
        Gap { trailing: behind, own, broken }
    }

    /// On one line; one that its author broke (TOML 1.1) stays as it is.
    fn table(&self, table: &InlineTable, whole: Range<usize>) -> String {
        let mut values = Vec::new();
        leaves(table, &mut values);
        values.sort_by_key(|value| span(value).start);
        let mut from = whole.start + 1;
        let mut pairs = Vec::new();
        let mut gaps = String::new();
        for value in values {
            let span = span(value);
            let gap = self.text(from..span.start);
            gaps.push_str(gap);
            let path = gap.trim_end().trim_end_matches('=').trim_matches([' ', '\t', ',', '\r', '\n']);
            pairs.push(format!("{} = {}", keys(path), self.value(value, 0, 0, usize::MAX)));
            from = span.end;
        }
        gaps.push_str(self.text(from..whole.end - 1));
        if gaps.contains('\n') || pairs.iter().any(|pair| pair.contains('\n')) {
            self.text(whole).to_owned()
        } else if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// Comments and blank lines, of which one stays, and none at the edges of an array.
fn lines<'t>(own: &[&'t str], first: bool, last: bool) -> Vec<&'t str> {
    let mut lines = own.to_vec();
    lines.dedup_by(|next, line| next.is_empty() && line.is_empty());
    if first && lines.first().is_some_and(|line| line.is_empty()) {
        lines.remove(0);
    }
    if last && lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

/// The values of a table, those under dotted keys too.
fn leaves<'v>(table: &'v InlineTable, values: &mut Vec<&'v Value>) {
    for (_, value) in table {
        match value {
            Value::InlineTable(table) if table.is_dotted() => leaves(table, values),
            Value::InlineTable(_)
            | Value::Array(_)
            | Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => values.push(value),
        }
    }
}

/// Where a value is: a parsed one is somewhere.
fn span(value: &Value) -> Range<usize> {
    value.span().unwrap_or_default()
}

/// A string in double quotes, if none of it would have to be escaped there.
fn string(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    let plain = |inner: &&str| !text.starts_with("'''") && !inner.contains(['"', '\\', '\'', '\t']);
    inner.filter(plain).map_or_else(|| text.to_owned(), |inner| format!("\"{inner}\""))
}
