//! The one writer of words in shell scripts: sh(1).

/// A word that the shell takes as it is.
pub(super) fn quote(word: &str) -> String {
    assert!(!word.contains(['\n', '\r', '\0']), "a word of a script must not break its line: {word:?}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:@,+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn nothing_of_a_word_is_the_shells() {
        assert_eq!(quote("backend"), "backend");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
