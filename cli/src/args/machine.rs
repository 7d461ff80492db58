//! What boots an image: `verify`, `run`, `lab`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use dmhost_layout::plan::InterfaceName;

use super::{Cache, EngineKey, Limit, Spec, path};

/// How a virtual machine is run.
#[derive(Debug, Args)]
pub(crate) struct Machine {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// An image that `dmhost build` made; without it, one is built
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image: Option<Utf8PathBuf>,
    /// Acceleration: `auto` boots a kernel once to see what works here
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    #[command(flatten)]
    pub(crate) engine: EngineKey,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

/// How QEMU runs the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// What a kernel was seen to boot on.
    Auto,
    /// Hardware virtualisation.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// `dmhost verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Boot the image even if its booted state is in the cache
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Folder for the capture (pcapng), the console and the report
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) report: Option<Utf8PathBuf>,
    /// Not every TCP port, but those in use and 1,000 random ones; no hostile frames
    #[arg(long)]
    pub(crate) quick: bool,
    /// Boot the disk by UEFI as on a machine of its own: no kernel is handed in, no agent answers, the network alone judges
    #[arg(long)]
    pub(crate) truth: bool,
    /// Folder for a capsule, made if something is not as planned: the machine as it is then, for `dmhost open`
    #[arg(long, value_name = "DIR", value_parser = path(), conflicts_with = "truth")]
    pub(crate) keep: Option<Utf8PathBuf>,
}

/// `dmhost open`.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// A folder that `dmhost verify --keep` made
    #[arg(value_name = "CAPSULE", value_parser = path())]
    pub(crate) capsule: Utf8PathBuf,
    /// Acceleration: that of the run that made it
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    #[command(flatten)]
    pub(crate) cache: Cache,
}

/// `dmhost run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `dmhost lab`.
#[derive(Debug, Args)]
pub(crate) struct Lab {
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Which network: `vlan:INTERFACE`, or `trunk:INTERFACE` for the untagged side of a trunk
    #[arg(long, value_name = "VANTAGE")]
    pub(crate) on: Standing,
    /// Whose client certificate of the daemon
    #[arg(long = "as", value_name = "CLIENT", default_value = dmhost_pki::DEFAULT_CLIENT)]
    pub(crate) who: String,
    /// Boot the image even if its booted state is in the cache
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Folder for the capture (pcapng) and the console
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) report: Option<Utf8PathBuf>,
    /// The program and its words; without it, $SHELL
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

/// Where somebody can stand on a host's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Vlan(InterfaceName),
    Trunk(InterfaceName),
}

impl std::str::FromStr for Standing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network of a host: `vlan:INTERFACE` or `trunk:INTERFACE`");
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let name = name.parse().map_err(|_| wrong())?;
        match kind {
            "vlan" => Ok(Self::Vlan(name)),
            "trunk" => Ok(Self::Trunk(name)),
            _ => Err(wrong()),
        }
    }
}
