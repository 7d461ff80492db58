//! What `mkfs.btrfs` draws by lot or takes from the clock, settled: the same input then gives the same bytes.
//!
//! It can be told the UUIDs of file system and device alone. The UUID of the tree of chunks stands in every block, each
//! subvolume has one of its own, and inodes have the times of the build. They become those of the [`Identity`] and the latest
//! time that is asked for, in every copy of a block, and the block gets its checksum anew. Blocks that it wrote on the way and that
//! belong to no tree any more become zeros, and so does what stands between the items of a block.

use std::os::unix::fs::FileExt;

use anyhow::Context;

use super::volume::{HEADER, ITEM_HEAD, Item, POINTER, SUPERBLOCK_SIZE, SUPERBLOCKS, Volume, items_of};
use super::{Bytes, INODE_ITEM, ROOT_ITEM};
use crate::disk::{Extent, data};
use crate::identity::Identity;

const DEV_EXTENT: u8 = 204;
const UUID_SUBVOLUME: u8 = 251;
/// In a block's header.
const CHUNK_TREE_UUID: usize = 64;
/// In a device extent.
const EXTENT_UUID: usize = 32;
/// In an inode: access, change, modification, creation; 8 bytes of seconds and 4 of nanoseconds each.
const INODE_TIMES: [usize; 4] = [112, 124, 136, 148];
const MODIFIED: usize = INODE_TIMES[2];
/// The tree that finds subvolumes by their UUIDs.
const UUID_TREE: u64 = 9;
/// In a root: its block, and the level of that.
const ROOT_BLOCK: usize = 176;
const ROOT_LEVEL: usize = 238;
/// In a root: its UUID, and the times of its change and its creation.
const ROOT_UUID: usize = 247;
const ROOT_TIMES: [usize; 2] = [327, 339];
const TIME: usize = 12;
const UUID: usize = 16;

/// Settles the btrfs in this stretch of a file, which is open for writing. `latest`: in seconds since 1970; what is newer
/// becomes as old.
///
/// # Errors
/// If it cannot be read or written.
pub(crate) fn settle(file: &std::fs::File, extent: Extent, identity: &Identity, latest: u64) -> anyhow::Result<()> {
    let volume = Volume::open(file, extent)?;
    let mut roots = vec![volume.root, volume.chunk_root];
    let mut subvolumes = true;
    volume.items(volume.root, &mut |key, data| {
        if key.kind == ROOT_ITEM {
            roots.push(Bytes(data).u64(ROOT_BLOCK)?);
            subvolumes &= key.object != UUID_TREE || Bytes(data).u8(ROOT_LEVEL)? == 0;
        }
        Ok(())
    })?;
    let settler = Settler { identity, latest, chunks: *identity.uuid("chunks").as_bytes(), subvolumes };
    let copies = SUPERBLOCKS.iter().map(|at| (*at, at + SUPERBLOCK_SIZE));
    let mut kept: Vec<_> = volume.data.iter().copied().chain(copies).collect();
    for root in roots {
        volume.blocks(root, u8::MAX, &mut |at, block| {
            let places = volume.places(at, block.len())?;
            kept.extend(places.iter().map(|at| at - extent.start).map(|at| (at, at + block.len() as u64)));
            settler.block(block)?;
            volume.write_block(at, block)
        })?;
    }
    kept.sort_unstable();
    clear(file, extent, &kept).context("could not clear what is no longer in use")
}

/// Makes zeros of all data but these stretches, which are in order.
fn clear(file: &std::fs::File, extent: Extent, kept: &[(u64, u64)]) -> std::io::Result<()> {
    for (start, end) in data(file)? {
        let (mut at, end) =
            (start.max(extent.start) - extent.start, end.saturating_sub(extent.start).min(extent.length));
        let first = kept.partition_point(|(_, kept)| *kept <= at);
        for &(from, to) in kept[first..].iter().take_while(|(from, _)| *from < end).chain([&(end, end)]) {
            if at < from {
                let zeros = vec![0; usize::try_from(from - at).map_err(|_| std::io::ErrorKind::OutOfMemory)?];
                file.write_all_at(&zeros, extent.start + at)?;
            }
            at = at.max(to);
        }
    }
    Ok(())
}

struct Settler<'a> {
    identity: &'a Identity,
    latest: u64,
    chunks: [u8; UUID],
    /// Whether UUIDs of subvolumes are settled: not where they take more than one block, some 400 of them.
    subvolumes: bool,
}

impl Settler<'_> {
    fn block(&self, block: &mut [u8]) -> anyhow::Result<()> {
        put(block, CHUNK_TREE_UUID, &self.chunks)?;
        let items = items_of(Bytes(block))?;
        for item in &items {
            match item.key.kind {
                INODE_ITEM => {
                    let time = self.time(block, item.at + MODIFIED)?;
                    INODE_TIMES.iter().try_for_each(|field| put(block, item.at + field, &time))?;
                }
                ROOT_ITEM => {
                    for field in ROOT_TIMES {
                        let time = self.time(block, item.at + field)?;
                        put(block, item.at + field, &time)?;
                    }
                    // What is no subvolume has none.
                    if self.subvolumes && Bytes(block).at(item.at + ROOT_UUID, UUID)? != [0; UUID] {
                        put(block, item.at + ROOT_UUID, &self.subvolume(item.key.object))?;
                    }
                }
                DEV_EXTENT => put(block, item.at + EXTENT_UUID, &self.chunks)?,
                _ => {}
            }
        }
        self.subvolumes(block, &items)?;
        let unused = unused(Bytes(block), &items)?;
        block[unused].fill(0);
        Ok(())
    }

    /// The tree that finds a subvolume by its UUID: the UUID is the key, and so the order changes with it.
    fn subvolumes(&self, block: &mut [u8], items: &[Item]) -> anyhow::Result<()> {
        let slots: Vec<_> = items.iter().filter(|item| self.subvolumes && item.key.kind == UUID_SUBVOLUME).collect();
        let mut found = Vec::new();
        for slot in &slots {
            anyhow::ensure!(slots.len() == items.len() && slot.size == 8, "the tree of UUIDs is of another kind");
            let id = Bytes(block).u64(slot.at)?;
            let uuid = self.subvolume(id);
            found.push((Bytes(&uuid).u64(0)?, Bytes(&uuid).u64(8)?, id));
        }
        found.sort_unstable();
        for (slot, (object, offset, id)) in slots.into_iter().zip(found) {
            put(block, slot.head, &object.to_le_bytes())?;
            put(block, slot.head + 9, &offset.to_le_bytes())?;
            put(block, slot.at, &id.to_le_bytes())?;
        }
        Ok(())
    }

    fn subvolume(&self, id: u64) -> [u8; UUID] {
        *self.identity.uuid(&format!("subvolume {id}")).as_bytes()
    }

    /// The time at this place, or the latest there may be.
    fn time(&self, block: &[u8], at: usize) -> anyhow::Result<[u8; TIME]> {
        let mut time: [u8; TIME] = Bytes(block).at(at, TIME)?.try_into()?;
        if Bytes(&time).u64(0)? >= self.latest {
            time = [0; TIME];
            time[..8].copy_from_slice(&self.latest.to_le_bytes());
        }
        Ok(time)
    }
}

/// What is between the heads of a leaf and its data, or behind the last address of another block: what once stood there.
fn unused(block: Bytes<'_>, items: &[Item]) -> anyhow::Result<std::ops::Range<usize>> {
    let (count, level) = (block.u32(96)? as usize, block.u8(100)?);
    let head = if level == 0 { ITEM_HEAD } else { POINTER };
    let from = HEADER + head * count;
    let to = items.iter().map(|item| item.at).min().unwrap_or(block.0.len());
    anyhow::ensure!(from <= to && to <= block.0.len(), "a block holds more than it can");
    Ok(from..to)
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) -> anyhow::Result<()> {
    Bytes(block).at(at, bytes.len())?;
    block[at..at + bytes.len()].copy_from_slice(bytes);
    Ok(())
}
