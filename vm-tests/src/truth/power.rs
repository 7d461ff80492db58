//! The power goes. A drive has a volatile cache: what the host did not tell it to flush may be lost, and what is not lost need not
//! be the oldest. So a doomed boot writes to an overlay, QEMU logs each write and flush, and after the cut the disk gets what was
//! flushed, and of what came later every second write.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qapi::qmp;

use super::machine::Installed;
use super::writes::{Moment, Writes, apply};
use crate::bed::Outside;
use crate::vm::{self, Disk, DiskFormat, Limit};

/// Until QEMU has ended, on the reference machine.
const END: Duration = Duration::from_secs(60);

/// A running host whose power will go.
#[derive(Debug)]
pub struct Doomed<'a> {
    outside: Outside,
    disk: &'a Installed,
    cache: PathBuf,
    log: PathBuf,
}

/// What a cut did to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Writes and discards that had been flushed.
    pub kept: usize,
    /// Later ones that reached the disk all the same.
    pub strays: usize,
    /// Later ones that did not.
    pub lost: usize,
}

impl<'a> Doomed<'a> {
    /// Boots with what `start` makes of the drive's cache and the log of its writes.
    pub(super) fn boot(disk: &'a Installed, start: impl FnOnce(Disk, PathBuf) -> Result<Outside>) -> Result<Self> {
        ensure!(disk.format() == DiskFormat::Raw, "a log of writes is played back to a raw disk");
        let overlay = vm::overlay(disk.folder(), disk.path(), None)?;
        let (cache, log) = (disk.folder().join(&overlay.path), disk.folder().join("writes.log"));
        fs_err::File::create(&log)?;
        let outside = start(Disk { path: cache.clone(), ..overlay }, log.clone())?;
        Ok(Self { outside, disk, cache, log })
    }

    /// The host, while it runs.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }

    /// Cuts the power: the machine is gone at once, by QMP's `quit`, and the disk is as a drive without power leaves it, now or as
    /// if it had gone earlier.
    ///
    /// # Errors
    /// If QEMU does not end, or its log cannot be read or played back.
    pub fn cut(self, moment: Moment) -> Result<Lost> {
        let Self { outside, disk, cache, log } = self;
        outside.vm.qmp().execute(&qmp::quit {}, END).context("QEMU does not take `quit`")?;
        let limit = Limit { deadline: outside.vm.pace().scale(END), stall: None };
        let verdict = outside.vm.watch().wait_end("the power cut", limit)?;
        ensure!(verdict == vm::Verdict::Pass, "the power cut: {verdict}");
        drop(outside);
        let writes = Writes::read(&log)?;
        let to = fs_err::OpenOptions::new().write(true).open(disk.path())?;
        let (flushed, cached) = writes.at(moment);
        let strays: Vec<_> = cached.iter().skip(1).step_by(2).collect();
        for write in flushed.iter().chain(strays.iter().copied()) {
            apply(write, &log, &to)?;
        }
        fs_err::remove_file(cache)?;
        fs_err::remove_file(log)?;
        Ok(Lost { kept: flushed.len(), strays: strays.len(), lost: cached.len() - strays.len() })
    }
}
