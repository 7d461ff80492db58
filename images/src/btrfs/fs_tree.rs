//! The trees of files: the top level and every subvolume below it, as paths with what stands there.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;

use super::file::{FileExtent, Reader};
use super::volume::Volume;
use super::{Bytes, INODE_ITEM, KEY, Key, ROOT_ITEM};
use crate::contents::{Contents, Kind, Node};
use crate::disk::Extent;
use crate::pins::hex;

const XATTR_ITEM: u8 = 24;
const DIR_INDEX: u8 = 96;
const EXTENT_DATA: u8 = 108;
const TOP_LEVEL: u64 = 5;
const FIRST_INODE: u64 = 256;

/// What a tree says of one inode.
#[derive(Debug, Default)]
struct Inode {
    size: u64,
    uid: u32,
    gid: u32,
    mode: u32,
    device: u64,
    xattrs: BTreeMap<String, String>,
    extents: Vec<FileExtent>,
    children: Vec<(String, Key)>,
}

type Tree = BTreeMap<u64, Inode>;

/// Every tree of files.
fn trees(volume: &Volume<'_>) -> anyhow::Result<BTreeMap<u64, Tree>> {
    let mut roots = BTreeMap::new();
    volume.items(volume.root, &mut |key, data| {
        if key.kind == ROOT_ITEM && (key.object == TOP_LEVEL || key.object >= FIRST_INODE) {
            roots.insert(key.object, Bytes(data).u64(176)?);
        }
        Ok(())
    })?;
    let tree = |(id, block)| Ok((id, tree(volume, block).with_context(|| format!("could not read the tree {id}"))?));
    roots.into_iter().map(tree).collect()
}

/// Reads everything that the btrfs in this stretch of a file holds: names, modes, owners, attributes and contents.
///
/// # Errors
/// If a block or an extent is damaged, or is of a kind that `mkfs.btrfs` was not told to write.
pub(crate) fn read(file: &std::fs::File, extent: Extent) -> anyhow::Result<Contents> {
    let volume = Volume::open(file, extent)?;
    let trees = trees(&volume)?;
    let mut found = Walk::through(&trees)?;
    // Unpacking and hashing is all the work there is, and each file's is its own. The largest first, for nobody to be left with
    // one of them at the end.
    found.sort_by_key(|(_, inode)| std::cmp::Reverse(inode.size));
    let next = AtomicUsize::new(0);
    let parts = in_parallel(|| {
        let mut reader = Reader::new(&volume)?;
        let mut mine = Vec::new();
        while let Some((path, inode)) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push((path.clone(), node(inode, &mut reader).with_context(|| path.clone())?));
        }
        Ok(mine)
    })?;
    Ok(Contents { nodes: parts.into_iter().flatten().collect() })
}

/// Hands out the bytes of every file and link, with its path.
///
/// # Errors
/// As [`read`].
pub(crate) fn each_file(file: &std::fs::File, extent: Extent, each: &mut dyn FnMut(&str, &[u8])) -> anyhow::Result<()> {
    let volume = Volume::open(file, extent)?;
    let (trees, mut reader) = (trees(&volume)?, Reader::new(&volume)?);
    for (path, inode) in Walk::through(&trees)? {
        if [REGULAR, LINK].contains(&(inode.mode & FORMAT)) {
            let mut bytes = Vec::new();
            reader
                .read(inode.size, &inode.extents, &mut |some| bytes.extend_from_slice(some))
                .with_context(|| path.clone())?;
            each(&path, &bytes);
        }
    }
    Ok(())
}

/// Does a work of which each thread takes what it can.
fn in_parallel<T: Send>(work: impl Fn() -> anyhow::Result<T> + Sync) -> anyhow::Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(8);
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn tree(volume: &Volume<'_>, block: u64) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    volume.items(block, &mut |key, data| {
        let item = Bytes(data);
        if ![INODE_ITEM, XATTR_ITEM, DIR_INDEX, EXTENT_DATA].contains(&key.kind) {
            return Ok(());
        }
        let inode = tree.entry(key.object).or_default();
        match key.kind {
            INODE_ITEM => {
                (inode.size, inode.uid, inode.gid) = (item.u64(16)?, item.u32(44)?, item.u32(48)?);
                (inode.mode, inode.device) = (item.u32(52)?, item.u64(56)?);
            }
            EXTENT_DATA => inode.extents.push(FileExtent::parse(key.offset, item)?),
            DIR_INDEX => {
                for (location, name, _) in entries(item)? {
                    inode.children.push((name, location));
                }
            }
            _ => {
                for (_, name, value) in entries(item)? {
                    inode.xattrs.insert(name, hex(&value));
                }
            }
        }
        Ok(())
    })?;
    Ok(tree)
}

/// The entries of a directory item or an attribute item: where to, name, value.
fn entries(item: Bytes<'_>) -> anyhow::Result<Vec<(Key, String, Vec<u8>)>> {
    const HEAD: usize = KEY + 8 + 2 + 2 + 1;
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < item.0.len() {
        let (data, name) = (usize::from(item.u16(at + KEY + 8)?), usize::from(item.u16(at + KEY + 10)?));
        let text = String::from_utf8(item.at(at + HEAD, name)?.to_vec()).context("a name is not UTF-8")?;
        entries.push((item.key(at)?, text, item.at(at + HEAD + name, data)?.to_vec()));
        at += HEAD + name + data;
    }
    Ok(entries)
}

/// A walk through all trees from the top level.
struct Walk<'t> {
    trees: &'t BTreeMap<u64, Tree>,
    found: Vec<(String, &'t Inode)>,
}

impl<'t> Walk<'t> {
    /// Every path of every tree, with what is there.
    fn through(trees: &'t BTreeMap<u64, Tree>) -> anyhow::Result<Vec<(String, &'t Inode)>> {
        let mut walk = Self { trees, found: Vec::new() };
        walk.folder(TOP_LEVEL, FIRST_INODE, "", 0)?;
        Ok(walk.found)
    }

    fn folder(&mut self, tree: u64, inode: u64, path: &str, depth: usize) -> anyhow::Result<()> {
        anyhow::ensure!(depth < 64, "{path} is too deep");
        for (name, location) in &self.inode(tree, inode)?.children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let (tree, inode) = match location.kind {
                ROOT_ITEM => (location.object, FIRST_INODE),
                _ => (tree, location.object),
            };
            let found = self.inode(tree, inode)?;
            self.found.push((path.clone(), found));
            if found.mode & FORMAT == FOLDER {
                self.folder(tree, inode, &path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn inode(&self, tree: u64, inode: u64) -> anyhow::Result<&'t Inode> {
        let found = self.trees.get(&tree).and_then(|tree| tree.get(&inode));
        found.with_context(|| format!("there is no inode {inode} in the tree {tree}"))
    }
}

/// The kinds of files in a mode: inode(7).
const FORMAT: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

fn node(inode: &Inode, reader: &mut Reader<'_>) -> anyhow::Result<Node> {
    let Inode { size, uid, gid, mode, device, xattrs, extents, children: _ } = inode;
    let kind = match mode & FORMAT {
        FOLDER => Kind::Directory,
        REGULAR => Kind::File { size: *size, sha256: hex(&reader.hash(*size, extents)?) },
        LINK => {
            let mut target = Vec::new();
            reader.read(*size, extents, &mut |bytes| target.extend_from_slice(bytes))?;
            Kind::Link { target: String::from_utf8(target).context("its target is not UTF-8")? }
        }
        other => Kind::Special { format: other, device: *device },
    };
    Ok(Node { mode: mode & 0o7777, uid: *uid, gid: *gid, xattrs: xattrs.clone(), kind })
}
