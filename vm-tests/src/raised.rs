//! A flag that tells a thread beside this one that the work is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises the flag when it goes, by whatever way: a panic must not leave the other thread waiting.
#[derive(Debug)]
pub(crate) struct Raised<'a>(pub(crate) &'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
