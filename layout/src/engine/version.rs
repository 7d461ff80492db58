//! Versions of the engine, and which of them have a thing: the columns of the tables in this folder.
//!
//! Source: `daemon/config` and `cmd/dockerd` of moby at the tags v20.10.24, v23.0.0, v24.0.0, v25.0.0, v26.1.5, v27.5.1,
//! v28.5.2 and docker-v29.0.0, compared key by key.

use std::fmt;

use crate::diagnostics::Span;

/// A version of the engine, `26.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// `26`.
    pub major: u16,
    /// `1`.
    pub minor: u16,
}

impl Version {
    /// Debian 12's docker.io.
    pub const V20_10: Self = Self { major: 20, minor: 10 };
    /// Debian 13's docker.io, and what hand-made files are held against.
    pub const V26_1: Self = Self { major: 26, minor: 1 };
    /// The docker-ce that recipes keep to.
    pub const V28_5: Self = Self { major: 28, minor: 5 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The versions that a host may have, oldest first, and what of `[host]` gives it.
pub const OFFERED: [(Version, &str); 3] = [
    (Version::V20_10, "base = \"debian-12\""),
    (Version::V26_1, "base = \"debian-13\""),
    (Version::V28_5, "engine = \"docker-ce\""),
];

/// The versions that have a thing: from one on, up to and without another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The first; `None`: all that dmhost knows of, which begin with 20.10.
    pub since: Option<Version>,
    /// The first that has it no more.
    pub until: Option<Version>,
}

impl Versions {
    /// Every version.
    pub const ALL: Self = Self { since: None, until: None };

    /// From this version on.
    pub const fn since(major: u16, minor: u16) -> Self {
        Self { since: Some(Version { major, minor }), until: None }
    }

    /// Up to and without this major version.
    pub const fn until(major: u16) -> Self {
        Self { since: None, until: Some(Version { major, minor: 0 }) }
    }

    /// Whether this version has it.
    pub fn hold(self, version: Version) -> bool {
        self.since.is_none_or(|since| since <= version) && self.until.is_none_or(|until| version < until)
    }
}

/// Who reads a daemon.json: which version, and whether the user may choose another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reader<'s> {
    /// The engine of a host's spec, and where the spec chooses it, if it does.
    Host(Version, Option<&'s Span>),
    /// An engine that is there.
    Given(Version),
    /// What the spec says of its base or engine cannot be read: only what no engine takes is wrong.
    Unknown,
}

impl Reader<'_> {
    /// Whether this reader has a thing of these versions.
    pub(crate) fn has(self, versions: Versions) -> bool {
        match self {
            Self::Host(version, _) | Self::Given(version) => versions.hold(version),
            Self::Unknown => OFFERED.iter().any(|(version, _)| versions.hold(*version)),
        }
    }

    /// The engine in a message that says what it does.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Host(version, _) | Self::Given(version) => format!("engine {version}"),
            Self::Unknown => "the engine".to_owned(),
        }
    }

    /// Why the engine does not have a thing, and what to write: another engine, or `instead`.
    pub(super) fn elsewhere(self, versions: Versions, instead: Option<&str>) -> String {
        let instead = instead.unwrap_or("leave it out");
        let offered: Vec<_> = match self {
            Self::Host(..) => OFFERED.iter().filter(|(version, _)| versions.hold(*version)).collect(),
            Self::Given(_) | Self::Unknown => Vec::new(),
        };
        let offered: Vec<_> = offered.iter().map(|(version, how)| format!("`{how}` (engine {version})")).collect();
        let offered = offered.join(" or ");
        match versions.until {
            Some(until) if offered.is_empty() => format!("{instead}: engine {until} took it away"),
            Some(until) => format!("{instead}: engine {until} took it away, {offered} still has it"),
            None => match versions.since {
                Some(since) if offered.is_empty() => format!("{instead}: it came with engine {since}"),
                Some(since) => format!("{instead}, or write {offered} under `[host]`: it came with engine {since}"),
                None => instead.to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Version, Versions};

    #[test]
    fn versions_are_numbers_and_an_end_is_outside() {
        let minor = Version { major: 20, minor: 9 };
        assert!(minor < Version::V20_10, "9 is before 10");
        assert!(Versions::until(28).hold(Version::V26_1) && !Versions::until(28).hold(Version::V28_5));
        assert!(!Versions::since(24, 0).hold(Version::V20_10) && Versions::since(24, 0).hold(Version::V26_1));
        assert_eq!(Version::V20_10.to_string(), "20.10");
    }
}
