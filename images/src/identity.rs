//! An image's identity: the UUIDs of disk, partitions and file system, drawn from the hash of what the image is made of, so that
//! the same input gives the same disk.

use dmhost_layout::layout::Layout;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::base::BaseKey;
use crate::pins::digest;

/// What an image is made of, as one hash: base and layout, where a secret counts by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// The identity of the image of this layout over this base.
    pub(crate) fn new(base: &BaseKey, layout: &Layout) -> Self {
        let entries = layout.iter().map(|(path, entry)| format!("{path} {:o} {:?}", entry.mode, entry.content));
        let volumes = layout.subvolumes().iter().map(|volume| format!("{volume:?}"));
        let lines: Vec<_> = entries.chain(volumes).collect();
        Self(digest(std::iter::once(base.digest.as_str()).chain(lines.iter().map(String::as_str))))
    }

    /// The UUID of one of its parts.
    pub(crate) fn uuid(&self, part: &str) -> Uuid {
        let hash = Sha256::digest(format!("{} {part}", self.0));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}
