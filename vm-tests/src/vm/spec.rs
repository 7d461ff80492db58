//! What a virtual machine is made of, as data. [`super::argv`] turns it into a command line.

use std::fmt;
use std::path::PathBuf;

use super::accel::Engine;

/// A virtual machine: everything its command line depends on.
#[derive(Debug, Clone)]
pub struct VmSpec {
    /// What runs first.
    pub boot: Boot,
    /// The disk.
    pub disk: Option<Disk>,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of virtual processors.
    pub cpus: u8,
    /// Network interfaces, in the order of their root ports.
    pub nics: Vec<Nic>,
    /// An existing folder of this run alone: QEMU works in it, its sockets and logs are made in it. Short, since a unix
    /// socket's path has at most 107 bytes (`unix(7)`).
    pub run_dir: PathBuf,
    /// What executes the guest's instructions.
    pub engine: Engine,
    /// systemd credentials that enter by SMBIOS; see `systemd.system-credentials(7)`.
    pub credentials: Vec<Credential>,
    /// Where the serial console goes.
    pub console: Console,
    /// Starts with `-incoming defer` for a saved state instead of booting.
    pub incoming: bool,
}

/// What runs first in a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A kernel that QEMU loads by itself, with a port for the harness's agent beside it.
    Kernel {
        /// The kernel (a `bzImage`).
        kernel: PathBuf,
        /// Its initial RAM disk.
        initrd: Option<PathBuf>,
        /// Kernel arguments of the caller, for example `root=/dev/vda`; those for console and panic are added.
        cmdline: String,
    },
    /// The firmware, which looks for a boot loader on the disk as it would on a machine of metal. Nothing else enters.
    Firmware {
        /// UEFI's code, which is only read.
        code: PathBuf,
        /// Its variables, which are written to: the machine's own.
        variables: PathBuf,
    },
    /// The firmware of before UEFI: it runs the disk's first sector. What it shows goes to the serial console.
    Bios,
}

/// A disk image that QEMU may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The file: absolute, or relative to the run folder.
    pub path: PathBuf,
    /// Its format; never guessed by QEMU.
    pub format: DiskFormat,
    /// What it is attached to.
    pub bus: DiskBus,
    /// A file that every write and flush is logged to, as dm-log-writes does.
    pub writes: Option<PathBuf>,
}

/// What a disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskBus {
    /// A `virtio-blk-pci` card: `/dev/vda`.
    Virtio,
    /// An NVMe drive, as servers have it: `/dev/nvme0n1`.
    Nvme,
    /// The chipset's SATA ports, as older servers have it: `/dev/sda`.
    Ahci,
}

/// The format of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// Plain bytes.
    Raw,
    /// QEMU's own, here an overlay over a raw image.
    Qcow2,
}

/// A network interface: a card behind a root port of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The unix socket of the switch; QEMU connects to it, again and again until it is there.
    pub socket: PathBuf,
    /// The card's address.
    pub mac: Mac,
    /// What card it is.
    pub card: Card,
    /// Where its root port sits.
    pub port: PciSlot,
}

/// A model of network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// `virtio-net-pci`.
    Virtio,
    /// Intel's 82574, a card of metal.
    E1000e,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|byte| format!("{byte:02x}")).join(":"))
    }
}

/// A place on the root bus `pcie.0`. Free for root ports: devices 0x08 to 0x1e; QEMU's chipset and the harness's own
/// cards have the others. Function 0 of a device must be in use for the others of it to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PciSlot {
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl PciSlot {
    /// The root port of the `index`th card, counted from 0: eight functions per device from 0x08 on.
    /// A card's bus number in the guest is then `index + 1` (`0000:01:00.0` for the first).
    ///
    /// # Panics
    /// From 184 cards on: the root bus is full.
    pub fn nth(index: usize) -> Self {
        assert!(index < 184, "no more than 184 network cards fit on the root bus, not {}", index + 1);
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        Self { device: 0x08 + index / 8, function: index % 8 }
    }
}

impl fmt::Display for PciSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x}.{}", self.device, self.function)
    }
}

/// A systemd credential, by its name and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// For example `systemd.extra-unit.dmhost-agent.service`.
    pub name: String,
    /// Any bytes.
    pub value: Vec<u8>,
}

impl Credential {
    /// A credential of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Where the serial console goes. In both cases all of it is in `console.log` of the run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Read by the harness and judged line by line.
    Watched,
    /// The caller's terminal, for `dmhost run`; Ctrl-a x ends the machine.
    Terminal,
}
