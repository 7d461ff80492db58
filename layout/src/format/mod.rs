//! One style for host specs: spacing, blank lines, line breaks. Order, comments and meaning stay as they are.
//!
//! `toml_edit` tells where the values are; what stands between them is taken from the source, so that no comment can
//! be lost. [`line`] cuts the source into statements, [`value`] prints what stands after a `=`.

mod line;
mod value;

use toml_edit::{Document, Item, Key, Table, Value};

use crate::diagnostics::Diagnostics;
use crate::spec;
use line::{Line, Trailing};
use value::Printer;

/// The widest line that an array is put on, in characters. The house style of this repository, and of most TOML.
const WIDTH: usize = 120;

/// A spec in the one style. Ends of lines are those of the first line; a byte order mark is left out.
///
/// The text is the same for what is in this style already, and `format` of its result changes nothing.
///
/// # Errors
/// If the file is no TOML, or no UTF-8, or too large for a spec. Whether a spec is a good one is not asked.
pub fn format(file: &str, bytes: &[u8]) -> Result<String, Diagnostics> {
    let text = spec::utf8(file, bytes)?;
    spec::document(text).map_err(|report| Diagnostics::new(file, text, report))?;
    let source = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::parse(source).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let shift = text.len() - source.len();
        let report = vec![spec::syntax(text, error.message(), span.start + shift..span.end + shift)];
        Diagnostics::new(file, text, report)
    })?;
    let mut values = Vec::new();
    collect(document.as_table(), &mut values);
    values.sort_by_key(|value| value.span().map(|span| span.start));
    let eol = match source.find('\n') {
        Some(at) if source[..at].ends_with('\r') => "\r\n",
        Some(_) | None => "\n",
    };
    let formatted = write(&line::cut(source, &values), &Printer { source, eol });
    // A slip here would cost a user a spec: it must end before anything is written.
    let meaning = |text: &str| text.parse::<toml::Table>().map(|table| format!("{table:?}")).ok();
    assert_eq!(meaning(source), meaning(&formatted), "the style of a spec is not its meaning");
    Ok(formatted)
}

/// The values of all statements; what is inside of arrays and inline tables is not among them.
fn collect<'d>(table: &'d Table, values: &mut Vec<&'d Value>) {
    for (_, item) in table {
        match item {
            Item::Value(value) => values.push(value),
            Item::Table(table) => collect(table, values),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| collect(table, values)),
            Item::None => {}
        }
    }
}

/// Blank lines: one before a section and its comment, none after a header, at most one elsewhere.
fn write(lines: &[Line<'_>], printer: &Printer<'_>) -> String {
    let mut out = String::new();
    let mut blank = false;
    let mut after_header = false;
    for (at, line) in lines.iter().enumerate() {
        if matches!(line, Line::Blank) {
            blank = true;
            continue;
        }
        let wanted = opens_section(&lines[at..], at.checked_sub(1).map(|before| &lines[before]));
        if !out.is_empty() && (wanted || blank && !after_header) {
            out.push_str(printer.eol);
        }
        blank = false;
        after_header = matches!(line, Line::Header { .. });
        let text = match line {
            Line::Blank => continue,
            Line::Comment(text) => (*text).to_owned(),
            Line::Header { path, array: false, trailing } => place(format!("[{}]", keys(path)), 0, trailing.as_ref()),
            Line::Header { path, array: true, trailing } => place(format!("[[{}]]", keys(path)), 0, trailing.as_ref()),
            Line::Pair { path, value, trailing } => {
                let start = format!("{} = ", keys(path));
                let value = printer.value(value, 0, start.chars().count(), WIDTH);
                place(start + &value, 0, trailing.as_ref())
            }
        };
        out.push_str(&text);
        out.push_str(printer.eol);
    }
    out
}

/// Whether these lines begin with a header, or with the comment that stands right above one.
fn opens_section(lines: &[Line<'_>], before: Option<&Line<'_>>) -> bool {
    let comments = lines.iter().take_while(|line| matches!(line, Line::Comment(_))).count();
    !matches!(before, Some(Line::Comment(_))) && matches!(lines.get(comments), Some(Line::Header { .. }))
}

/// A statement with the comment behind it, in the comment's own column if that is free and not beyond the [`WIDTH`].
/// `before` are the characters that stand before the text on its first line.
fn place(mut text: String, before: usize, trailing: Option<&Trailing<'_>>) -> String {
    if let Some(Trailing { column, text: comment }) = trailing {
        let before = if text.contains('\n') { 0 } else { before };
        let width = before + text.rsplit('\n').next().unwrap_or_default().chars().count();
        let column = if *column < WIDTH { *column } else { 0 };
        text.extend(std::iter::repeat_n(' ', column.saturating_sub(width).max(1)));
        text.push_str(comment);
    }
    text
}

/// A dotted key without space and needless quotes.
fn keys(path: &str) -> String {
    let Ok(keys) = Key::parse(path) else { return path.to_owned() };
    let keys: Vec<String> = keys.iter().map(key).collect();
    keys.join(".")
}

fn key(key: &Key) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.get().is_empty() && key.get().bytes().all(bare) {
        key.get().to_owned()
    } else {
        key.display_repr().into_owned()
    }
}
