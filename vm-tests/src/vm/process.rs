//! QEMU as a process: it dies with us, also by SIGKILL, it is reaped, and what it said is kept.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use fs_err::File;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::verdict::Verdict;

/// Its standard error goes to this file of the run folder.
const STDERR_LOG: &str = "stderr.log";

/// A running program. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
    id: u32,
    run_dir: PathBuf,
    reaper: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `program` in `run_dir`, where its standard error is kept. With `terminal` it has our standard input and
    /// output, else none. `on_exit` is called once, in a thread of its own, after the program has been reaped.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn spawn(
        program: &str,
        args: &[String],
        run_dir: &Path,
        terminal: bool,
        on_exit: impl FnOnce(std::io::Result<ExitStatus>) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let stderr = File::create(run_dir.join(STDERR_LOG)).context("the run folder cannot be written to")?;
        let stdio = || if terminal { Stdio::inherit() } else { Stdio::null() };
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(args).current_dir(run_dir);
        command.stdin(stdio()).stdout(stdio()).stderr(stderr.into_parts().0);
        let mut child = spawn_from_one_thread(command)
            .map_err(|error| Verdict::Infrastructure(format!("setpriv (Debian: util-linux) cannot be run: {error}")))?;
        let id = child.id();
        let pidfd = match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(anyhow!(error).context("this kernel has no pidfd_open (Linux 5.3)"));
            }
        };
        let reaper = std::thread::spawn(move || on_exit(child.wait()));
        Ok(Self { pidfd, id, run_dir: run_dir.to_owned(), reaper: Some(reaper) })
    }

    /// The process id, of use as long as the program runs.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the program wrote to its standard error so far.
    pub fn stderr(&self) -> String {
        stderr_of(&self.run_dir)
    }

    /// Kills it; its `on_exit` follows.
    pub fn kill(&self) {
        // The one possible error is that it has ended already, which is what is wanted.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(reaper) = self.reaper.take() {
            let _ = reaper.join();
        }
    }
}

/// The standard error kept in a run folder.
pub(crate) fn stderr_of(run_dir: &Path) -> String {
    fs_err::read(run_dir.join(STDERR_LOG))
        .map(|text| String::from_utf8_lossy(&text).trim().to_owned())
        .unwrap_or_default()
}

/// Accepts the connection that `process` makes to `listener`.
///
/// # Errors
/// If the process ends first (with its standard error) or the deadline passes.
pub fn accept(listener: &UnixListener, process: &Process, deadline: Duration) -> anyhow::Result<UnixStream> {
    let until = Instant::now() + deadline;
    loop {
        let left =
            Timespec::try_from(until.saturating_duration_since(Instant::now())).context("the deadline is absurd")?;
        let mut fds =
            [PollFd::new(listener, PollFlags::IN), PollFd::from_borrowed_fd(process.pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&left)) {
            Ok(0) => {
                let text =
                    format!("QEMU has not connected within {:.1} s: {}", deadline.as_secs_f64(), process.stderr());
                return Err(Verdict::Infrastructure(text).into());
            }
            Ok(_) if !fds[0].revents().is_empty() => {
                return Ok(listener.accept().context("cannot accept QEMU's connection")?.0);
            }
            Ok(_) => return Err(Verdict::Infrastructure(format!("QEMU ended at once: {}", process.stderr())).into()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(anyhow!(error).context("cannot wait for QEMU's connection")),
        }
    }
}

/// The parent-death signal is sent when the *thread* that forked ends (`prctl(2)`), so all children come from one
/// thread that never does.
fn spawn_from_one_thread(command: Command) -> std::io::Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let gone = || std::io::Error::other("the spawning thread has ended");
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> (tempfile::TempDir, Process, mpsc::Receiver<ExitStatus>) {
        let dir = tempfile::tempdir().unwrap();
        let (sender, exits) = mpsc::channel();
        let args = ["-c".to_owned(), script.to_owned()];
        let process = Process::spawn("sh", &args, dir.path(), false, move |status| {
            sender.send(status.unwrap()).unwrap();
        });
        (dir, process.unwrap(), exits)
    }

    #[test]
    fn its_end_and_its_standard_error_are_seen() {
        let (_dir, process, exits) = run("echo ouch >&2; exit 3");
        assert_eq!(exits.recv_timeout(Duration::from_secs(60)).unwrap().code(), Some(3));
        assert_eq!(process.stderr(), "ouch");
    }

    #[test]
    fn dropping_it_kills_and_reaps_it() {
        let (_dir, process, exits) = run("exec sleep 1000");
        let id = process.id();
        drop(process);
        assert_eq!(exits.try_recv().unwrap().code(), None, "it must have been killed and reaped by the end of drop");
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn it_outlives_the_thread_that_asked_for_it() {
        let (_dir, process, exits) = std::thread::spawn(|| run("exec sleep 1000")).join().unwrap();
        assert!(exits.recv_timeout(Duration::from_millis(300)).is_err(), "it died with the asking thread");
        drop(process);
    }

    #[test]
    fn a_program_that_ends_is_no_connection() {
        let (dir, process, _exits) = run("echo bad option >&2; exit 1");
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let error = accept(&listener, &process, Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.to_string(), "infrastructure: QEMU ended at once: bad option");
    }
}
