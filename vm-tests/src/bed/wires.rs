//! The host's wires on the fabric, and the machine that is plugged into them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use camino::Utf8Path;
use dmhost_layout::plan::HostPlan;

use super::run::Run;
use super::{BedRequest, Outside, Testbed};
use crate::fabric::{Fabric, PortId};
use crate::guest::{Guest, with_agent};
use crate::proof::question::Vantage;
use crate::proof::routers::Routers;
use crate::proof::topology::Topology;
use crate::states::{self, Saved, State};
use crate::vm::{
    self, Boot, Card, Console, Disk, DiskBus, Engine, Leave, Mac, Nic, PciSlot, Turn, Vm, VmSpec, Waiting,
};

/// For the guest's clock to be set.
const CLOCK: Duration = Duration::from_secs(20);

/// A host's wires, laid out, with no machine on them yet.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(super) fabric: Fabric,
    pub(super) topology: Topology,
    extra: Option<PortId>,
    routers: Routers,
    pub(super) run: Run,
}

impl Wires {
    /// Lays them out, with a further port of this name on the network of a vantage; console and capture are kept in these
    /// folders.
    pub(crate) fn lay(
        plan: &HostPlan,
        console: Option<&Path>,
        capture: Option<&Path>,
        extra: Option<(&str, &Vantage)>,
    ) -> Result<Self> {
        let run = Run::new(console)?;
        let capture = capture.unwrap_or(run.path()).join("capture.pcapng");
        let mut builder = Fabric::builder(run.path(), capture);
        let topology = Topology::lay(plan, &mut builder)?;
        let extra = match extra {
            Some((name, on)) => Some(builder.guest_access(name, topology.segment(on)?)),
            None => None,
        };
        let fabric = builder.start()?;
        let routers = Routers::play(plan, &fabric, &topology)?;
        Ok(Self { fabric, topology, extra, routers, run })
    }

    /// The machine of a request, with its NICs on these wires and the agent.
    pub(super) fn machine(&self, request: &BedRequest<'_>) -> Result<(VmSpec, vm::Pace)> {
        let (mut spec, pace) = machine(request, self.run.path())?;
        with_agent(&mut spec, request.plan.host.base)?;
        plug(&mut spec, &self.topology, &self.fabric)?;
        Ok((spec, pace))
    }

    pub(super) fn boot(self, request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Testbed> {
        let (spec, pace) = self.machine(request)?;
        let turn = Turn::take(waiting)?;
        let _leave = Leave::take(waiting)?;
        let machine = states::machine(&spec)?;
        let outside = self.with(Vm::boot(&spec, pace)?, machine, turn);
        let guest = Guest::attach(&outside.vm)
            .map_err(|error| if outside.vm.watch().first_line().is_none() { error.context(Mute) } else { error })?;
        Ok(Testbed { guest, outside })
    }

    pub(super) fn restore(
        self,
        spec: &VmSpec,
        pace: vm::Pace,
        state: &State,
        image: &Utf8Path,
        waiting: Waiting<'_>,
    ) -> Result<Testbed> {
        let bed = self.resume(spec, pace, state.saved(), image, state.booted(), waiting)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock says before 1970")?;
        bed.guest.must(&format!("date --set=@{}.{:09} >/dev/null", now.as_secs(), now.subsec_nanos()), CLOCK)?;
        Ok(bed)
    }

    /// A machine as it was saved, its clock too.
    pub(super) fn resume(
        self,
        spec: &VmSpec,
        pace: vm::Pace,
        saved: &Saved,
        image: &Utf8Path,
        booted: Duration,
        waiting: Waiting<'_>,
    ) -> Result<Testbed> {
        let turn = Turn::take(waiting)?;
        saved.unpack(&spec.run_dir, image)?;
        self.run.continues(&saved.console()?)?;
        let vm = Vm::restore(spec, pace, &saved.memory())?;
        let outside = self.with(vm, states::machine(spec)?, turn);
        let guest = Guest::attach_running(&outside.vm, booted)?;
        Ok(Testbed { guest, outside })
    }

    pub(super) fn with(self, vm: Vm, machine: String, turn: Turn) -> Outside {
        let Self { fabric, topology, extra, routers, run } = self;
        Outside { fabric, topology, extra, _routers: routers, vm, machine, run, _turn: turn }
    }
}

/// A guest that has not said one word.
#[derive(Debug)]
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the guest has not said one word")
    }
}

impl std::error::Error for Mute {}

/// Boots a host on wires that `lay` lays. Under emulation a kernel may hang at its very first instructions, before it has said a
/// word of the image that it is from: such a machine is started anew once, and `waiting` is told. Whatever has spoken is judged
/// by what it says.
pub(crate) fn start(
    request: &BedRequest<'_>,
    lay: impl Fn() -> Result<Wires>,
    waiting: Waiting<'_>,
) -> Result<Testbed> {
    match lay()?.boot(request, waiting) {
        Err(error) if error.is::<Mute>() => {
            waiting(&format!("{error:#}: it is started anew"));
            lay()?.boot(request, waiting)
        }
        other => other,
    }
}

/// The machine without NICs and credentials: kernel and initramfs as the image's boot entry names them.
pub(super) fn machine(request: &BedRequest<'_>, run_dir: &Path) -> Result<(VmSpec, vm::Pace)> {
    let image = request.image;
    let disk = dmhost_images::disk::open(image).with_context(|| format!("{image} is no image of dmhost's"))?;
    let entry = disk.boot().with_context(|| format!("the boot entry of {image} cannot be read"))?;
    let (kernel, initrd) = (run_dir.join("kernel"), run_dir.join("initrd"));
    fs_err::write(&kernel, entry.kernel)?;
    fs_err::write(&initrd, entry.initrd)?;
    let (engine, pace) = vm::probe(request.accel, &kernel, Some(request.cache_dir))?;
    let boot = Boot::Kernel { kernel, initrd: Some(initrd), cmdline: entry.command_line };
    let disk = vm::overlay(run_dir, image.as_std_path(), None)?;
    Ok((bare(request.plan, run_dir, boot, disk, engine), pace))
}

/// A machine for a host, without NICs and credentials.
pub(crate) fn bare(plan: &HostPlan, run_dir: &Path, boot: Boot, disk: Disk, engine: Engine) -> VmSpec {
    VmSpec {
        boot,
        disk: Some(disk),
        memory: memory(plan),
        cpus: 2,
        nics: Vec::new(),
        run_dir: run_dir.to_owned(),
        engine,
        credentials: Vec::new(),
        console: Console::Watched,
        incoming: false,
    }
}

/// Memory for a host, in MiB: each dockerd with its containerd takes about 120 MiB, and containers come on top.
fn memory(plan: &HostPlan) -> u32 {
    let daemons = u32::try_from(plan.daemons.len()).unwrap_or(u32::MAX);
    1024 + 256 * daemons.max(2)
}

/// Every NIC of the host, each on its port of the fabric, a card of the same kind as the disk's.
pub(super) fn plug(spec: &mut VmSpec, topology: &Topology, fabric: &Fabric) -> Result<()> {
    let card = match spec.disk.as_ref().map(|disk| disk.bus) {
        Some(DiskBus::Nvme | DiskBus::Ahci) => Card::E1000e,
        Some(DiskBus::Virtio) | None => Card::Virtio,
    };
    for (index, nic) in topology.nics.iter().enumerate() {
        let socket = fabric.socket_path(nic.port).with_context(|| format!("{} has no socket", nic.name))?;
        let (socket, mac) = (socket.to_owned(), Mac(nic.mac.octets()));
        spec.nics.push(Nic { socket, mac, card, port: PciSlot::nth(index) });
    }
    Ok(())
}
