//! Virtual machines in QEMU: what one is made of ([`VmSpec`]), its command line ([`argv`]), the process and its
//! console ([`Vm`]), its monitor ([`Qmp`]) and how a run ended ([`Verdict`]).
//!
//! Every socket is made here and QEMU connects to it: nothing is waited for by polling, and paths on the command line
//! are relative to the run folder, so that equal machines have equal command lines.

mod accel;
mod argv;
mod console;
mod machine;
mod overlay;
mod process;
mod qmp;
mod spec;
mod state;
mod turn;
mod verdict;
mod watch;

pub(crate) use accel::qemu_version;
pub use accel::{Accel, Engine, Pace, cache_dir, probe};
pub use argv::argv;
pub use console::{Finding, Pattern, Severity, patterns};
pub use machine::Vm;
pub use overlay::overlay;
pub use process::{Process, accept};
pub use qmp::{Event, Events, Qmp};
pub use spec::{Boot, Card, Console, Credential, Disk, DiskBus, DiskFormat, Mac, Nic, PciSlot, VmSpec};
pub use turn::{Leave, Turn, Waiting};
pub use verdict::Verdict;
pub use watch::{Limit, Watch};

/// The QEMU that machines run in, looked up in `PATH`.
pub const QEMU: &str = "qemu-system-x86_64";
