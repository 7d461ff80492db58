//! Hosts whose boot is done, from saved states.

use anyhow::Result;
use dmhost_layout::plan::DaemonName;

use super::{BedRequest, Outside, Testbed, Wires, start};
use crate::states::States;
use crate::vm::Waiting;

impl Testbed {
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
        restored(request, "", lay, waiting, |waiting| {
            // Frames of a boot prove nothing; its console is worth having.
            let bed = start(request, || Wires::lay(request.plan, request.report, None, None), waiting)?;
            bed.guest.wait_booted(&request.plan.daemons.keys().map(DaemonName::service).collect::<Vec<_>>())?;
            Ok(bed)
        })
    }

    /// [`Testbed::settled`] of a host that something more was done to, which is saved with it. `what` names it.
    ///
    /// # Errors
    /// As [`Testbed::settled`], and those of `more`.
    pub fn settled_with(
        request: &BedRequest<'_>,
        what: &str,
        more: impl Fn(&Self) -> Result<()>,
        waiting: Waiting<'_>,
    ) -> Result<Self> {
        let lay = || Wires::lay(request.plan, request.report, request.report, None);
        restored(request, what, lay, waiting, |waiting| {
            let bed = Self::settled_on(request, || Wires::lay(request.plan, None, None, None), waiting)?;
            more(&bed)?;
            Ok(bed)
        })
    }
}

/// Restores a host whose state is there, and has it made and saved first if it is not.
fn restored(
    request: &BedRequest<'_>,
    what: &str,
    lay: impl FnOnce() -> Result<Wires>,
    waiting: Waiting<'_>,
    make: impl Fn(Waiting<'_>) -> Result<Testbed>,
) -> Result<Testbed> {
    let states = States::of(request.cache_dir)?;
    let wires = lay()?;
    let (mut spec, pace) = wires.machine(request)?;
    let key = States::key(&spec, request.image, what)?;
    spec.incoming = true;
    loop {
        if let Some(state) = states.find(&key, waiting)? {
            return wires.restore(&spec, pace, &state, request.image, waiting);
        }
        keep(&states, &key, waiting, &make)?;
    }
}

/// Makes a host and keeps it. One with units that fail is kept too: the proof tells of them.
fn keep(states: &States, key: &str, waiting: Waiting<'_>, make: impl Fn(Waiting<'_>) -> Result<Testbed>) -> Result<()> {
    let making = states.make(key, waiting)?;
    if making.is_there() {
        return Ok(());
    }
    let bed = make(waiting)?;
    let booted = bed.guest.booted_in().unwrap_or_default();
    let Outside { vm, run, fabric, .. } = bed.outside;
    vm.save(&making.memory())?;
    drop(fabric);
    making.done(run.path(), &run.console(), booted)?;
    states.trim()
}
