//! Files of the host itself: what it is called, where its data is, its own network and the way in.

pub(super) mod admin;
pub(super) mod files;
pub(super) mod firewall;
pub(super) mod first_boot;
pub(super) mod identity;
pub(super) mod kernels;
pub(super) mod network;
pub(super) mod refusals;
pub(super) mod services;
pub(super) mod storage;
pub(super) mod sysctl;
