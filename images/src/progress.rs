//! What a build tells while it runs.

use std::time::Duration;

use camino::Utf8Path;

use crate::step::Step;
use crate::store::Pruned;

/// Something happened in a build.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step begins.
    Started {
        /// Its place, from 0.
        index: usize,
        /// How many there are.
        count: usize,
        /// The step.
        step: &'a Step,
    },
    /// A program said a line.
    Line(&'a str),
    /// Another build has what this one needs; it goes on when that is done.
    Waiting {
        /// The lock that the other holds.
        path: &'a Utf8Path,
    },
    /// Something in the cache is not as it was put there, and is made anew.
    Damaged {
        /// What.
        what: &'a str,
    },
    /// Part of a copy is done.
    Bytes {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Part of what comes from the archive is there. A listener must not unwind from this one: what apt is doing ends by an
    /// error alone.
    Fetched {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
    /// The cache was larger than it may be.
    Pruned {
        /// What was removed.
        pruned: &'a Pruned,
        /// How many bytes it may take.
        limit: u64,
    },
    /// A step is done.
    Finished {
        /// Its place, from 0.
        index: usize,
        /// The step.
        step: &'a Step,
        /// How long it took.
        took: Duration,
        /// The cache had it: nothing was done.
        cached: bool,
        /// How many bytes it fetched, wrote or read; `None`: that is not what it does.
        bytes: Option<u64>,
    },
}

/// Who listens to a build. Every `FnMut(Event)` does.
pub trait Progress {
    /// Takes an event.
    fn event(&mut self, event: Event<'_>);
}

impl<F: FnMut(Event<'_>)> Progress for F {
    fn event(&mut self, event: Event<'_>) {
        self(event);
    }
}
