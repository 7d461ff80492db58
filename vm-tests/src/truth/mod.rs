//! The truth lane: an image on a disk of its own, booted as its user would boot it. UEFI reads the boot loader from the disk; no
//! kernel is handed in, no credential enters, no agent answers. What is known of the host is what its networks see, and what
//! its administrator is told over ssh.
//!
//! * [`Installed`]: the disk, a copy of the image, which stays over boots;
//! * [`Machine`]: what it is put into, with firmware that remembers: a disk may move from one to another;
//! * [`Doomed`]: a boot whose power goes, and with it what the drive had not been told to keep;
//! * [`served`]: waiting until every API and sshd answer on their own networks;
//! * [`Ssh`]: the administrator, with the real client;
//! * [`verify`]: the matrix, with probe containers that are started through the APIs.

mod engine;
mod firmware;
mod machine;
mod power;
mod prove;
mod served;
mod ssh;
mod writes;

pub use firmware::preflight;
pub use machine::{Installed, Machine};
pub use power::{Doomed, Lost};
pub use prove::{prove, verify};
pub use served::{Served, api_listens, served};
pub use ssh::{Ssh, admin_key};
pub use writes::Moment;
