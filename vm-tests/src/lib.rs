//! The proof: virtual machines, the fabric between them, and who can reach what.

pub mod fabric;
pub mod guest;
pub mod vm;
