//! Words of the user in messages: quoted, shortened, and the nearest of the words that were possible.

use std::fmt::Write;

use crate::diagnostics;

/// The longest part of a user's text that a message repeats, in characters.
const LONGEST: usize = 60;

/// The most candidates that are compared with a word: comparing all of a huge file's with all would take minutes.
const MOST: usize = 1024;

/// `text` between backticks, shortened.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", plain(text, LONGEST))
}

/// `text` without anything that would break a line or speak to a terminal, at most `longest` characters of it.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == longest {
            out.push('…');
            break;
        }
        let hidden = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hidden || character.is_control() {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// The candidate that `word` was probably meant to be.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    let near = |candidate: &&str| candidate.len().abs_diff(word.len()) <= (word.len().max(candidate.len()) / 3).max(1);
    candidates
        .into_iter()
        .filter(near)
        .take(MOST)
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase().replace('_', "-"));
            let close = distance <= (word.chars().count().max(candidate.len()) / 3).max(1);
            // One letter is near to every other.
            (close && distance < candidate.len()).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many candidates a help text lists.
const LISTED: usize = 24;

/// A help text: the nearest candidate if there is one, else all of them. `told` is how many problems are known
/// already: past those that a user will see, words are not compared any more.
pub(crate) fn suggest<'c>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
    told: usize,
) -> String {
    if told >= diagnostics::MOST {
        return format!("write one of the {what} that there are");
    }
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return format!("did you mean {}?", quoted(candidate));
    }
    let listed: Vec<_> = candidates.clone().into_iter().take(LISTED).map(quoted).collect();
    match candidates.into_iter().count() - listed.len() {
        0 if listed.is_empty() => format!("there are no {what}"),
        0 => format!("{what}: {}", listed.join(", ")),
        more => format!("{what}: {}, and {more} more", listed.join(", ")),
    }
}

/// One step of a dotted path: bare where TOML lets it be.
pub(crate) fn step(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare && key.len() <= LONGEST { key.to_owned() } else { quoted(key).replace('`', "\"") }
}
