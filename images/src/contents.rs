//! What a tree of files holds, by path: modes, owners, attributes and hashes, and a hash of it all.
//!
//! A base has one from the day it was made, an image has the one that was meant and the one that is read back. Times are
//! no part of it: two builds of one lock differ in them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pins::hex;

/// Paths without a slash before them, and what stands there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// By path.
    pub nodes: BTreeMap<String, Node>,
}

/// A file, a folder, or what else has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, capabilities and access lists among them; values in hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file.
    File {
        /// Its length in bytes.
        size: u64,
        /// SHA-256 of its bytes, in hexadecimal digits.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: String,
    },
    /// A device, a pipe or a socket.
    Special {
        /// Which: the format bits of the mode, inode(7).
        format: u32,
        /// A device's number.
        device: u64,
    },
}

impl Node {
    /// One line that tells all but the path.
    fn line(&self) -> String {
        let Self { mode, uid, gid, xattrs, kind } = self;
        let mut line = match kind {
            Kind::Directory => "directory".to_owned(),
            Kind::File { size, sha256 } => format!("file {size} {sha256}"),
            Kind::Link { target } => format!("link {target:?}"),
            Kind::Special { format, device } => format!("special {format:o} {device}"),
        };
        // The mode of a link is nobody's.
        let mode = if matches!(kind, Kind::Link { .. }) { 0o777 } else { *mode };
        // Writing to a String cannot fail.
        let _ = write!(line, " {mode:04o} {uid}:{gid}");
        for (name, value) in xattrs {
            let _ = write!(line, " {name}={value}");
        }
        line
    }
}

impl Contents {
    /// SHA-256 over every path and what stands there, in order: the tree hash.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, node) in &self.nodes {
            hash.update(format!("{path:?} {}\n", node.line()));
        }
        hex(&hash.finalize())
    }

    /// How `found` differs from this, path by path.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (path, node) in &self.nodes {
            match found.nodes.get(path) {
                None => differences.push(format!("{path} is not there")),
                Some(other) if other.line() != node.line() => {
                    differences.push(format!("{path} is `{}` and should be `{}`", other.line(), node.line()));
                }
                Some(_) => {}
            }
        }
        let more = found.nodes.keys().filter(|path| !self.nodes.contains_key(*path));
        differences.extend(more.map(|path| format!("{path} should not be there")));
        differences
    }

    /// Bytes of all files; a file with several names counts with each.
    pub fn bytes(&self) -> u64 {
        self.nodes.values().map(Node::size).sum()
    }

    /// Bytes of all files at `path` and below; a file with several names counts with each.
    pub fn bytes_below(&self, path: &str) -> u64 {
        let below = format!("{path}/");
        self.nodes
            .iter()
            .filter(|(name, _)| *name == path || name.starts_with(&below))
            .map(|(_, node)| node.size())
            .sum()
    }
}

impl Node {
    /// A file's length in bytes; everything else has none.
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File { size, .. } => *size,
            Kind::Directory | Kind::Link { .. } | Kind::Special { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: Kind) -> Node {
        Node { mode: 0o755, uid: 0, gid: 0, xattrs: BTreeMap::new(), kind }
    }

    #[test]
    fn every_part_of_a_node_is_in_the_hash_and_in_the_differences() {
        let file = || Kind::File { size: 1, sha256: "00".to_owned() };
        let whole = |node: Node| Contents { nodes: BTreeMap::from([("bin/sh".to_owned(), node)]) };
        let meant = whole(node(file()));
        let variants = [
            Node { mode: 0o4755, ..node(file()) },
            Node { uid: 1, ..node(file()) },
            Node { gid: 1, ..node(file()) },
            Node { xattrs: BTreeMap::from([("security.capability".to_owned(), "01".to_owned())]), ..node(file()) },
            node(Kind::File { size: 2, sha256: "00".to_owned() }),
            node(Kind::File { size: 1, sha256: "01".to_owned() }),
            node(Kind::Link { target: "dash".to_owned() }),
            node(Kind::Directory),
        ];
        for variant in variants {
            let found = whole(variant);
            assert_ne!(found.digest(), meant.digest(), "{found:?}");
            assert_eq!(meant.differences(&found).len(), 1, "{found:?}");
        }
        assert_eq!(meant.differences(&meant), [""; 0]);
        assert_eq!(meant.differences(&Contents::default()), ["bin/sh is not there"]);
        assert_eq!(Contents::default().differences(&meant), ["bin/sh should not be there"]);
    }

    #[test]
    fn a_links_mode_is_nobodys() {
        let link = |mode| Node { mode, ..node(Kind::Link { target: "x".to_owned() }) };
        assert_eq!(link(0o777).line(), link(0o644).line());
    }
}
