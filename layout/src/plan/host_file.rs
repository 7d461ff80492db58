//! Files of the user's own.

use camino::Utf8PathBuf;

/// A file of the user's own in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// Where it stands: absolute and plain.
    pub path: Utf8PathBuf,
    /// What it holds.
    pub content: String,
    /// Its permission bits: at most 0o755, never writable by others.
    pub mode: u32,
    /// Whose it is.
    pub owner: FileOwner,
}

/// The owner of a file, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOwner {
    /// The account.
    pub user: String,
    /// The group.
    pub group: String,
}

impl FileOwner {
    /// Whether it is root's, which every file of an image is unless something changes it.
    pub fn is_root(&self) -> bool {
        self.user == "root" && self.group == "root"
    }
}

impl Default for FileOwner {
    fn default() -> Self {
        Self { user: "root".to_owned(), group: "root".to_owned() }
    }
}
