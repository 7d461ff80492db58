//! `[[host.files]]`: what a host holds besides what dmhost makes.

use schemars::JsonSchema;

use super::pattern;
use super::place::{Field, Place};
use super::table::{Report, Table};

/// A file of the user's own in the image, beside those that dmhost makes.
///
/// ```toml fragment
/// [[host.files]]
/// path = "/etc/systemd/timesyncd.conf.d/site.conf"
/// content = """
/// [Time]
/// NTP=192.0.2.123
/// """
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// Where it stands: an absolute path without `.`, `..` and empty parts. Paths that dmhost writes, that hold accounts, or
    /// that are made anew at each boot are refused.
    ///
    /// Example: `path = "/etc/motd"`
    #[schemars(regex(pattern = pattern::FILE))]
    pub path: Field<String>,
    /// What it holds, as it is: text without NUL.
    ///
    /// Example: `content = "Only for the network team.\n"`
    #[schemars(length(min = 1))]
    pub content: Field<String>,
    /// Its permission bits in octal, in quotes. Others than its owner never get to write, and no bit changes who runs it.
    ///
    /// Absent: `0644`.
    ///
    /// Example: `mode = "0600"`
    #[schemars(default, regex(pattern = pattern::MODE), extend("default" = "0644"))]
    pub mode: Field<String>,
    /// Whose it is, `USER` or `USER:GROUP`, by names that the host knows when it boots; it is root's until then.
    ///
    /// Absent: `root:root`.
    ///
    /// Example: `owner = "ops:ops"`
    #[schemars(default, regex(pattern = pattern::OWNER), extend("default" = "root:root"))]
    pub owner: Field<String>,
}

/// Reads one `[[host.files]]`.
pub(super) fn read(mut table: Table<'_>, report: &mut Report) -> File {
    let file = File {
        place: table.place.clone(),
        path: table.string("path", report),
        content: table.string("content", report),
        mode: table.string("mode", report),
        owner: table.string("owner", report),
    };
    let meant = table.finish(report);
    meant.require(&file.path, "path", "path = \"/etc/motd\"", report);
    meant.require(&file.content, "content", "content = \"...\"", report);
    file
}
