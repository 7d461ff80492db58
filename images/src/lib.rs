//! Images: a base made from a recipe, a layout over it, as a disk that boots.
//!
//! * [`step`]: a build as data, [`run`]: the one runner of it;
//! * [`recipe`], [`sources`], [`mod@base`]: the operating system and where it comes from;
//! * [`tree`]: the layout with its secrets filled in;
//! * [`disk`]: partition table, boot loader and root, written and read in process;
//! * [`machine`]: what a build needs of the machine.

pub mod base;
pub mod cache;
pub mod command;
pub mod disk;
pub mod machine;
pub mod progress;
pub mod recipe;
pub mod run;
pub mod sources;
pub mod step;
pub mod tree;

pub use cache::default_cache_dir;
pub use machine::{MachineError, Privilege};
pub use progress::{Event, Progress};
pub use run::{BuildRequest, Built, base, build};
pub use step::{Options, Step, steps};
pub use tree::Secrets;
