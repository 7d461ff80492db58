//! QEMU's log of a disk's writes, as the `blklogwrites` driver keeps it. The format is that of the kernel's dm-log-writes:
//! a superblock, then per entry a sector that tells of it and the sectors that were written.
//!
//! <https://docs.kernel.org/admin-guide/device-mapper/log-writes.html>

use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fs_err::File;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// Copied at once.
const CHUNK: u64 = 1 << 20;

/// One change of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    /// Where on the disk, in bytes.
    pub(super) at: u64,
    /// How many bytes.
    pub(super) length: u64,
    /// Where its bytes are in the log; `None`: they are discarded.
    pub(super) data: Option<u64>,
}

/// One entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Write(Write),
    Flush,
}

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// While the middle one of the flushes up to now was under way.
    Halfway,
    /// Now.
    Now,
}

/// A log that was read.
#[derive(Debug)]
pub(super) struct Writes(Vec<Entry>);

impl Writes {
    /// Reads a log, without the bytes that were written.
    ///
    /// # Errors
    /// If it is none, or is cut short.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        // QEMU begins it with the first flush that there is something for.
        if length == 0 {
            return Ok(Self(Vec::new()));
        }
        let word = |at: u64| -> Result<u64> {
            let mut bytes = [0; 8];
            file.file().read_exact_at(&mut bytes, at).context("the log of the disk's writes ends early")?;
            Ok(u64::from_le_bytes(bytes))
        };
        ensure!(word(0)? == MAGIC && word(8)? == VERSION, "{} is no log of writes", path.display());
        let (count, sector) = (word(16)?, word(24)? & u64::from(u32::MAX));
        ensure!(sector.is_power_of_two() && sector >= 512, "a log of writes with sectors of {sector} bytes");
        let mut at = sector;
        let mut entries = Vec::new();
        for _ in 0..count {
            let (start, sectors, flags) = (word(at)?, word(at + 8)?, word(at + 16)?);
            at += sector;
            if flags & FLUSH != 0 {
                entries.push(Entry::Flush);
            }
            if sectors > 0 {
                let bytes = sectors * sector;
                let data = (flags & DISCARD == 0).then_some(at);
                entries.push(Entry::Write(Write { at: start * sector, length: bytes, data }));
                at += if data.is_some() { bytes } else { 0 };
            }
            ensure!(at <= length, "the log of the disk's writes is cut short");
        }
        Ok(Self(entries))
    }

    /// What was flushed when the power went, and what was written later. The log ends with QEMU's own flush; `Now` is the last
    /// write before it.
    pub(super) fn at(&self, moment: Moment) -> (Vec<Write>, Vec<Write>) {
        let last_write = self.0.iter().rposition(|entry| matches!(entry, Entry::Write(_))).map_or(0, |at| at + 1);
        let before = &self.0[..last_write];
        let ends: Vec<_> = (0..before.len()).filter(|at| before[*at] == Entry::Flush).collect();
        let before = match moment {
            Moment::Now => before,
            Moment::Halfway => &before[..ends.get(ends.len() / 2).copied().unwrap_or(0)],
        };
        let flushed = before.iter().rposition(|entry| *entry == Entry::Flush).unwrap_or(0);
        let writes = |entries: &[Entry]| {
            let write = |entry: &Entry| match entry {
                Entry::Write(write) => Some(*write),
                Entry::Flush => None,
            };
            entries.iter().filter_map(write).collect()
        };
        (writes(&before[..flushed]), writes(&before[flushed..]))
    }
}

/// Does to the disk what an entry of the log tells.
///
/// # Errors
/// If the log cannot be read or the disk not be written.
pub(super) fn apply(write: &Write, log: &Path, disk: &File) -> Result<()> {
    let log = File::open(log)?;
    let mut buffer = vec![0; usize::try_from(write.length.min(CHUNK)).context("a write of no size")?];
    let mut done = 0;
    while done < write.length {
        let step = usize::try_from((write.length - done).min(CHUNK)).context("a write of no size")?;
        // A discarded stretch reads as zeros: the harshest of what a drive may do.
        if let Some(data) = write.data {
            log.file().read_exact_at(&mut buffer[..step], data + done).context("cannot read the log of writes")?;
        }
        disk.file().write_all_at(&buffer[..step], write.at + done).context("cannot write to the disk")?;
        done += step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A log that QEMU itself writes.
    #[test]
    fn what_was_not_flushed_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        File::create(path("disk")).unwrap().set_len(8 << 20).unwrap();
        File::create(path("log")).unwrap();
        let node = "driver=blklogwrites,file.driver=file,file.filename=disk,log.driver=file,log.filename=log";
        let commands =
            ["write -P 1 0 4k", "write -P 2 1M 8k", "flush", "write -P 3 2M 4k", "discard 1M 4k", "write -z 0 4k"];
        let mut qemu_io = Command::new("qemu-io");
        qemu_io.current_dir(folder.path()).args(["-t", "writeback", "--image-opts", node]);
        for command in commands {
            qemu_io.args(["-c", command]);
        }
        let output = qemu_io.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let writes = Writes::read(&path("log")).unwrap();
        let (flushed, cached) = writes.at(Moment::Now);
        let places = |writes: &[Write]| -> Vec<_> { writes.iter().map(|write| (write.at, write.length)).collect() };
        assert_eq!(places(&flushed), [(0, 4096), (1 << 20, 8192)]);
        assert_eq!(places(&cached), [(2 << 20, 4096), (1 << 20, 4096), (0, 4096)]);
        let (nothing, halfway) = writes.at(Moment::Halfway);
        assert_eq!((places(&nothing), places(&halfway)), (Vec::new(), places(&flushed)));
        assert_eq!(cached.iter().map(|write| write.data.is_some()).collect::<Vec<_>>(), [true, false, true]);

        let again = File::create(path("again")).unwrap();
        again.set_len(8 << 20).unwrap();
        for write in flushed.iter().chain(&cached[1..]) {
            apply(write, &path("log"), &again).unwrap();
        }
        let bytes = fs_err::read(path("again")).unwrap();
        assert!(bytes[..4096].iter().all(|byte| *byte == 0), "the zeros of the last write");
        assert!(bytes[1 << 20..][..4096].iter().all(|byte| *byte == 0), "discarded");
        assert!(bytes[(1 << 20) + 4096..][..4096].iter().all(|byte| *byte == 2), "flushed");
        assert!(bytes[2 << 20..][..4096].iter().all(|byte| *byte == 0), "lost with the power");
    }

    #[test]
    fn what_is_no_log_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs_err::write(&path, [0; 4096]).unwrap();
        let error = Writes::read(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{} is no log of writes", path.display()));
    }
}
