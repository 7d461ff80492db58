//! Byte offsets as lines and columns, and spans brought back to what a text has.

use super::Span;

/// The byte order mark that some editors put first. It is no column of its own.
const BOM: char = '\u{feff}';

/// A place as people count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1; lines end in `\n`.
    pub line: usize,
    /// From 1, in Unicode scalars.
    pub column: usize,
}

impl Position {
    /// Of a character boundary of `source`, whose lines begin at `lines`.
    pub(super) fn of(source: &str, lines: &[usize], offset: usize) -> Self {
        let line = lines.partition_point(|start| *start <= offset);
        let start = lines[line - 1].max(text_start(source)).min(offset);
        Self { line, column: source[start..offset].chars().count() + 1 }
    }
}

/// Where each line begins; the first does at 0.
pub(super) fn lines(source: &str) -> Vec<usize> {
    std::iter::once(0).chain(source.match_indices('\n').map(|(newline, _)| newline + 1)).collect()
}

/// `span` with both ends on character boundaries of `source`, in order, and not before the text proper.
pub(super) fn fit(source: &str, span: &Span) -> Span {
    let start = floor(source, span.start).max(text_start(source));
    let end = floor(source, span.end).max(start);
    start..end
}

/// The start of the line that holds `offset`, which is a character boundary.
pub(super) fn line_start(source: &str, offset: usize) -> usize {
    let start = source[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    start.max(text_start(source)).min(offset)
}

/// The end of the line that holds `offset`, without its line break.
pub(super) fn line_end(source: &str, offset: usize) -> usize {
    let end = source[offset..].find('\n').map_or(source.len(), |newline| offset + newline);
    if end > offset && source[..end].ends_with('\r') { end - 1 } else { end }
}

fn text_start(source: &str) -> usize {
    if source.starts_with(BOM) { BOM.len_utf8() } else { 0 }
}

fn floor(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
