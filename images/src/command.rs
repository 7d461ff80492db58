//! External programs: an argv as data, and the one place that runs it.
//!
//! What a program says is handed on line by line while it runs; its last lines are in the error if it fails.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;

use crate::machine::{MachineError, Privilege, search_path};

/// A program and its arguments, and whether it needs rights over files of every owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The whole argv.
    pub argv: Vec<String>,
}

impl Command {
    /// A command that mounts and makes files of every owner.
    pub fn privileged<S: Into<String>>(privilege: Privilege, argv: impl IntoIterator<Item = S>) -> Self {
        let mut whole = privilege.enter();
        whole.extend(argv.into_iter().map(Into::into));
        Self { argv: whole }
    }

    /// A command that needs nothing and is killed when this program's thread ends.
    pub fn mortal<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        let before = ["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned);
        Self { argv: before.into_iter().chain(argv.into_iter().map(Into::into)).collect() }
    }

    /// A command that needs nothing.
    pub fn plain<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect() }
    }

    /// Starts it, without input and without a word from it.
    ///
    /// # Errors
    /// If it cannot be started; waiting fails if it fails.
    pub(crate) fn start(&self) -> anyhow::Result<duct::Handle> {
        let command = duct::cmd(&self.argv[0], &self.argv[1..]).env("PATH", search_path());
        command.stdin_null().stdout_null().stderr_null().start().with_context(|| format!("could not start {self}"))
    }

    /// Runs it and has `work` read what it writes.
    ///
    /// # Errors
    /// If it cannot be started or fails, or `work` does.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&mut dyn Read) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let command = duct::cmd(&self.argv[0], &self.argv[1..]).env("PATH", search_path()).env("LC_ALL", "C.UTF-8");
        let running = command.stdin_null().reader().with_context(|| format!("could not start {self}"))?;
        let mut stream = BufReader::with_capacity(1 << 18, &running);
        let done = work(&mut stream)?;
        // The rest is read, since the program fails if it cannot write it; its failure is this read's.
        std::io::copy(&mut stream, &mut std::io::sink()).with_context(|| format!("{self} failed"))?;
        Ok(done)
    }

    /// Runs it to its end with these bytes as its input.
    ///
    /// # Errors
    /// If it cannot be started or fails: its argv and the last lines it wrote. A [`MachineError`] is in the chain if
    /// those say that the disk is full or the archive not reachable.
    pub fn run(&self, input: Vec<u8>, mut line: impl FnMut(&str)) -> anyhow::Result<()> {
        self.run_metered(input, None, |said| match said {
            Said::Line(text) => line(text),
            Said::Tick => {}
        })
    }

    /// The same, with this file as its standard output: what it says is what it says on standard error.
    ///
    /// # Errors
    /// As [`Command::run`].
    pub(crate) fn run_into(&self, input: Vec<u8>, output: File, mut line: impl FnMut(&str)) -> anyhow::Result<()> {
        self.hear(&self.expression(input).stdout_file(output), None, |said| match said {
            Said::Line(text) => line(text),
            Said::Tick => {}
        })
    }

    /// The same as [`Command::run`], with a [`Said::Tick`] each `every`, at which something can be measured.
    ///
    /// # Errors
    /// As [`Command::run`].
    pub(crate) fn run_metered(
        &self,
        input: Vec<u8>,
        every: Option<Duration>,
        hear: impl FnMut(Said<'_>),
    ) -> anyhow::Result<()> {
        self.hear(&self.expression(input), every, hear)
    }

    fn expression(&self, input: Vec<u8>) -> duct::Expression {
        let command = duct::cmd(&self.argv[0], &self.argv[1..]).env("PATH", search_path()).env("LC_ALL", "C.UTF-8");
        command.stdin_bytes(input)
    }

    fn hear(
        &self,
        expression: &duct::Expression,
        every: Option<Duration>,
        mut hear: impl FnMut(Said<'_>),
    ) -> anyhow::Result<()> {
        const KEPT: usize = 20;
        let running =
            expression.stderr_to_stdout().unchecked().reader().with_context(|| format!("could not start {self}"))?;
        let mut last = VecDeque::new();
        // Told by the first line that says so: what follows it may be a screen of consequences.
        let mut cause = None;
        let mut take = |read: std::io::Result<Vec<u8>>, hear: &mut dyn FnMut(Said<'_>)| -> anyhow::Result<()> {
            let read = read.with_context(|| format!("could not read what {self} says"))?;
            let text = String::from_utf8_lossy(&read).trim_end().to_owned();
            hear(Said::Line(&text));
            if cause.is_none() {
                cause = machine_error(&self.argv, &text);
            }
            last.push_back(text);
            if last.len() > KEPT {
                last.pop_front();
            }
            Ok(())
        };
        match every {
            None => {
                for read in BufReader::new(&running).split(b'\n') {
                    take(read, &mut hear)?;
                }
            }
            Some(every) => std::thread::scope(|scope| -> anyhow::Result<()> {
                let (send, lines) = channel();
                let running = &running;
                scope.spawn(move || {
                    for read in BufReader::new(running).split(b'\n') {
                        // Nobody listens any more: the rest is read all the same, or the program would stand still.
                        let _ = send.send(read);
                    }
                });
                loop {
                    match lines.recv_timeout(every) {
                        Ok(read) => take(read, &mut hear)?,
                        Err(RecvTimeoutError::Timeout) => hear(Said::Tick),
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            })?,
        }
        let status = match running.try_wait().with_context(|| format!("could not wait for {self}"))? {
            Some(output) => output.status,
            None => anyhow::bail!("{self} closed its output and goes on"),
        };
        if status.success() {
            return Ok(());
        }
        let last = Vec::from(last).join("\n");
        let failure = anyhow::anyhow!("{self}\nfailed with {status}; its last words:\n{last}");
        Err(match cause {
            Some(cause) => failure.context(cause),
            None => failure,
        })
    }
}

/// What comes from a program while it runs.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A line of its output.
    Line(&'a str),
    /// Some time without one.
    Tick,
}

/// Full disks and absent networks are the machine's fault, whoever reports them.
fn machine_error(argv: &[String], said: &str) -> Option<MachineError> {
    /// The system's words, those of apt, and mkfs.btrfs's for a write of which a part alone went in.
    const FULL: [&str; 4] =
        ["No space left on device", "don't have enough free space in", "Disk quota exceeded", "Short write"];
    const UNREACHABLE: [&str; 12] = [
        "Could not resolve",
        "Temporary failure resolving",
        "Could not connect",
        "Unable to connect",
        "Connection timed out",
        "Network is unreachable",
        "Connection failed",
        "Connection reset by peer",
        "Error reading from server",
        "Server closed the connection",
        "Connection closed prematurely",
        // apt's word for a connection that ends in the middle of a file.
        "Undetermined Error",
    ];
    if FULL.iter().any(|words| said.contains(words)) {
        // What comes before it enters namespaces.
        let program = argv.iter().rposition(|word| word == "--").and_then(|at| argv.get(at + 1)).unwrap_or(&argv[0]);
        return Some(MachineError::NoSpace { attempt: format!("{program} says: {}", said.trim()) });
    }
    UNREACHABLE
        .iter()
        .any(|words| said.contains(words))
        .then(|| MachineError::NoNetwork { detail: said.trim().to_owned() })
}

impl fmt::Display for Command {
    /// As one would type it in a shell, a long script cut after its first line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.argv.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte);
            if !word.is_empty() && word.bytes().all(plain) {
                f.write_str(word)?;
            } else if let Some((first, _)) = word.split_once('\n') {
                write!(f, "'{}...'", first.replace('\'', r"'\''"))?;
            } else {
                write!(f, "'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_argv_and_last_words() {
        let error = Command::plain(["sh", "-c", "echo one; echo two >&2; exit 3"])
            .run(Vec::new(), |_| {})
            .expect_err("it exits 3");
        assert_eq!(
            error.to_string(),
            "sh -c 'echo one; echo two >&2; exit 3'\nfailed with exit status: 3; its last words:\none\ntwo"
        );
    }

    #[test]
    fn a_full_disk_is_the_machines_fault_however_much_is_said_after_it() {
        let script = "echo 'cp: No space left on device'; seq 1000; exit 1";
        let error = Command::plain(["sh", "-c", script]).run(Vec::new(), |_| {}).expect_err("it exits 1");
        let attempt = "sh says: cp: No space left on device".to_owned();
        assert_eq!(error.downcast_ref(), Some(&MachineError::NoSpace { attempt }));
    }

    #[test]
    fn a_word_in_passing_is_no_failure() {
        Command::plain(["sh", "-c", "echo No space left on device"]).run(Vec::new(), |_| {}).expect("it exits 0");
    }

    #[test]
    fn a_silent_program_is_metered_until_it_ends() {
        let (mut ticks, mut lines) = (0, Vec::new());
        // Ends when it has been metered, and not before.
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        Command::plain(["mkfifo", fifo.to_str().expect("UTF-8")]).run(Vec::new(), |_| {}).expect("mkfifo works");
        let script = format!("echo begun; cat {}; exit 3", fifo.display());
        let error = Command::plain(["sh", "-c", &script])
            .run_metered(Vec::new(), Some(Duration::from_millis(1)), |said| match said {
                Said::Line(line) => lines.push(line.to_owned()),
                Said::Tick if ticks == 2 => {
                    ticks += 1;
                    fs_err::write(&fifo, "metered\n").expect("cat reads it");
                }
                Said::Tick => ticks += 1,
            })
            .expect_err("it exits 3");
        assert_eq!(lines, ["begun", "metered"]);
        assert!(error.to_string().ends_with("its last words:\nbegun\nmetered"), "{error}");
    }

    #[test]
    fn what_goes_into_a_file_is_no_word() {
        let file = tempfile::tempfile().expect("a file");
        let mut lines = Vec::new();
        let output = file.try_clone().expect("it is open");
        Command::plain(["sh", "-c", "echo heard >&2; cat"])
            .run_into(b"written".to_vec(), output, |line| lines.push(line.to_owned()))
            .expect("it exits 0");
        let mut written = [0; 7];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut written, 0).expect("it is there");
        assert_eq!((lines, &written), (vec!["heard".to_owned()], b"written"));
    }

    #[test]
    fn input_reaches_the_program() {
        let mut lines = Vec::new();
        Command::plain(["cat"]).run(b"a\nb".to_vec(), |line| lines.push(line.to_owned())).expect("cat works");
        assert_eq!(lines, ["a", "b"]);
    }
}
