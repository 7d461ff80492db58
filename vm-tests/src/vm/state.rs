//! A machine's state in a file: its memory and its devices, by QEMU's `migrate file:` with `mapped-ram` (QEMU 9.0), which
//! leaves out pages of zeros and is read back as fast as the disk gives it.
//!
//! Disks are not part of it: whoever saves a machine keeps its overlay too.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fs_err::os::unix::fs::OpenOptionsExt;
use qapi::qmp;

use super::accel::Pace;
use super::machine::Vm;
use super::spec::VmSpec;
use super::verdict::Verdict;

/// For one answer of the monitor.
const ANSWER: Duration = Duration::from_secs(30);
/// For all of a machine's memory, on the reference machine.
const TRANSFER: Duration = Duration::from_secs(120);

impl Vm {
    /// Stops the machine, writes its state to `file`, mode 0600, and ends it: it goes on in whatever is restored from there.
    /// After that its disk is whole.
    ///
    /// # Errors
    /// If the file is there already or cannot be written, or QEMU cannot save this machine.
    pub fn save(self, file: &Path) -> Result<()> {
        // What is in a host's memory is its keys, too.
        fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        self.qmp().execute(&qmp::stop {}, ANSWER)?;
        transfer(&self, |uri| self.qmp().execute(&migrate(uri), ANSWER).map(drop), file)
            .with_context(|| format!("cannot save the machine to {}", file.display()))?;
        self.qmp().execute(&qmp::quit {}, ANSWER)?;
        let limit = super::Limit { deadline: self.pace().scale(ANSWER), stall: None };
        match self.watch().wait_end("end of the saved machine", limit)? {
            Verdict::Pass => Ok(()),
            verdict => Err(verdict.into()),
        }
    }

    /// Starts a machine of this spec, whose [`VmSpec::incoming`] is set, where another one of the same command line was saved.
    ///
    /// # Errors
    /// If QEMU cannot be started or does not take the state.
    pub fn restore(spec: &VmSpec, pace: Pace, file: &Path) -> Result<Self> {
        if !spec.incoming {
            bail!("a machine that boots takes no state");
        }
        let vm = Self::boot(spec, pace)?;
        let order = |uri| {
            let command = qmp::migrate_incoming { channels: None, exit_on_error: Some(false), uri: Some(uri) };
            vm.qmp().execute(&command, ANSWER).map(drop)
        };
        transfer(&vm, order, file).with_context(|| format!("cannot restore a machine from {}", file.display()))?;
        vm.qmp().execute(&qmp::cont {}, ANSWER)?;
        Ok(vm)
    }
}

fn migrate(uri: String) -> qmp::migrate {
    qmp::migrate { channels: None, detach: None, resume: None, uri: Some(uri) }
}

/// Has a state go one way or the other and waits for its end.
fn transfer(vm: &Vm, order: impl FnOnce(String) -> Result<()>, file: &Path) -> Result<()> {
    let on = |capability| qmp::MigrationCapabilityStatus { capability, state: true };
    let capabilities = vec![on(qmp::MigrationCapability::events), on(qmp::MigrationCapability::mapped_ram)];
    vm.qmp().execute(&qmp::migrate_set_capabilities { capabilities }, ANSWER)?;
    let mut events = vm.qmp().subscribe();
    order(format!("file:{}", file.display()))?;
    loop {
        let event = events.wait_for_event("MIGRATION", vm.pace().scale(TRANSFER))?;
        match event.raw["data"]["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => {
                let why = vm.qmp().execute(&qmp::query_migrate {}, ANSWER)?.error_desc;
                bail!("QEMU says: {}", why.unwrap_or_else(|| vm.process().stderr()));
            }
            // On its way.
            _ => {}
        }
    }
}
