//! A host in a virtual machine on the fabric: what every VM test and `dmhost verify` start from.
//!
//! The image is booted as it is, through an overlay that goes with the run; only the agent comes in from outside. A host that
//! has booted once is kept as a saved state, and the next run of the same image starts from there.
//!
//! * `wires`: the host's wires, and the machine that is plugged into them; `run`: the folder of one run;
//! * `settled`: hosts from saved states; [`capsule`]: a host whose proof is red, kept as it was.

pub mod capsule;
mod run;
mod settled;
mod wires;

use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use camino::Utf8Path;
use dmhost_images::{BuildRequest, Event};
use dmhost_layout::plan::HostPlan;
use dmhost_layout::{CredentialId, Layout};
use dmhost_pki::Pki;

use self::run::Run;
pub(crate) use self::wires::{Wires, bare, start};
use self::wires::{machine, plug};
use crate::fabric::{Fabric, PortId};
use crate::guest::{Guest, with_login};
use crate::proof::routers::Routers;
use crate::proof::topology::Topology;
use crate::states;
use crate::vm::{self, Accel, Console, Limit, Turn, Verdict, Vm, VmSpec, Waiting};

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
    _routers: Routers,
    /// The machine.
    pub vm: Vm,
    /// What it is, for whoever restores it: see [`crate::states::machine`].
    machine: String,
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

impl Testbed {
    /// Boots a host to its agent's hello. `waiting` is told while other machines run.
    ///
    /// # Errors
    /// A [`Verdict`] in the chain tells a panic, a stall and a fault of this machine apart; without one, the image or the plan
    /// cannot be booted here.
    pub fn boot(request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Self> {
        start(request, || Wires::lay(request.plan, request.report, request.report, None), waiting)
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
        let (mut spec, pace) = spec(wires.run.path())?;
        plug(&mut spec, &wires.topology, &wires.fabric)?;
        let turn = Turn::take(waiting)?;
        let machine = states::machine(&spec)?;
        Ok(wires.with(Vm::boot(&spec, pace)?, machine, turn))
    }

    /// The socket of the further port.
    pub(crate) fn extra_socket(&self) -> Option<&Path> {
        self.fabric.socket_path(self.extra?)
    }

    /// The folder of this run.
    pub(crate) fn run_dir(&self) -> &Path {
        self.run.path()
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

/// Builds the image of a layout with these keys, over one that is there.
///
/// # Errors
/// As [`dmhost_images::build`].
pub fn image_of(plan: &HostPlan, layout: &Layout, pki: &Pki, out: &Utf8Path) -> Result<()> {
    let secrets = |id: &CredentialId| pki.credential(id);
    let request = BuildRequest { force: true, ..BuildRequest::new(plan, layout, &secrets, out) };
    dmhost_images::build(&request, &mut |_: Event<'_>| {})?;
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
    until_off(&outside)
}

/// As long as the user likes.
fn until_off(outside: &Outside) -> Result<()> {
    let forever = Limit { deadline: Duration::from_secs(u64::from(u32::MAX)), stall: None };
    match outside.vm.watch().wait_end("end of the session", forever) {
        Ok(Verdict::Pass) => Ok(()),
        Ok(verdict) | Err(verdict) => Err(verdict.into()),
    }
}
