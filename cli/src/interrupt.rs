//! Ctrl-C, SIGTERM and SIGHUP, so that nothing is left behind.
//!
//! Outside of [`orderly`] work a signal ends the program at once. Inside, the programs that were started are killed, so what
//! waits for them fails, and what computes is told by [`check`]: destructors run, and the exit code is 128 and the signal.
//! A second signal, or [`GRACE`] without an end, ends the program all the same, after [`AtForcedEnd`].

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;

/// How long destructors may take. Those of a build remove a base that is not finished: a second or two.
const GRACE: Duration = Duration::from_secs(10);

/// The signal that came; 0: none.
static CAME: AtomicI32 = AtomicI32::new(0);
/// How many pieces of [`orderly`] work are under way.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
/// What is undone where no destructor will run.
static FORCED: Mutex<Vec<Arc<Undo>>> = Mutex::new(Vec::new());

/// What [`check`] unwinds with.
struct Unwound;

/// Takes the signals over, but those that our caller has us ignore (`nohup`, `&` in a script).
pub(crate) fn watch() -> std::io::Result<()> {
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            let first = CAME.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if !first || UNDER_WAY.load(Ordering::SeqCst) == 0 {
                end(signal);
            }
            kill_children();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                end(signal);
            });
        }
    })?;
    Ok(())
}

/// The mask of ignored signals, bit 0 being signal 1: proc_pid_status(5). What cannot be read ignores none.
fn ignored() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Ends the program where it stands. Programs that it started die with it: each has a parent-death signal.
fn end(signal: i32) -> ! {
    let undo = std::mem::take(&mut *FORCED.lock().unwrap_or_else(PoisonError::into_inner));
    for Undo(action) in undo.iter().rev().map(AsRef::as_ref) {
        action();
    }
    std::process::exit(128 + signal);
}

/// Kills every program that this one has started and not yet waited for. A pidfd makes sure that it is the same one.
fn kill_children() {
    let Ok(processes) = fs_err::read_dir("/proc") else { return };
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for id in ids.filter(|&id| is_child(id)).collect::<Vec<i32>>() {
        let Some(Ok(pidfd)) = Pid::from_raw(id).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { continue };
        if is_child(id) {
            // The one possible error is that it has ended, which is what is wanted.
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}

/// Whether this process is our child: the second field after the name in parentheses, proc_pid_stat(5).
fn is_child(id: i32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
    parent == Some(getpid().as_raw_pid())
}

/// Does work whose destructors must run when a signal comes.
///
/// # Errors
/// [`Failure::Interrupted`] in place of what the work says if a signal came before it was done.
pub(crate) fn orderly<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    UNDER_WAY.fetch_add(1, Ordering::SeqCst);
    let result = catch_unwind(AssertUnwindSafe(work));
    UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
    match (result, came()) {
        (Ok(Err(_)), Some(signal)) => Err(Failure::Interrupted(signal)),
        (Ok(result), _) => result,
        (Err(payload), Some(signal)) if payload.is::<Unwound>() => Err(Failure::Interrupted(signal)),
        (Err(payload), _) => resume_unwind(payload),
    }
}

/// The signal that came, if any has.
pub(crate) fn came() -> Option<i32> {
    Some(CAME.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
}

/// Leaves the [`orderly`] work if a signal came: for callbacks, which cannot return an error.
pub(crate) fn check() {
    if came().is_some() {
        resume_unwind(Box::new(Unwound));
    }
}

/// An action that stands in for a destructor.
struct Undo(Box<dyn Fn() + Send + Sync>);

/// Done if the program is ended by force while this lives.
pub(crate) struct AtForcedEnd(Arc<Undo>);

impl AtForcedEnd {
    /// Keeps `action` ready.
    pub(crate) fn new(action: impl Fn() + Send + Sync + 'static) -> Self {
        let undo = Arc::new(Undo(Box::new(action)));
        FORCED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&undo));
        Self(undo)
    }
}

impl Drop for AtForcedEnd {
    fn drop(&mut self) {
        FORCED.lock().unwrap_or_else(PoisonError::into_inner).retain(|undo| !Arc::ptr_eq(undo, &self.0));
    }
}
