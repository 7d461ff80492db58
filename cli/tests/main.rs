//! The executable as its users meet it: exit codes, what stands on which stream, what is left on the disk.
#![expect(clippy::unwrap_used, reason = "a test's failure is a panic, also in what its steps share")]

mod answers;
mod bed;
mod blame;
mod caches;
mod clients;
mod disks;
mod drafts;
mod endpoint;
mod full;
mod graph;
mod keys;
mod layouts;
mod nixos;
mod ordinary;
mod others;
mod own;
mod sabotage;
mod signals;
mod streams;
mod styles;
