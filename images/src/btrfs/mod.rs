//! btrfs, read in process and without a mount: what an image holds, told by other code than the one that wrote it.
//!
//! One device and its copies (`single`, `dup`), zstd or nothing, as `mkfs.btrfs` is told to write here. The format:
//! <https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html>.

mod file;
mod fs_tree;
mod settle;
mod volume;

pub(crate) use fs_tree::{each_file, read};
pub(crate) use settle::settle;

use anyhow::Context;

/// Numbers as they stand in a structure on disk: little endian, at an offset.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn at(self, offset: usize, length: usize) -> anyhow::Result<&'a [u8]> {
        let end = offset.checked_add(length).context("a length on the disk is absurd")?;
        self.0.get(offset..end).context("a structure on the disk ends too early")
    }

    fn u8(self, offset: usize) -> anyhow::Result<u8> {
        Ok(self.at(offset, 1)?[0])
    }

    fn u16(self, offset: usize) -> anyhow::Result<u16> {
        Ok(u16::from_le_bytes(self.at(offset, 2)?.try_into()?))
    }

    fn u32(self, offset: usize) -> anyhow::Result<u32> {
        Ok(u32::from_le_bytes(self.at(offset, 4)?.try_into()?))
    }

    fn u64(self, offset: usize) -> anyhow::Result<u64> {
        Ok(u64::from_le_bytes(self.at(offset, 8)?.try_into()?))
    }

    fn key(self, offset: usize) -> anyhow::Result<Key> {
        Ok(Key { object: self.u64(offset)?, kind: self.u8(offset + 8)?, offset: self.u64(offset + 9)? })
    }
}

/// The address of an item in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    object: u64,
    kind: u8,
    offset: u64,
}

const KEY: usize = 17;
/// An item's kind: a tree's root.
const ROOT_ITEM: u8 = 132;
/// An item's kind: an inode.
const INODE_ITEM: u8 = 1;
