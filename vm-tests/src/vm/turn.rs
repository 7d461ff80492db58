//! Turns: how many machines run side by side on this computer, in whatever processes. A turn is a lock on a file, so it goes
//! with whoever holds it, however that ends.
//!
//! Each machine has two virtual processors, so there is a turn for each two processors and for the memory that is there.
//! Beside the turns there is one leave to boot: under emulation two kernels that boot at once starve each other's timers.

use anyhow::{Context, Result};
use camino::Utf8PathBuf;
use dmhost_images::cache::Exclusive;
use dmhost_images::progress::Event;

use super::accel::cache_dir;

/// What a machine may take, in MiB, as long as nothing else is known of it.
const MEMORY: u64 = 2048;

/// Told when there is something to wait for.
pub type Waiting<'a> = &'a mut dyn FnMut(&str);

/// One machine's turn; given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: Exclusive,
}

/// Leave to boot; given back when dropped.
#[derive(Debug)]
pub struct Leave {
    _lock: Exclusive,
}

impl Turn {
    /// Waits for a turn.
    ///
    /// # Errors
    /// If there can be no locks in the cache, or the wait is ended from outside.
    pub fn take(waiting: Waiting<'_>) -> Result<Self> {
        let folder = folder()?;
        let count = count(std::thread::available_parallelism().map_or(1, std::num::NonZero::get), available()?);
        let places: Vec<_> = (0..count).map(|place| folder.join(format!("{place}.lock"))).collect();
        for place in &places {
            if let Some(lock) = Exclusive::try_take(place)? {
                return Ok(Self { _lock: lock });
            }
        }
        // Whoever waits does so at one place: those who wait spread over all.
        let place = &places[std::process::id() as usize % count];
        Ok(Self { _lock: Exclusive::wait(place, &mut told("another machine runs: waiting for its end", waiting))? })
    }
}

impl Leave {
    /// Waits until no other machine boots.
    ///
    /// # Errors
    /// As [`Turn::take`].
    pub fn take(waiting: Waiting<'_>) -> Result<Self> {
        let lock = folder()?.join("boot.lock");
        Ok(Self { _lock: Exclusive::wait(&lock, &mut told("another machine boots: waiting for it", waiting))? })
    }
}

fn told<'a>(text: &'a str, waiting: Waiting<'a>) -> impl FnMut(Event<'_>) + 'a {
    move |event| {
        if let Event::Waiting { .. } = event {
            waiting(text);
        }
    }
}

/// One folder for all runs of this user, whatever cache they have.
fn folder() -> Result<Utf8PathBuf> {
    let folder = Utf8PathBuf::try_from(cache_dir()?.join("turns")).context("the cache's path is not UTF-8")?;
    fs_err::create_dir_all(&folder)?;
    Ok(folder)
}

/// How many machines fit, at least one.
fn count(processors: usize, available: u64) -> usize {
    let fitting = usize::try_from(available / MEMORY).unwrap_or(usize::MAX);
    (processors / 2).min(fitting).max(1)
}

/// Memory that programs could have, in MiB: `MemAvailable` of proc_meminfo(5).
fn available() -> Result<u64> {
    let text = fs_err::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kibibytes.context("/proc/meminfo has no MemAvailable")? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processors_and_two_gibibytes_for_each() {
        assert_eq!(count(2, 20_000), 1);
        assert_eq!(count(16, 20_000), 8);
        assert_eq!(count(16, 5_000), 2);
        assert_eq!(count(1, 100), 1);
    }
}
