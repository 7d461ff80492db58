//! The proof: virtual machines, the fabric between them, and who can reach what.

pub mod bed;
pub mod costs;
pub mod fabric;
pub mod guest;
pub mod lab;
pub mod mutants;
pub mod proof;
mod raised;
mod states;
pub mod truth;
pub mod vm;
