//! What to write where the file is no TOML: the parser says what it did not like, not what was meant.

use crate::diagnostics::Span;

/// A help text for a message of the parser and the place it names.
pub(super) fn help(text: &str, message: &str, span: &Span) -> String {
    let start = floor(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let whole = text[line_start..].lines().next().unwrap_or_default();
    // What stands after the `=` of the line, if the problem is there.
    let value = whole.split_once('=').filter(|(key, _)| start > line_start + key.len()).map(|(_, value)| value.trim());
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    let word: String = value.unwrap_or_default().chars().take_while(|c| bare(*c)).collect();
    let inside = text[..start].trim_end_matches([' ', '\t']).ends_with('=');
    let help = if message.contains("duplicate key") {
        "a key stands once in its table, and a header once in the file: leave one out, or put both together"
    } else if message.contains("array") {
        "separate values by `,` and close the array with `]`"
    } else if message.contains("inline table") || message.contains("key-value pairs") {
        "separate keys by `,`, all on one line, and close the table with `}`"
    } else if matches!(word.to_ascii_lowercase().as_str(), "yes" | "on" | "true") {
        "write `true`, in lower case and without quotes"
    } else if matches!(word.to_ascii_lowercase().as_str(), "no" | "off" | "false") {
        "write `false`, in lower case and without quotes"
    } else if word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit()) {
        "write the number without a zero at its front"
    } else if !word.is_empty() {
        return format!("write it in quotes: `\"{word}\"`");
    } else if message.contains("escape") {
        "write a backslash twice, or the string between `'` and `'`, where a backslash is itself"
    } else if inside && !value.is_some_and(|value| value.starts_with(['"', '\''])) {
        "write a value after the `=`: a string in quotes, a number, `true`, `false`, `[..]` or `{ .. }`"
    } else if message.contains("string") {
        "close the string with the quote it begins with, on the same line"
    } else if message.contains("header") || message.contains("table") {
        "a header is alone on its line: `[interfaces.lan]`, or `[[expect]]` for one of several"
    } else {
        "write `key = value`, one on each line, under a header such as `[host]`"
    };
    help.to_owned()
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
