//! The schema of a spec and the page of its keys: checked in as they are made, true to the reader, and every example good.

mod blocks;
mod checked_in;
mod examples;
mod files;
mod reader;
mod tables;

use std::path::{Path, PathBuf};

/// A file or folder of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
