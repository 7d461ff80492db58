//! The one writer of systemd's file format: units, networkd files, drop-ins.
//!
//! Source of the rules: systemd.syntax(7). A value ends with its line, so a line break in one is refused; `%` starts a
//! specifier and is doubled.

use std::fmt::Write;

use camino::Utf8PathBuf;

use crate::layout::Layout;

/// Where units of the host's own stand.
pub(super) const UNITS: &str = "/etc/systemd/system";

/// A file of sections, each with settings in the order in which they were given.
#[derive(Debug)]
pub(super) struct UnitFile {
    text: String,
}

impl UnitFile {
    /// A file that opens with a comment: who made it, and for which key of the spec.
    pub(super) fn new(why: &str) -> Self {
        let mut text = String::new();
        for line in why.lines() {
            let _ = writeln!(text, "# {line}");
        }
        Self { text }
    }

    /// Opens a section.
    pub(super) fn section(mut self, name: &str) -> Self {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "[{name}]");
        self
    }

    /// One setting.
    pub(super) fn set(self, key: &str, value: impl AsRef<str>) -> Self {
        self.set_verbatim(key, value.as_ref().replace('%', "%%"))
    }

    /// One setting that systemd expands no specifiers in, so that a `%` in it is one.
    pub(super) fn set_verbatim(mut self, key: &str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        assert!(!value.contains(['\n', '\r', '\0']), "a value of {key}= must not break its line: {value:?}");
        let _ = writeln!(self.text, "{key}={value}");
        self
    }

    /// One setting for each value.
    pub(super) fn each<T: AsRef<str>>(mut self, key: &str, values: impl IntoIterator<Item = T>) -> Self {
        for value in values {
            self = self.set(key, value);
        }
        self
    }

    /// The finished text.
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// Puts a unit at its place in `/etc/systemd/system`.
pub(super) fn put_unit(layout: &mut Layout, name: &str, unit: UnitFile) {
    layout.text(format!("{UNITS}/{name}"), unit.text());
}

/// Puts a unit that is started with `target`.
pub(super) fn put_wanted_unit(layout: &mut Layout, name: &str, target: &str, unit: UnitFile) {
    put_unit(layout, name, unit);
    want(layout, target, &format!("../{name}"));
}

/// Has `target` want a unit; `unit` is the link's target: `../NAME` for one of ours, a full path for one of the base's.
pub(super) fn want(layout: &mut Layout, target: &str, unit: &str) {
    let link = Utf8PathBuf::from(unit);
    let name = link.file_name().unwrap_or(unit).to_owned();
    layout.link(format!("{UNITS}/{target}.wants/{name}"), link);
}

#[cfg(test)]
mod tests {
    use super::UnitFile;

    #[test]
    fn a_percent_sign_is_no_specifier() {
        let text = UnitFile::new("why").section("Unit").set("Description", "50% of %n").text();
        assert_eq!(text, "# why\n\n[Unit]\nDescription=50%% of %%n\n");
    }

    #[test]
    #[should_panic(expected = "must not break its line")]
    fn a_line_break_is_refused() {
        let _ = UnitFile::new("").section("Unit").set("Description", "a\nExecStart=/bin/evil");
    }
}
