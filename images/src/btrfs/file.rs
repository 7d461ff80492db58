//! The bytes of a file: its extents, put together and hashed.

use anyhow::Context;
use sha2::{Digest, Sha256};
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::Bytes;
use super::volume::Volume;

const INLINE: u8 = 0;
const PREALLOCATED: u8 = 2;
/// What stands before the data of an inline extent.
const HEAD: usize = 21;

/// A stretch of a file's bytes.
#[derive(Debug, Clone)]
pub(super) struct FileExtent {
    /// Where it stands in the file.
    pub(super) at: u64,
    compressed: bool,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    /// In the tree itself; the length is that of the bytes unpacked.
    Inline { bytes: Vec<u8>, length: u64 },
    /// On the device: `whole` bytes unpacked, of which `length` from `skip` on are the file's.
    Regular { logical: u64, packed: u64, whole: u64, skip: u64, length: u64 },
    /// Nothing, which reads as zeros.
    Hole { length: u64 },
}

impl FileExtent {
    /// Reads an item `EXTENT_DATA`.
    pub(super) fn parse(at: u64, item: Bytes<'_>) -> anyhow::Result<Self> {
        let whole = item.u64(8)?;
        let compressed = match item.u8(16)? {
            0 => false,
            3 => true,
            other => anyhow::bail!("an extent is compressed by method {other}"),
        };
        let data = match item.u8(20)? {
            INLINE => Data::Inline { bytes: item.at(HEAD, item.0.len() - HEAD)?.to_vec(), length: whole },
            kind => {
                let (logical, packed) = (item.u64(HEAD)?, item.u64(HEAD + 8)?);
                let (skip, length) = (item.u64(HEAD + 16)?, item.u64(HEAD + 24)?);
                if kind == PREALLOCATED || logical == 0 {
                    Data::Hole { length }
                } else {
                    Data::Regular { logical, packed, whole, skip, length }
                }
            }
        };
        Ok(Self { at, compressed, data })
    }
}

/// Reads files of one volume, one after the other.
pub(super) struct Reader<'a> {
    volume: &'a Volume<'a>,
    decoder: Decoder<'static>,
    /// An extent as it stands on the device, and unpacked: one after the other has its room here.
    stored: Vec<u8>,
    unpacked: Vec<u8>,
}

/// The most that one extent holds compressed, and more than one without compression is read at a time.
const MOST: u64 = 128 << 20;

impl<'a> Reader<'a> {
    pub(super) fn new(volume: &'a Volume<'a>) -> anyhow::Result<Self> {
        let decoder = Decoder::new().context("could not prepare zstd")?;
        Ok(Self { volume, decoder, stored: Vec::new(), unpacked: Vec::new() })
    }

    /// Hands out the bytes of a file of this size, stretch by stretch.
    pub(super) fn read(
        &mut self,
        size: u64,
        extents: &[FileExtent],
        each: &mut dyn FnMut(&[u8]),
    ) -> anyhow::Result<()> {
        let mut at = 0;
        for extent in extents {
            if extent.at >= size {
                break;
            }
            anyhow::ensure!(extent.at >= at, "two extents of a file are in the same place");
            zeros(extent.at - at, each);
            let room = size - extent.at;
            at = extent.at + self.extent(extent, room, each)?;
        }
        zeros(size - at, each);
        Ok(())
    }

    /// SHA-256 of a file.
    pub(super) fn hash(&mut self, size: u64, extents: &[FileExtent]) -> anyhow::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        self.read(size, extents, &mut |bytes| hash.update(bytes))?;
        Ok(hash.finalize().into())
    }

    fn extent(&mut self, extent: &FileExtent, room: u64, each: &mut dyn FnMut(&[u8])) -> anyhow::Result<u64> {
        let FileExtent { at: _, compressed, data } = extent;
        match data {
            Data::Hole { length } => {
                zeros(room.min(*length), each);
                Ok(room.min(*length))
            }
            Data::Inline { bytes, length } => {
                self.stored.clone_from(bytes);
                let bytes = Bytes(self.whole(*compressed, *length)?).at(0, usize::try_from(room.min(*length))?)?;
                each(bytes);
                Ok(bytes.len() as u64)
            }
            Data::Regular { logical, packed, whole, skip, length } => {
                anyhow::ensure!(*packed <= MOST && *whole <= MOST, "an extent has {packed} bytes");
                self.stored.resize(usize::try_from(*packed)?, 0);
                self.volume.read(*logical, &mut self.stored)?;
                let whole = Bytes(self.whole(*compressed, *whole)?);
                let bytes = whole.at(usize::try_from(*skip)?, usize::try_from(room.min(*length))?)?;
                each(bytes);
                Ok(bytes.len() as u64)
            }
        }
    }

    /// What is stored, unpacked: one zstd frame; what follows it up to the sector's end is padding.
    fn whole(&mut self, compressed: bool, length: u64) -> anyhow::Result<&[u8]> {
        if !compressed {
            return Ok(&self.stored);
        }
        anyhow::ensure!(length <= MOST, "an extent has {length} bytes");
        self.decoder.reinit().context("could not prepare zstd")?;
        self.unpacked.resize(usize::try_from(length)?, 0);
        let mut from = InBuffer::around(&self.stored[..]);
        let mut into = OutBuffer::around(&mut self.unpacked[..]);
        loop {
            let before = (from.pos(), into.pos());
            let left = self.decoder.run(&mut from, &mut into).context("an extent is no zstd")?;
            if left == 0 || before == (from.pos(), into.pos()) {
                break;
            }
        }
        // What the frame leaves out of the last sector reads as zeros.
        let end = into.pos();
        self.unpacked[end..].fill(0);
        Ok(&self.unpacked)
    }
}

fn zeros(count: u64, each: &mut dyn FnMut(&[u8])) {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut left = count;
    while left > 0 {
        let some = left.min(ZEROS.len() as u64);
        // At most 64 KiB.
        each(&ZEROS[..usize::try_from(some).unwrap_or(ZEROS.len())]);
        left -= some;
    }
}
