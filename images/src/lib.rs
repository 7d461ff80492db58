//! Images: a base made from a recipe, a layout over it, as a disk that boots.
//!
//! * [`request`]: what is asked for, [`step`]: a build as data, [`run`]: the one runner of it, `image`: what it does itself;
//! * [`recipe`], [`sources`], [`mod@base`]: the operating system and where it comes from; `vendor`: an engine of its own
//!   archive;
//! * [`pins`], [`mod@resolve`]: which packages, by version and hash;
//! * [`tree`]: the layout with its secrets filled in;
//! * [`disk`]: partition table, boot loader and root, written and read in process;
//! * [`mod@format`]: raw or qcow2;
//! * [`machine`]: what a build needs of the machine.

mod archive;
pub mod base;
mod btrfs;
pub mod cache;
pub mod command;
pub mod contents;
pub mod disk;
pub mod format;
pub mod identity;
mod image;
mod install;
pub mod machine;
mod manifest;
mod meant;
mod openpgp;
mod packages;
pub mod pins;
pub mod progress;
pub mod recipe;
pub mod report;
pub mod request;
pub mod resolve;
mod room;
pub mod run;
mod scratch;
pub mod sources;
pub mod step;
pub mod store;
pub mod tree;
mod vendor;
#[cfg(test)]
mod vendor_tests;

pub use cache::default_cache_dir;
pub use format::Format;
pub use machine::{MachineError, Privilege};
pub use pins::{LockFile, LockMode, Pins};
pub use progress::{Event, Progress};
pub use request::{BuildRequest, Built};
pub use resolve::{Origin, Resolution};
pub use run::{base, build};
pub use sources::Mirror;
pub use step::{Options, Step, steps};
pub use tree::Secrets;
