//! The layout: an ordered tree of what the host's root must hold, by absolute path.
//!
//! A [`Layout`] is made by [`crate::render()`] and made real by the runner in `dmhost-images`, which alone puts
//! the bytes behind a [`Content::Secret`]. So a layout can be printed, snapshot and compared without care.

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::plan::DaemonName;

/// What a host needs beyond its base: files, links and folders by absolute path, in path order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    entries: BTreeMap<Utf8PathBuf, Entry>,
    subvolumes: Vec<Subvolume>,
}

/// One path of a layout. Everything belongs to root:root; `mode` holds the permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits, for example `0o644`. Without meaning for a link.
    pub mode: u32,
    /// What is there.
    pub content: Content,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text file.
    Text(String),
    /// A file whose bytes only the runner knows: a key or a certificate.
    Secret(CredentialId),
    /// A symbolic link to this target.
    Link(Utf8PathBuf),
    /// A folder.
    Directory,
}

/// A btrfs subvolume at the top level of the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subvolume {
    /// Its name at the top level, for example `@log`.
    pub name: String,
    /// The absolute path it is mounted on; `None` for one that is not mounted (`@snapshots`).
    pub mount: Option<Utf8PathBuf>,
}

/// Names a certificate or a key without holding it. The PKI folder answers for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialId {
    /// The certificate that the daemon's API shows: PEM.
    ServerCertificate(DaemonName),
    /// The key of that certificate: PEM, secret.
    ServerKey(DaemonName),
    /// The CA whose client certificates the daemon's API accepts: PEM, certificate alone.
    ClientCa(DaemonName),
}

impl CredentialId {
    /// Whose it is.
    pub fn daemon(&self) -> &DaemonName {
        match self {
            Self::ServerCertificate(daemon) | Self::ServerKey(daemon) | Self::ClientCa(daemon) => daemon,
        }
    }

    /// Whether the bytes must never be readable by others.
    pub fn is_private(&self) -> bool {
        match self {
            Self::ServerKey(_) => true,
            Self::ServerCertificate(_) | Self::ClientCa(_) => false,
        }
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerCertificate(daemon) => write!(f, "{daemon}: server certificate"),
            Self::ServerKey(daemon) => write!(f, "{daemon}: server key"),
            Self::ClientCa(daemon) => write!(f, "{daemon}: client CA certificate"),
        }
    }
}

impl Layout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an entry at `path`, in place of what was there; gives back what was.
    ///
    /// # Panics
    /// If `path` is not absolute: paths come from code, never from a spec.
    pub fn insert(&mut self, path: impl Into<Utf8PathBuf>, entry: Entry) -> Option<Entry> {
        let path = path.into();
        assert!(path.is_absolute(), "{path} is not absolute");
        self.entries.insert(path, entry)
    }

    /// A text file with mode 0644.
    pub fn text(&mut self, path: impl Into<Utf8PathBuf>, text: impl Into<String>) {
        self.insert(path, Entry { mode: 0o644, content: Content::Text(text.into()) });
    }

    /// A link at `path` to `target`.
    pub fn link(&mut self, path: impl Into<Utf8PathBuf>, target: impl Into<Utf8PathBuf>) {
        self.insert(path, Entry { mode: 0o777, content: Content::Link(target.into()) });
    }

    /// A folder with these permission bits. Folders that only lead to an entry need none: they are 0755.
    pub fn directory(&mut self, path: impl Into<Utf8PathBuf>, mode: u32) {
        self.insert(path, Entry { mode, content: Content::Directory });
    }

    /// A file the runner fills in: 0600 if it is private, else 0644.
    pub fn secret(&mut self, path: impl Into<Utf8PathBuf>, id: CredentialId) {
        let mode = if id.is_private() { 0o600 } else { 0o644 };
        self.insert(path, Entry { mode, content: Content::Secret(id) });
    }

    /// Adds a subvolume; they keep the order in which they came.
    pub fn subvolume(&mut self, name: impl Into<String>, mount: Option<Utf8PathBuf>) {
        self.subvolumes.push(Subvolume { name: name.into(), mount });
    }

    /// Takes an entry away.
    pub fn remove(&mut self, path: &Utf8Path) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// The entry at `path`.
    pub fn get(&self, path: &Utf8Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The text at `path`, if a text file stands there.
    pub fn text_at(&self, path: &Utf8Path) -> Option<&str> {
        match &self.get(path)?.content {
            Content::Text(text) => Some(text),
            Content::Secret(_) | Content::Link(_) | Content::Directory => None,
        }
    }

    /// Whether there is an entry that only the runner can fill.
    pub fn has_secrets(&self) -> bool {
        self.entries.values().any(|entry| matches!(entry.content, Content::Secret(_)))
    }

    /// All entries in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&Utf8Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// The subvolumes of the root file system; the first is the root's own.
    pub fn subvolumes(&self) -> &[Subvolume] {
        &self.subvolumes
    }
}
