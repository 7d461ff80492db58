//! Trials of acceleration that a signal cut short. The QEMU of such a trial was killed by us, which says nothing of the
//! machine, and the verdict is kept for good: so it is taken back.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::interrupt;

/// The trials known when a run began. Dropped after a signal, it removes those that were added.
#[derive(Debug)]
pub(super) struct Trials {
    folder: Utf8PathBuf,
    known: BTreeSet<Utf8PathBuf>,
}

impl Trials {
    /// The trials in this cache.
    pub(super) fn of(cache: &Utf8Path) -> Self {
        let folder = cache.join("accel");
        Self { known: list(&folder), folder }
    }
}

impl Drop for Trials {
    fn drop(&mut self) {
        if interrupt::came().is_some() {
            for added in list(&self.folder).difference(&self.known) {
                // It is gone, or the next run believes it: there is nobody to tell.
                let _ = fs_err::remove_file(added);
            }
        }
    }
}

/// A folder that is not there has none.
fn list(folder: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.into_path())).collect()
}
