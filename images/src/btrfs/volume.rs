//! The volume: superblock, chunks, and trees of checksummed blocks.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use anyhow::Context;

use super::{Bytes, KEY, Key};
use crate::disk::Extent;

/// The superblock, and its copies on devices that are large enough.
pub(super) const SUPERBLOCKS: [u64; 3] = [0x1_0000, 0x400_0000, 0x40_0000_0000];
pub(super) const SUPERBLOCK_SIZE: u64 = 4096;
const MAGIC: &[u8] = b"_BHRfS_M";
/// Where the superblock's first chunks stand, and how many bytes there are of them.
const SYSTEM_CHUNKS: (usize, usize) = (811, 160);
const CHUNK_ITEM: u8 = 228;
pub(super) const HEADER: usize = 101;
/// Of an item in a leaf: key, place and size.
pub(super) const ITEM_HEAD: usize = 25;
/// Of a block below: key, address and generation.
pub(super) const POINTER: usize = 33;
/// A chunk for bytes of files.
const DATA: u64 = 1;
/// RAID0, RAID1, RAID10, RAID5, RAID6 and RAID1C3, C4: what one device cannot have.
const STRIPED: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10;

/// A btrfs in a stretch of a file.
#[derive(Debug)]
pub(super) struct Volume<'a> {
    file: &'a std::fs::File,
    extent: Extent,
    node_size: usize,
    /// Logical start to length and to where the copies are on the device.
    chunks: BTreeMap<u64, (u64, Vec<u64>)>,
    /// Stretches of the device that hold bytes of files: from where to where.
    pub(super) data: Vec<(u64, u64)>,
    /// The block of the tree of trees.
    pub(super) root: u64,
    /// The block of the tree of chunks.
    pub(super) chunk_root: u64,
}

impl<'a> Volume<'a> {
    /// Reads superblock and chunks.
    pub(super) fn open(file: &'a std::fs::File, extent: Extent) -> anyhow::Result<Self> {
        let mut superblock = [0; 4096];
        file.read_exact_at(&mut superblock, extent.start + SUPERBLOCKS[0]).context("could not read the superblock")?;
        let bytes = Bytes(&superblock);
        anyhow::ensure!(bytes.at(64, 8)? == MAGIC, "there is no btrfs");
        anyhow::ensure!(bytes.u16(196)? == 0, "its checksums are not CRC-32C");
        check(&superblock).context("the superblock is damaged")?;
        let node_size = bytes.u32(148)? as usize;
        anyhow::ensure!((4096..=65536).contains(&node_size), "its blocks have {node_size} bytes");
        let (root, chunk_root) = (bytes.u64(80)?, bytes.u64(88)?);
        let mut volume = Self { file, extent, node_size, chunks: BTreeMap::new(), data: Vec::new(), root, chunk_root };
        let (mut at, end) = (SYSTEM_CHUNKS.0, SYSTEM_CHUNKS.0 + bytes.u32(SYSTEM_CHUNKS.1)? as usize);
        while at < end {
            let key = bytes.key(at)?;
            let stripes = usize::from(bytes.u16(at + KEY + 44)?);
            let length = 48 + 32 * stripes;
            volume.chunk(key.offset, Bytes(bytes.at(at + KEY, length)?))?;
            at += KEY + length;
        }
        let mut found = Vec::new();
        volume.items(chunk_root, &mut |key, data| {
            if key.kind == CHUNK_ITEM {
                found.push((key.offset, data.to_vec()));
            }
            Ok(())
        })?;
        for (start, data) in found {
            volume.chunk(start, Bytes(&data))?;
        }
        Ok(volume)
    }

    fn chunk(&mut self, start: u64, item: Bytes<'_>) -> anyhow::Result<()> {
        anyhow::ensure!(item.u64(24)? & STRIPED == 0, "it is spread over several devices");
        let copies = (0..usize::from(item.u16(44)?)).map(|copy| item.u64(48 + 32 * copy + 8));
        let (length, copies) = (item.u64(0)?, copies.collect::<anyhow::Result<Vec<_>>>()?);
        if item.u64(24)? & DATA != 0 {
            self.data.extend(copies.iter().map(|copy| (*copy, copy + length)));
        }
        self.chunks.insert(start, (length, copies));
        Ok(())
    }

    /// Where in the file the copies of what is at a logical address are.
    pub(super) fn places(&self, logical: u64, length: usize) -> anyhow::Result<Vec<u64>> {
        let (start, (size, copies)) =
            self.chunks.range(..=logical).next_back().with_context(|| format!("{logical} is in no chunk"))?;
        let inside = logical - start;
        anyhow::ensure!(inside + length as u64 <= *size, "the address {logical} is in no chunk");
        let place = |copy: &u64| {
            let at = copy + inside;
            anyhow::ensure!(at + length as u64 <= self.extent.length, "the address {logical} is beyond the device");
            Ok(self.extent.start + at)
        };
        copies.iter().map(place).collect()
    }

    /// Reads at a logical address: the first copy, since those of `dup` are alike.
    pub(super) fn read(&self, logical: u64, buffer: &mut [u8]) -> anyhow::Result<()> {
        let places = self.places(logical, buffer.len())?;
        let at = *places.first().with_context(|| format!("there is no copy of the address {logical}"))?;
        self.file.read_exact_at(buffer, at).with_context(|| format!("could not read at the address {logical}"))
    }

    /// Writes a block with its checksum, each copy of it.
    pub(super) fn write_block(&self, logical: u64, block: &mut [u8]) -> anyhow::Result<()> {
        let sum = crc32c::crc32c(&block[32..]);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        for at in self.places(logical, block.len())? {
            self.file.write_all_at(block, at).with_context(|| format!("could not write at the address {logical}"))?;
        }
        Ok(())
    }

    /// Hands out every item of the tree whose root block this is, in order.
    pub(super) fn items(
        &self,
        block: u64,
        each: &mut dyn FnMut(Key, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.blocks(block, 8, &mut |_, node| {
            let bytes = Bytes(node);
            for item in items_of(bytes)? {
                each(item.key, bytes.at(item.at, item.size)?)?;
            }
            Ok(())
        })
    }

    /// Hands out every block of the tree whose root block this is, with its address, each before those below it.
    pub(super) fn blocks(
        &self,
        block: u64,
        levels: u8,
        each: &mut dyn FnMut(u64, &mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut node = vec![0; self.node_size];
        self.read(block, &mut node)?;
        check(&node).with_context(|| format!("the block at {block} is damaged"))?;
        let bytes = Bytes(&node);
        let (count, level) = (bytes.u32(96)? as usize, bytes.u8(100)?);
        anyhow::ensure!(bytes.u64(48)? == block && level < levels, "the block at {block} is of another place");
        let count = if level == 0 { 0 } else { count };
        let below = (0..count).map(|index| bytes.u64(HEADER + POINTER * index + KEY));
        let below = below.collect::<anyhow::Result<Vec<_>>>()?;
        each(block, &mut node)?;
        below.into_iter().try_for_each(|block| self.blocks(block, level, each))
    }
}

/// An item of a leaf: its key, and where in the block its data are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) key: Key,
    /// Where the key stands.
    pub(super) head: usize,
    pub(super) at: usize,
    pub(super) size: usize,
}

/// The items of a block; one that is no leaf has none.
pub(super) fn items_of(block: Bytes<'_>) -> anyhow::Result<Vec<Item>> {
    let count = if block.u8(100)? == 0 { block.u32(96)? as usize } else { 0 };
    let item = |index: usize| {
        let head = HEADER + ITEM_HEAD * index;
        let (at, size) = (block.u32(head + KEY)? as usize, block.u32(head + KEY + 4)? as usize);
        Ok(Item { key: block.key(head)?, head, at: HEADER + at, size })
    };
    (0..count).map(item).collect()
}

/// A block carries the CRC-32C of what follows the 32 bytes of its checksum.
fn check(block: &[u8]) -> anyhow::Result<()> {
    let (is, should) = (crc32c::crc32c(&block[32..]), Bytes(block).u32(0)?);
    anyhow::ensure!(is == should, "its checksum is {is:08x} and should be {should:08x}");
    Ok(())
}
