//! Doc comments as text for readers: paragraphs of one line, and the example that a key's text ends with.

use serde_json::Value;

/// The text with each paragraph and list item on a line of its own. Blocks of code stay as they are.
pub(super) fn paragraphs(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut code = false;
    let mut open = false;
    for line in text.lines() {
        let fence = line.starts_with("```");
        let begins = code || fence || line.is_empty() || line.starts_with("- ");
        match lines.last_mut() {
            Some(last) if open && !begins => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            Some(_) | None => lines.push(line.to_owned()),
        }
        code ^= fence;
        open = !code && !fence && !line.is_empty();
    }
    lines.join("\n")
}

/// The code of the paragraph that begins with this word: ``Example: `port = 2376` ``.
pub(super) fn after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(": "))
}

/// The value of the example that a key's text has.
pub(super) fn example(text: &str) -> Option<Value> {
    let line = after(text, "Example")?.strip_prefix('`')?.strip_suffix('`')?;
    let table: toml::Table = toml::from_str(line).ok()?;
    let (_, value) = table.into_iter().next()?;
    serde_json::to_value(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{example, paragraphs};

    #[test]
    fn lines_of_a_paragraph_are_joined_and_code_is_not() {
        let text = "One\ntwo.\n\n- a\n  b\n- c\n\n```toml\nx = 1\n\ny = 2\n```\nEnd\nof it.";
        let joined = "One two.\n\n- a b\n- c\n\n```toml\nx = 1\n\ny = 2\n```\nEnd of it.";
        assert_eq!(paragraphs(text), joined);
    }

    #[test]
    fn an_example_is_the_value_of_its_key() {
        assert_eq!(example("A port.\n\nExample: `port = 2376`"), Some(json!(2376)));
        assert_eq!(example("A port.\n\nExample: port = 2376"), None);
    }
}
