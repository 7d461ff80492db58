//! A running virtual machine: QEMU, its console under watch, its monitor, and the agent's line to be taken.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::accel::Pace;
use super::argv::{AGENT_SOCKET, CONSOLE_SOCKET, QMP_SOCKET, argv};
use super::process::{Process, accept, stderr_of};
use super::spec::{Boot, Console, VmSpec};
use super::verdict::Verdict;
use super::watch::Watch;
use super::{QEMU, console, qmp::Qmp};

/// QEMU itself needs this long at most before it connects and greets, on a crowded machine.
const START: Duration = Duration::from_secs(30);

/// A virtual machine that has been started. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Vm {
    watch: Watch,
    qmp: Qmp,
    agent: Mutex<Option<UnixStream>>,
    pace: Pace,
    started: Instant,
    process: Process,
}

impl Vm {
    /// Starts the machine and returns as soon as its monitor answers; the guest's firmware is about to run then.
    ///
    /// # Errors
    /// If QEMU cannot be started or ends at once, with what it said.
    pub fn boot(spec: &VmSpec, pace: Pace) -> anyhow::Result<Self> {
        let listen = |name: &str| {
            let path = spec.run_dir.join(name);
            UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))
        };
        let (monitor, agent, serial) = (listen(QMP_SOCKET)?, listen(AGENT_SOCKET)?, listen(CONSOLE_SOCKET)?);
        let watch = Watch::default();
        let links = Arc::new(OnceLock::<Qmp>::new());
        let (console_done, console_end) = std::sync::mpsc::channel::<()>();
        let on_exit = {
            let (watch, links, run_dir) = (watch.clone(), Arc::clone(&links), spec.run_dir.clone());
            move |status: std::io::Result<std::process::ExitStatus>| {
                // The last lines of the console say more than the exit status: they are taken in first.
                let _ = console_end.recv();
                watch.end(ending(status, links.get(), &run_dir));
            }
        };
        let terminal = spec.console == Console::Terminal;
        let started = Instant::now();
        let process = Process::spawn(QEMU, &argv(spec), &spec.run_dir, terminal, on_exit)?;
        // Declared after the process and so dropped before it: its end waits for the console's.
        let console_done = console_done;
        if terminal {
            drop(console_done);
        } else {
            let (serial, watch) = (accept(&serial, &process, START)?, watch.clone());
            std::thread::spawn(move || {
                console::follow(serial, &watch);
                drop(console_done);
            });
        }
        let agent = Mutex::new(match &spec.boot {
            Boot::Kernel { .. } => Some(accept(&agent, &process, START)?),
            Boot::Firmware { .. } | Boot::Bios => None,
        });
        let qmp = Qmp::start(accept(&monitor, &process, START)?, START)
            .with_context(|| format!("QEMU starts, but says on its standard error: {:?}", process.stderr()))?;
        let _ = links.set(qmp.clone());
        Ok(Self { watch, qmp, agent, pace, started, process })
    }

    /// What is known of the machine, and the place to wait.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The monitor.
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// The process, for its id and its standard error.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How slow the guest is, as the probe measured it; [`crate::guest::Guest::pace`] knows this very boot.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The line to the guest's agent; given out once.
    pub(crate) fn take_agent(&self) -> Option<UnixStream> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the end of QEMU means when the console has not said it already.
fn ending(status: std::io::Result<std::process::ExitStatus>, qmp: Option<&Qmp>, run_dir: &Path) -> Verdict {
    let panicked = qmp.is_some_and(|qmp| qmp.events().take().iter().any(|event| event.name == "GUEST_PANICKED"));
    match status {
        _ if panicked => Verdict::Panic("the guest's pvpanic device tells of a panic".to_owned()),
        Ok(status) if status.success() => Verdict::Pass,
        Ok(status) => Verdict::Infrastructure(format!("QEMU ended with {status}: {}", stderr_of(run_dir))),
        Err(error) => Verdict::Infrastructure(format!("QEMU cannot be waited for: {error}")),
    }
}
