//! The source as statements in their order, each with the comment that stands behind it.

use toml_edit::Value;

/// A statement, or what stands between two.
pub(super) enum Line<'t> {
    /// An empty line.
    Blank,
    /// A comment alone on its line, from its `#`.
    Comment(&'t str),
    /// `[path]` or `[[path]]`.
    Header { path: &'t str, array: bool, trailing: Option<Trailing<'t>> },
    /// `path = value`.
    Pair { path: &'t str, value: &'t Value, trailing: Option<Trailing<'t>> },
}

/// A comment behind something: its column, from 0, in characters, and its text from the `#` on.
pub(super) struct Trailing<'t> {
    pub(super) column: usize,
    pub(super) text: &'t str,
}

/// Cuts TOML that was parsed; `values` are those of its statements, in source order.
pub(super) fn cut<'t>(source: &'t str, values: &[&'t Value]) -> Vec<Line<'t>> {
    let mut lines = Vec::new();
    let mut values = values.iter();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let start = at + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        match source[start..].bytes().next() {
            None => break,
            Some(b'\r' | b'\n') => {
                lines.push(Line::Blank);
                at = next_line(source, start);
            }
            Some(b'#') => {
                at = next_line(source, start);
                lines.push(Line::Comment(source[start..at].trim_end()));
            }
            Some(b'[') => {
                let array = source[start..].starts_with("[[");
                let from = start + if array { 2 } else { 1 };
                let to = from + header(&source[from..]);
                let trailing = trailing(source, to);
                at = next_line(source, to);
                lines.push(Line::Header { path: source[from..to].trim(), array, trailing });
            }
            Some(_) => {
                // The parser found a value for each key.
                let Some((value, span)) = values.next().and_then(|value| Some((value, value.span()?))) else { break };
                let path = source[start..span.start].trim_end().trim_end_matches('=').trim_end();
                at = next_line(source, span.end);
                lines.push(Line::Pair { path, value, trailing: trailing(source, span.end) });
            }
        }
    }
    lines
}

/// Where the line ends that `at` is in, past its newline.
fn next_line(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |newline| at + newline + 1)
}

/// How long a header's path is: up to the `]` that is in no quotes.
fn header(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, ']') => return at,
            (None, '"' | '\'') => quote = Some(character),
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), _) if open == character && !escaped => quote = None,
            (None | Some(_), _) => {}
        }
        escaped = false;
    }
    text.len()
}

/// The comment between `from`, the end of a statement, and the end of its line.
pub(super) fn trailing(source: &str, from: usize) -> Option<Trailing<'_>> {
    let line = &source[from..next_line(source, from)];
    let start = from + line.find('#')?;
    let begin = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let text = source[start..next_line(source, start)].trim_end();
    Some(Trailing { column: source[begin..start].chars().count(), text })
}
