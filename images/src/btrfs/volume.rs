//! The volume: superblock, chunks, and trees of checksummed blocks.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use anyhow::Context;

use super::{Bytes, KEY, Key};
use crate::disk::Extent;

const SUPERBLOCK: u64 = 0x1_0000;
const MAGIC: &[u8] = b"_BHRfS_M";
/// Where the superblock's first chunks stand, and how many bytes there are of them.
const SYSTEM_CHUNKS: (usize, usize) = (811, 160);
const CHUNK_ITEM: u8 = 228;
const HEADER: usize = 101;
/// RAID0, RAID1, RAID10, RAID5, RAID6 and RAID1C3, C4: what one device cannot have.
const STRIPED: u64 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10;

/// A btrfs in a stretch of a file.
#[derive(Debug)]
pub(super) struct Volume<'a> {
    file: &'a std::fs::File,
    extent: Extent,
    node_size: usize,
    /// Logical start to length and place on the device.
    chunks: BTreeMap<u64, (u64, u64)>,
    /// The block of the tree of trees.
    pub(super) root: u64,
}

impl<'a> Volume<'a> {
    /// Reads superblock and chunks.
    pub(super) fn open(file: &'a std::fs::File, extent: Extent) -> anyhow::Result<Self> {
        let mut superblock = [0; 4096];
        file.read_exact_at(&mut superblock, extent.start + SUPERBLOCK).context("could not read the superblock")?;
        let bytes = Bytes(&superblock);
        anyhow::ensure!(bytes.at(64, 8)? == MAGIC, "there is no btrfs");
        anyhow::ensure!(bytes.u16(196)? == 0, "its checksums are not CRC-32C");
        check(&superblock).context("the superblock is damaged")?;
        let node_size = bytes.u32(148)? as usize;
        anyhow::ensure!((4096..=65536).contains(&node_size), "its blocks have {node_size} bytes");
        let mut volume = Self { file, extent, node_size, chunks: BTreeMap::new(), root: bytes.u64(80)? };
        let (mut at, end) = (SYSTEM_CHUNKS.0, SYSTEM_CHUNKS.0 + bytes.u32(SYSTEM_CHUNKS.1)? as usize);
        while at < end {
            let key = bytes.key(at)?;
            let stripes = usize::from(bytes.u16(at + KEY + 44)?);
            let length = 48 + 32 * stripes;
            volume.chunk(key.offset, Bytes(bytes.at(at + KEY, length)?))?;
            at += KEY + length;
        }
        let mut found = Vec::new();
        volume.items(bytes.u64(88)?, &mut |key, data| {
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
        // The copies of `dup` are alike; the first is read.
        self.chunks.insert(start, (item.u64(0)?, item.u64(48 + 8)?));
        Ok(())
    }

    /// Reads at a logical address.
    pub(super) fn read(&self, logical: u64, buffer: &mut [u8]) -> anyhow::Result<()> {
        let place = || {
            let (start, (length, physical)) = self.chunks.range(..=logical).next_back()?;
            let inside = logical - start;
            (inside + buffer.len() as u64 <= *length).then(|| physical + inside)
        };
        let at = place().with_context(|| format!("the address {logical} is in no chunk"))?;
        anyhow::ensure!(at + buffer.len() as u64 <= self.extent.length, "the address {logical} is beyond the device");
        self.file
            .read_exact_at(buffer, self.extent.start + at)
            .with_context(|| format!("could not read at the address {logical}"))
    }

    /// Hands out every item of the tree whose root block this is, in order.
    pub(super) fn items(
        &self,
        block: u64,
        each: &mut dyn FnMut(Key, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.below(block, 8, each)
    }

    fn below(
        &self,
        block: u64,
        levels: u8,
        each: &mut dyn FnMut(Key, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut node = vec![0; self.node_size];
        self.read(block, &mut node)?;
        check(&node).with_context(|| format!("the block at {block} is damaged"))?;
        let bytes = Bytes(&node);
        let (count, level) = (bytes.u32(96)? as usize, bytes.u8(100)?);
        anyhow::ensure!(bytes.u64(48)? == block && level < levels, "the block at {block} is of another place");
        for index in 0..count {
            if level == 0 {
                let at = HEADER + 25 * index;
                let (offset, size) = (bytes.u32(at + KEY)? as usize, bytes.u32(at + KEY + 4)? as usize);
                each(bytes.key(at)?, bytes.at(HEADER + offset, size)?)?;
            } else {
                self.below(bytes.u64(HEADER + 33 * index + KEY)?, level, each)?;
            }
        }
        Ok(())
    }
}

/// A block carries the CRC-32C of what follows the 32 bytes of its checksum.
fn check(block: &[u8]) -> anyhow::Result<()> {
    let (is, should) = (crc32c::crc32c(&block[32..]), Bytes(block).u32(0)?);
    anyhow::ensure!(is == should, "its checksum is {is:08x} and should be {should:08x}");
    Ok(())
}
