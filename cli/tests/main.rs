//! The executable as its users meet it: exit codes, what stands on which stream, what is left on the disk.
#![expect(clippy::unwrap_used, reason = "a test's failure is a panic, also in what its steps share")]

mod answers;
mod archive;
mod bed;
mod blame;
mod caches;
mod capsules;
mod clients;
mod debian13;
mod disks;
mod drafts;
mod endpoint;
mod full;
mod graph;
mod keys;
mod layouts;
mod mirrors;
mod missing;
mod nixos;
mod ordinary;
mod others;
mod own;
mod places;
mod progress;
mod sabotage;
mod signals;
mod streams;
mod styles;
