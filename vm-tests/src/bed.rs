//! A host in a virtual machine on the fabric: what every VM test and `dmhost verify` start from.
//!
//! The image is booted as it is, through an overlay that goes with the run; only the agent comes in from outside. A host that
//! has booted once is kept as a saved state, and the next run of the same image starts from there.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use camino::Utf8Path;
use dmhost_layout::plan::{DaemonName, HostPlan};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::fabric::{Fabric, PortId};
use crate::guest::{Guest, with_agent, with_login};
use crate::proof::question::Vantage;
use crate::proof::topology::Topology;
use crate::states::{State, States};
use crate::vm::{
    self, Accel, Boot, Card, Console, DiskBus, Leave, Limit, Mac, Nic, PciSlot, Turn, Verdict, Vm, VmSpec, Waiting,
};

/// What the console of a restored machine said before it was saved: a file of the run folder.
const BEFORE: &str = "before.log";
/// For the guest's clock to be set.
const CLOCK: Duration = Duration::from_secs(20);

/// What is to be booted, and how.
#[derive(Debug, Clone)]
pub struct BedRequest<'a> {
    /// The host.
    pub plan: &'a HostPlan,
    /// Its image, which is only read.
    pub image: &'a Utf8Path,
    /// What may execute the guest.
    pub accel: Accel,
    /// Where the choice of acceleration is remembered.
    pub cache_dir: &'a Path,
    /// Where capture and console go; `None`: away with the run.
    pub report: Option<&'a Path>,
}

/// A running host as its networks see it. Dropped, it is gone.
#[derive(Debug)]
pub struct Outside {
    /// The switch.
    pub fabric: Fabric,
    /// Which wire is which.
    pub topology: Topology,
    /// A port that is no NIC's of the host.
    extra: Option<PortId>,
    /// The machine.
    pub vm: Vm,
    // Last: the folder outlives what has files in it.
    run: Run,
    _turn: Turn,
}

/// A running host with an agent inside; all of [`Outside`] is its own too.
#[derive(Debug)]
pub struct Testbed {
    /// The inside.
    pub guest: Guest,
    outside: Outside,
}

impl Deref for Testbed {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

/// The folder of one run. The lock in it is held as long as the run lasts: one that is free tells of a run that was killed.
#[derive(Debug)]
struct Run {
    folder: TempDir,
    _lock: File,
    report: Option<PathBuf>,
}

impl Testbed {
    /// Boots a host to its agent's hello. `waiting` is told while other machines run.
    ///
    /// # Errors
    /// A [`Verdict`] in the chain tells a panic, a stall and a fault of this machine apart; without one, the image or the plan
    /// cannot be booted here.
    pub fn boot(request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Self> {
        start(request, || Wires::lay(request.plan, request.report, request.report, None), waiting)
    }

    /// A host whose boot is done: restored from a saved state if there is one of this image, else booted, saved and restored.
    /// Its clock is set to now.
    ///
    /// # Errors
    /// As [`Testbed::boot`], and if a state can neither be read nor written.
    pub fn settled(request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Self> {
        Self::settled_on(request, || Wires::lay(request.plan, request.report, request.report, None), waiting)
    }

    /// [`Testbed::settled`] on wires that the caller lays.
    pub(crate) fn settled_on(
        request: &BedRequest<'_>,
        lay: impl FnOnce() -> Result<Wires>,
        waiting: Waiting<'_>,
    ) -> Result<Self> {
        let states = States::of(request.cache_dir)?;
        let wires = lay()?;
        let (mut spec, pace) = wires.machine(request)?;
        let key = States::key(&spec, request.image)?;
        spec.incoming = true;
        loop {
            if let Some(state) = states.find(&key, waiting)? {
                return wires.restore(&spec, pace, &state, request.image, waiting);
            }
            keep(request, &states, &key, waiting)?;
        }
    }
}

/// Boots a host, waits for its units and keeps it. One with units that fail is kept too: the proof tells of them.
fn keep(request: &BedRequest<'_>, states: &States, key: &str, waiting: Waiting<'_>) -> Result<()> {
    let making = states.make(key, waiting)?;
    if making.is_there() {
        return Ok(());
    }
    // Frames of a boot prove nothing; its console is worth having.
    let bed = start(request, || Wires::lay(request.plan, request.report, None, None), waiting)?;
    bed.guest.wait_booted(&request.plan.daemons.keys().map(DaemonName::service).collect::<Vec<_>>())?;
    let booted = bed.guest.booted_in().unwrap_or_default();
    let Outside { vm, run, fabric, .. } = bed.outside;
    vm.save(&making.memory())?;
    drop(fabric);
    making.done(run.folder.path(), booted)?;
    states.trim()
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

/// A host's wires, laid out, with no machine on them yet.
#[derive(Debug)]
pub(crate) struct Wires {
    fabric: Fabric,
    topology: Topology,
    extra: Option<PortId>,
    run: Run,
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
        let capture = capture.unwrap_or(run.folder.path()).join("capture.pcapng");
        let mut builder = Fabric::builder(run.folder.path(), capture);
        let topology = Topology::lay(plan, &mut builder)?;
        let extra = match extra {
            Some((name, on)) => Some(builder.guest_access(name, topology.segment(on)?)),
            None => None,
        };
        Ok(Self { fabric: builder.start()?, topology, extra, run })
    }

    /// The machine of a request, with its NICs on these wires and the agent.
    fn machine(&self, request: &BedRequest<'_>) -> Result<(VmSpec, vm::Pace)> {
        let (mut spec, pace) = machine(request, self.run.folder.path())?;
        with_agent(&mut spec, request.plan.host.base)?;
        plug(&mut spec, &self.topology, &self.fabric)?;
        Ok((spec, pace))
    }

    fn boot(self, request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Testbed> {
        let (spec, pace) = self.machine(request)?;
        let turn = Turn::take(waiting)?;
        let _leave = Leave::take(waiting)?;
        let outside = self.with(Vm::boot(&spec, pace)?, turn);
        let guest = Guest::attach(&outside.vm)
            .map_err(|error| if outside.vm.watch().first_line().is_none() { error.context(Mute) } else { error })?;
        Ok(Testbed { guest, outside })
    }

    fn restore(
        self,
        spec: &VmSpec,
        pace: vm::Pace,
        state: &State,
        image: &Utf8Path,
        waiting: Waiting<'_>,
    ) -> Result<Testbed> {
        let turn = Turn::take(waiting)?;
        state.unpack(&spec.run_dir, image)?;
        fs_err::write(spec.run_dir.join(BEFORE), state.console()?)?;
        let vm = Vm::restore(spec, pace, &state.memory())?;
        let outside = self.with(vm, turn);
        let guest = Guest::attach_running(&outside.vm, state.booted())?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock says before 1970")?;
        guest.must(&format!("date --set=@{}.{:09} >/dev/null", now.as_secs(), now.subsec_nanos()), CLOCK)?;
        Ok(Testbed { guest, outside })
    }

    fn with(self, vm: Vm, turn: Turn) -> Outside {
        let Self { fabric, topology, extra, run } = self;
        Outside { fabric, topology, extra, vm, run, _turn: turn }
    }
}

impl Outside {
    /// Lays the host's wires out and starts the machine that `spec` makes of the run folder; its NICs are plugged here.
    ///
    /// # Errors
    /// As [`Testbed::boot`].
    pub(crate) fn boot(
        plan: &HostPlan,
        report: Option<&Path>,
        waiting: Waiting<'_>,
        spec: impl FnOnce(&Path) -> Result<(VmSpec, vm::Pace)>,
    ) -> Result<Self> {
        let wires = Wires::lay(plan, report, report, None)?;
        let (mut spec, pace) = spec(wires.run.folder.path())?;
        plug(&mut spec, &wires.topology, &wires.fabric)?;
        let turn = Turn::take(waiting)?;
        Ok(wires.with(Vm::boot(&spec, pace)?, turn))
    }

    /// The socket of the further port.
    pub(crate) fn extra_socket(&self) -> Option<&Path> {
        self.fabric.socket_path(self.extra?)
    }

    /// The folder of this run.
    pub(crate) fn run_dir(&self) -> &Path {
        self.run.folder.path()
    }

    /// What the console has said so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.run.console()).into_owned()
    }

    /// The capture of all frames; whole after [`Fabric::report`].
    pub fn capture(&self) -> &Path {
        self.fabric.capture()
    }

    /// A deadline written for the reference machine, as a moment on this one.
    pub fn deadline(&self, reference: Duration) -> Instant {
        Instant::now() + self.vm.pace().scale(reference)
    }

    /// What has ended the machine, if anything has.
    ///
    /// # Errors
    /// The panic, stall or fault that ended it.
    pub fn alive(&self) -> Result<()> {
        self.vm.watch().ended().map_or(Ok(()), |verdict| Err(verdict.into()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // The console helps whoever reads the report, above all of a boot that failed; a report without it is still one.
        if let Some(report) = &self.report {
            let _ = fs_err::write(report.join("console.log"), self.console());
        }
    }
}

impl Run {
    fn new(report: Option<&Path>) -> Result<Self> {
        // Unix sockets are made in it, and their paths have at most 107 bytes: so not below a long TMPDIR.
        let (folder, lock) = take_folder(Path::new("/tmp"))?;
        if let Some(report) = report {
            fs_err::create_dir_all(report)?;
        }
        Ok(Self { folder, _lock: lock, report: report.map(Path::to_owned) })
    }

    /// What the console has said, before the machine was saved and since.
    fn console(&self) -> Vec<u8> {
        let said = |name: &str| fs_err::read(self.folder.path().join(name)).unwrap_or_default();
        [said(BEFORE), said("console.log")].concat()
    }
}

const PREFIX: &str = "dmhost-";
const LOCK: &str = "lock";

/// Makes a folder for a run in `parent`, and removes those that killed runs of the same user left there.
fn take_folder(parent: &Path) -> Result<(TempDir, File)> {
    let (mine, list) = (rustix::process::geteuid().as_raw(), || format!("cannot list {}", parent.display()));
    for entry in fs_err::read_dir(parent).with_context(list)? {
        let folder = entry.with_context(list)?.path();
        let ours = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()))
            // Not through a link: anybody can make one in /tmp.
            && folder.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == mine);
        // A folder without a lock is one of this moment, or nobody's that is known here.
        let lock = ours.then(|| File::options().write(true).open(folder.join(LOCK)).ok()).flatten();
        if lock.is_some_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            // Another run may be at it too; what neither can remove is there for the next.
            let _ = fs_err::remove_dir_all(&folder);
        }
    }
    let make = || format!("cannot make a folder in {}", parent.display());
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).with_context(make)?;
    // It gets its name when it is held: no other run finds it free.
    let aside = folder.path().join("lock.new");
    let lock = File::create_new(&aside).with_context(make)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).with_context(make)?;
    fs_err::rename(&aside, folder.path().join(LOCK))?;
    Ok((folder, lock))
}

/// The machine without NICs and credentials: kernel and initramfs as the image's boot entry names them.
fn machine(request: &BedRequest<'_>, run_dir: &Path) -> Result<(VmSpec, vm::Pace)> {
    let image = request.image;
    let disk = dmhost_images::disk::open(image).with_context(|| format!("{image} is no image of dmhost's"))?;
    let entry = disk.boot().with_context(|| format!("the boot entry of {image} cannot be read"))?;
    let (kernel, initrd) = (run_dir.join("kernel"), run_dir.join("initrd"));
    fs_err::write(&kernel, entry.kernel)?;
    fs_err::write(&initrd, entry.initrd)?;
    let (engine, pace) = vm::probe(request.accel, &kernel, Some(request.cache_dir))?;
    let spec = VmSpec {
        boot: Boot::Kernel { kernel, initrd: Some(initrd), cmdline: entry.command_line },
        disk: Some(vm::overlay(run_dir, image.as_std_path(), None)?),
        memory: memory(request.plan),
        cpus: 2,
        nics: Vec::new(),
        run_dir: run_dir.to_owned(),
        engine,
        credentials: Vec::new(),
        console: Console::Watched,
        incoming: false,
    };
    Ok((spec, pace))
}

/// Memory for a host, in MiB: each dockerd with its containerd takes about 120 MiB, and containers come on top.
pub(crate) fn memory(plan: &HostPlan) -> u32 {
    let daemons = u32::try_from(plan.daemons.len()).unwrap_or(u32::MAX);
    1024 + 256 * daemons.max(2)
}

/// Every NIC of the host, each on its port of the fabric, a card of the same kind as the disk's.
fn plug(spec: &mut VmSpec, topology: &Topology, fabric: &Fabric) -> Result<()> {
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

/// Boots a host on the caller's terminal, logged in, on a fabric where nobody else is; returns when it is off.
///
/// # Errors
/// As [`Testbed::boot`], and if the machine did not end by itself.
pub fn run_on_terminal(request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<()> {
    let outside = Outside::boot(request.plan, request.report, waiting, |run_dir| {
        let (mut spec, pace) = machine(request, run_dir)?;
        spec.console = Console::Terminal;
        with_login(&mut spec, request.plan.host.base)?;
        Ok((spec, pace))
    })?;
    // As long as the user likes.
    let forever = Limit { deadline: Duration::from_secs(u64::from(u32::MAX)), stall: None };
    match outside.vm.watch().wait_end("end of the session", forever) {
        Ok(Verdict::Pass) => Ok(()),
        Ok(verdict) | Err(verdict) => Err(verdict.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_and_what_is_in_use_stays() -> Result<()> {
        let parent = tempfile::tempdir()?;
        let (running, lock) = take_folder(parent.path())?;
        for (name, file) in [("dmhost-dead", "lock"), ("dmhost-young", "disk"), ("others", "lock")] {
            fs_err::create_dir(parent.path().join(name))?;
            fs_err::write(parent.path().join(name).join(file), "")?;
        }
        std::os::unix::fs::symlink(parent.path().join("others"), parent.path().join("dmhost-link"))?;
        let (next, _lock) = take_folder(parent.path())?;
        let there = |name: &str| parent.path().join(name).exists();
        assert_eq!(["dmhost-dead", "dmhost-young", "dmhost-link", "others/lock"].map(there), [false, true, true, true]);
        assert!(running.path().exists() && next.path().exists());
        drop(lock);
        drop(take_folder(parent.path())?);
        assert!(!running.path().exists() && next.path().exists());
        Ok(())
    }
}
