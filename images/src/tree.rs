//! A layout as a tar stream: paths, modes and owners, with the bytes of the secrets put in.
//!
//! The stream goes from this process into the namespace that builds, so no key touches a disk on the way.

use anyhow::Context;
use dmhost_layout::layout::{Content, CredentialId, Layout};
use tar::{Builder, EntryType, Header};

/// Who knows the bytes behind a [`CredentialId`].
pub trait Secrets {
    /// The bytes as they shall stand in the file.
    ///
    /// # Errors
    /// If there is no such credential.
    fn bytes(&self, id: &CredentialId) -> anyhow::Result<Vec<u8>>;
}

impl<F: Fn(&CredentialId) -> anyhow::Result<Vec<u8>>> Secrets for F {
    fn bytes(&self, id: &CredentialId) -> anyhow::Result<Vec<u8>> {
        self(id)
    }
}

/// The layout as a tar archive, everything owned by root, in path order (so a folder comes before what is in it).
///
/// # Errors
/// If a secret has no bytes.
pub fn archive(layout: &Layout, secrets: &dyn Secrets, mtime: u64) -> anyhow::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (path, entry) in layout.iter() {
        let name = path.strip_prefix("/").with_context(|| format!("{path} in the layout is not absolute"))?;
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(mtime);
        let mut file = |kind: EntryType, bytes: &[u8]| {
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes)
        };
        match &entry.content {
            Content::Text(text) => file(EntryType::Regular, text.as_bytes()),
            Content::Secret(id) => {
                let bytes = secrets.bytes(id).with_context(|| format!("no bytes for {path} ({id})"))?;
                file(EntryType::Regular, &bytes)
            }
            Content::Directory => file(EntryType::Directory, &[]),
            Content::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target)
            }
        }
        .with_context(|| format!("could not pack {path}"))?;
    }
    tar.into_inner().context("could not end the archive of the layout")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_holds_modes_and_secrets() {
        let mut layout = Layout::new();
        layout.text("/etc/hello", "world\n");
        layout.link("/etc/masked", "/dev/null");
        layout.directory("/etc/closed", 0o700);
        let id = CredentialId::ServerKey("web".parse().expect("a name"));
        layout.secret("/etc/closed/key", id);
        let bytes = archive(&layout, &|id: &CredentialId| Ok(id.to_string().into_bytes()), 7).expect("it packs");
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            let path = entry.path().expect("a path").display().to_string();
            found.insert(path, (entry.header().mode().expect("a mode"), entry.header().entry_type(), text));
        }
        assert_eq!(found["etc/hello"], (0o644, EntryType::Regular, "world\n".to_owned()));
        assert_eq!(found["etc/masked"].1, EntryType::Symlink);
        assert_eq!(found["etc/closed"], (0o700, EntryType::Directory, String::new()));
        assert_eq!(found["etc/closed/key"], (0o600, EntryType::Regular, "web: server key".to_owned()));
    }

    #[test]
    fn a_secret_without_bytes_names_its_path() {
        let mut layout = Layout::new();
        layout.secret("/etc/key", CredentialId::ServerKey("web".parse().expect("a name")));
        let error = archive(&layout, &|_: &CredentialId| anyhow::bail!("not made yet"), 0).expect_err("there are none");
        assert_eq!(format!("{error:#}"), "no bytes for /etc/key (web: server key): not made yet");
    }
}
