//! A host in a virtual machine on the fabric: what every VM test and `dmhost verify` start from.
//!
//! The image is booted as it is, through an overlay that goes with the run; only the agent comes in from outside.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::Utf8Path;
use dmhost_layout::plan::HostPlan;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::fabric::Fabric;
use crate::guest::{Guest, with_agent, with_login};
use crate::proof::topology::Topology;
use crate::vm::{self, Accel, Boot, Card, Console, DiskBus, Limit, Mac, Nic, PciSlot, Verdict, Vm, VmSpec};

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
    /// The machine.
    pub vm: Vm,
    // Last: the folder outlives what has files in it.
    run: Run,
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
    /// Boots a host to its agent's hello.
    ///
    /// # Errors
    /// A [`Verdict`] in the chain tells a panic, a stall and a fault of this machine apart; without one, the image or the plan
    /// cannot be booted here.
    pub fn boot(request: &BedRequest<'_>) -> Result<Self> {
        let outside = Outside::boot(request.plan, request.report, |run_dir| {
            let (mut spec, pace) = machine(request, run_dir)?;
            with_agent(&mut spec, request.plan.host.base)?;
            Ok((spec, pace))
        })?;
        let guest = Guest::attach(&outside.vm)?;
        Ok(Self { guest, outside })
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
        spec: impl FnOnce(&Path) -> Result<(VmSpec, vm::Pace)>,
    ) -> Result<Self> {
        let run = Run::new(report)?;
        let mut builder = Fabric::builder(run.folder.path(), run.place("capture.pcapng"));
        let topology = Topology::lay(plan, &mut builder)?;
        let fabric = builder.start()?;
        let (mut spec, pace) = spec(run.folder.path())?;
        plug(&mut spec, &topology, &fabric)?;
        let vm = Vm::boot(&spec, pace)?;
        Ok(Self { fabric, topology, vm, run })
    }

    /// What the console has said so far.
    pub fn console(&self) -> String {
        let text = fs_err::read(self.run.folder.path().join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
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
            let _ = fs_err::copy(self.folder.path().join("console.log"), report.join("console.log"));
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

    /// Where a file of the report is written.
    fn place(&self, name: &str) -> PathBuf {
        self.report.as_deref().unwrap_or(self.folder.path()).join(name)
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
pub fn run_on_terminal(request: &BedRequest<'_>) -> Result<()> {
    let outside = Outside::boot(request.plan, request.report, |run_dir| {
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
