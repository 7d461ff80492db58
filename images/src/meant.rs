//! What an image is meant to hold: the base as it was made, the layout over it, each subvolume in its place.
//!
//! This is worked out without looking at what was assembled, by the rules that `assemble.sh` follows, so that reading the
//! image back finds the mistakes of either.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use camino::Utf8Path;
use dmhost_layout::layout::{Content, Layout, Subvolume};
use sha2::{Digest, Sha256};

use crate::contents::{Contents, Kind, Node};
use crate::pins::hex;
use crate::tree::Secrets;

/// What `systemd-sysusers` adds to: its bytes depend on the base's own program. Mode and owner stay.
const ACCOUNTS: [&str; 4] = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];
/// Empty, and newer than `/usr`, so that nothing is rebuilt at the first boot.
const STAMPS: [&str; 2] = ["etc/.updated", "var/.updated"];

fn folder(mode: u32) -> Node {
    Node { mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), kind: Kind::Directory }
}

fn file(mode: u32, bytes: &[u8]) -> Node {
    let sha256 = hex(&Sha256::digest(bytes));
    let kind = Kind::File { size: bytes.len() as u64, sha256 };
    Node { mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), kind }
}

/// What the image of this base and this layout holds, and the paths whose bytes only the base's programs know.
///
/// # Errors
/// If a secret has no bytes, or a path of the layout leads through a file.
pub(crate) fn contents(
    base: &Contents,
    layout: &Layout,
    secrets: &dyn Secrets,
) -> anyhow::Result<(Contents, BTreeSet<String>)> {
    let mut root = base.clone();
    root.nodes.entry(String::new()).or_insert_with(|| folder(0o755));
    for (path, entry) in layout.iter() {
        let node = match &entry.content {
            Content::Text(text) => file(entry.mode, text.as_bytes()),
            Content::Secret(id) => file(entry.mode, &secrets.bytes(id)?),
            Content::Directory => folder(entry.mode),
            Content::Link(target) => Node { kind: Kind::Link { target: target.to_string() }, ..folder(0o777) },
        };
        put(&mut root, path, node, entry.content == Content::Directory)
            .with_context(|| format!("{path} of the layout cannot be where it is meant to be"))?;
    }
    // `assemble.sh` takes away what programs that change accounts leave: their lock, and the files as they were.
    root.nodes.retain(|path, _| {
        path != "etc/.pwd.lock" && !(path.starts_with("etc/") && path.ends_with('-') && path.matches('/').count() == 1)
    });
    for stamp in STAMPS {
        root.nodes.insert(stamp.to_owned(), file(0o644, &[]));
    }
    let (first, others) = layout.subvolumes().split_first().context("the layout names no subvolume for the root")?;
    let mut others: Vec<_> = others.iter().collect();
    others.sort_by_key(|volume| std::cmp::Reverse(volume.mount.as_ref().map_or(0, |mount| mount.components().count())));
    let mut whole = Contents::default();
    for Subvolume { name, mount } in others {
        let Some(mount) = mount else {
            whole.nodes.insert(name.clone(), folder(0o755));
            continue;
        };
        put(&mut root, mount, folder(0o755), true)?;
        let mount = resolve(&root, mount)?;
        let below = format!("{mount}/");
        let inside: Vec<_> = root.nodes.keys().filter(|path| path.starts_with(&below)).cloned().collect();
        for path in inside {
            if let (Some(node), Some(rest)) = (root.nodes.remove(&path), path.strip_prefix(&mount)) {
                whole.nodes.insert(format!("{name}{rest}"), node);
            }
        }
        // The folder's own node goes with what is in it; an empty one is left to mount on.
        if let Some(own) = root.nodes.insert(mount, folder(0o755)) {
            whole.nodes.insert(name.clone(), own);
        }
    }
    for (path, node) in root.nodes {
        let path = if path.is_empty() { first.name.clone() } else { format!("{}/{path}", first.name) };
        whole.nodes.insert(path, node);
    }
    let accounts = ACCOUNTS.iter().map(|path| format!("{}/{path}", first.name)).collect();
    Ok((whole, accounts))
}

/// Puts a node where `path` leads, with the folders on the way. A folder that is there stays as it is.
fn put(root: &mut Contents, path: &Utf8Path, node: Node, keep: bool) -> anyhow::Result<()> {
    let place = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = resolve(root, parent)?;
            if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
        }
        _ => String::new(),
    };
    let mut at = place.as_str();
    while let Some((parent, _)) = at.rsplit_once('/') {
        root.nodes.entry(parent.to_owned()).or_insert_with(|| folder(0o755));
        at = parent;
    }
    if keep && root.nodes.contains_key(&resolve(root, path)?) {
        return Ok(());
    }
    root.nodes.insert(place, node);
    Ok(())
}

/// Where a path leads through the links of the tree, without a slash before it.
pub(crate) fn resolve(root: &Contents, path: &Utf8Path) -> anyhow::Result<String> {
    let mut left: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop();
                continue;
            }
            _ => at.push(part),
        }
        if let Some(Node { kind: Kind::Link { target }, .. }) = root.nodes.get(&at.join("/")) {
            links += 1;
            anyhow::ensure!(links < 40, "{path} leads through too many links");
            at.pop();
            if target.starts_with('/') {
                at.clear();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
    }
    Ok(at.join("/"))
}

#[cfg(test)]
mod tests {
    use dmhost_layout::layout::CredentialId;

    use super::*;

    fn base() -> Contents {
        let link = |target: &str| Node { kind: Kind::Link { target: target.to_owned() }, ..folder(0o777) };
        let nodes = [
            (String::new(), folder(0o755)),
            ("lib".to_owned(), link("usr/lib")),
            ("usr".to_owned(), folder(0o755)),
            ("usr/lib".to_owned(), folder(0o755)),
            ("etc".to_owned(), folder(0o700)),
            ("etc/passwd".to_owned(), file(0o644, b"root")),
            ("var".to_owned(), folder(0o755)),
            ("var/log".to_owned(), folder(0o2775)),
            ("var/log/journal".to_owned(), folder(0o755)),
        ];
        Contents { nodes: BTreeMap::from(nodes) }
    }

    #[test]
    fn the_layout_stands_where_links_lead_and_mounts_are_moved() {
        let mut layout = Layout::new();
        layout.subvolume("@", Some("/".into()));
        layout.subvolume("@log", Some("/var/log".into()));
        layout.subvolume("@new", Some("/srv/a/b".into()));
        layout.subvolume("@snapshots", None);
        layout.text("/lib/deep/file", "x");
        layout.directory("/etc", 0o755);
        let (whole, accounts) =
            contents(&base(), &layout, &|_: &CredentialId| anyhow::bail!("none")).expect("it is worked out");
        let node = |path: &str| whole.nodes.get(path).unwrap_or_else(|| panic!("{path} is not in {whole:#?}"));
        assert_eq!(node("@/usr/lib/deep/file"), &file(0o644, b"x"));
        assert_eq!(node("@/usr/lib/deep").mode, 0o755);
        assert_eq!(node("@/etc").mode, 0o700, "a folder of the base keeps its mode");
        assert_eq!((node("@log").mode, node("@/var/log").mode), (0o2775, 0o755));
        assert_eq!(node("@log/journal").kind, Kind::Directory);
        assert!(!whole.nodes.contains_key("@/var/log/journal"));
        assert_eq!((node("@new").mode, node("@/srv/a/b").mode, node("@snapshots").mode), (0o755, 0o755, 0o755));
        assert_eq!(node("@/etc/.updated").size(), 0);
        assert!(accounts.contains("@/etc/passwd"));
    }
}
