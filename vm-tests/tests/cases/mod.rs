//! What is shown of a running host.

pub(crate) mod blast;
pub(crate) mod budget;
pub(crate) mod lab;
pub(crate) mod matrix;
pub(crate) mod mutants;
pub(crate) mod networks;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod truth;
pub(crate) mod vm;
pub(crate) mod watch;
