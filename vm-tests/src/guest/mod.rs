//! The guest from inside: scripts run by an agent that enters as a systemd credential ([`with_agent`]) and talks over a
//! virtio-serial port. The image itself holds nothing of it. The protocol is described at the head of `agent.sh`.

mod credentials;
mod initrd;
mod units;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

pub use credentials::{now_logged_in, with_agent, with_login};

use crate::vm::{Limit, Pace, Verdict, Vm, Watch};

/// From the start of QEMU to the agent's hello on the reference machine, with room for a crowded one.
const BOOT: Duration = Duration::from_secs(90);
/// The same without room: what an idle reference machine takes for a small image.
const HELLO: Duration = Duration::from_secs(12);
/// Without a console line or anything else for so long, a booting reference machine hangs.
const BOOT_STALL: Duration = Duration::from_secs(45);
/// What an answer may take longer than the script itself.
const GRACE: Duration = Duration::from_secs(15);

/// A guest whose agent answers. Scripts may be run from several threads at once.
#[derive(Debug)]
pub struct Guest {
    writer: Mutex<UnixStream>,
    watch: Watch,
    pace: Pace,
    next: AtomicU64,
    booted_in: Option<Duration>,
}

/// What a script left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit status (128 and more: killed by a signal), or `None` if its deadline killed it.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The standard output as text, without the last line's end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

impl Guest {
    /// Waits for the agent's hello in a booting machine.
    ///
    /// # Errors
    /// The [`Verdict`] that ended the boot: panic, stall, or a QEMU that failed.
    pub fn attach(vm: &Vm) -> anyhow::Result<Self> {
        let mut guest = Self::line(vm)?;
        let limit = Limit { deadline: vm.pace().scale(BOOT), stall: Some(vm.pace().scale(BOOT_STALL)) };
        vm.watch().wait_letter(0, "hello of the guest's agent", limit).context("the guest does not boot")?;
        let elapsed = vm.started().elapsed();
        guest.booted_in = Some(elapsed);
        // The cached probe was made on a machine that may have been idle; this boot tells how crowded it is now.
        let slowness = elapsed.as_secs_f64() / HELLO.as_secs_f64();
        guest.pace.first_line = guest.pace.first_line.max(Pace::REFERENCE.first_line.mul_f64(slowness));
        Ok(guest)
    }

    /// Takes up the line to the agent of a machine that was restored from a saved state: it said hello when it `booted`, that
    /// long after the start of QEMU.
    ///
    /// # Errors
    /// If the agent does not answer.
    pub fn attach_running(vm: &Vm, booted: Duration) -> anyhow::Result<Self> {
        let mut guest = Self::line(vm)?;
        guest.booted_in = Some(booted);
        // Numbers that the agent has answered before the machine was saved may still be on their way.
        guest.next.store(1_000_000, Ordering::Relaxed);
        guest.run(":", Duration::from_secs(10)).context("the restored guest's agent does not answer")?;
        Ok(guest)
    }

    fn line(vm: &Vm) -> anyhow::Result<Self> {
        let stream = vm.take_agent().context("the line to the guest's agent is in use already")?;
        let reader = stream.try_clone().context("cannot share the agent's socket")?;
        stream.set_write_timeout(Some(Duration::from_secs(60))).context("cannot bound writes to the agent")?;
        let watch = vm.watch().clone();
        // The thread ends with QEMU's end of the socket.
        std::thread::spawn(move || {
            if let Err(error) = take_letters(reader, &watch) {
                watch.end(Verdict::Infrastructure(format!("the agent's line is broken: {error}")));
            }
        });
        Ok(Self {
            writer: Mutex::new(stream),
            watch: vm.watch().clone(),
            pace: vm.pace(),
            next: AtomicU64::new(1),
            booted_in: None,
        })
    }

    /// From the start of QEMU to the agent's hello; of a restored machine, when it was booted.
    pub fn booted_in(&self) -> Option<Duration> {
        self.booted_in
    }

    /// How slow the guest is: the slower of the probe and of this boot.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The machine's watch.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Runs a bash script as root. `deadline` is for the reference machine and scaled by this one's [`Pace`]; it kills the
    /// script in the guest, which is no error: see [`Output::status`].
    ///
    /// # Errors
    /// The [`Verdict`] that ended the machine, or [`Verdict::Stall`] if the agent does not answer.
    pub fn run(&self, script: &str, deadline: Duration) -> anyhow::Result<Output> {
        let scaled = self.pace.scale(deadline);
        let seconds = scaled.as_secs().max(1);
        self.ask(|number| format!("run {number} {seconds} {}\n", script.len()), script.as_bytes(), scaled)
            .with_context(|| format!("cannot run in the guest: {}", first_line(script)))
    }

    /// Runs a script that has to succeed and gives its standard output as text.
    ///
    /// # Errors
    /// As [`Guest::run`], and if the script fails or its deadline kills it, with its standard error.
    pub fn must(&self, script: &str, deadline: Duration) -> anyhow::Result<String> {
        let output = self.run(script, deadline)?;
        if output.status == Some(0) {
            return Ok(output.text());
        }
        let status = output.status.map_or_else(|| "its deadline".to_owned(), |status| format!("status {status}"));
        bail!(
            "in the guest, `{}` ended with {status}: {}",
            first_line(script),
            String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr }).trim_end()
        );
    }

    /// Writes a file with these permission bits, and the folders that lead to it.
    ///
    /// # Errors
    /// As [`Guest::run`], and if the guest cannot write it.
    pub fn put(&self, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        if !path.starts_with('/') || path.contains('\n') {
            bail!("{path:?} is no absolute path for a file in the guest");
        }
        let deadline = self.pace.scale(Duration::from_secs(60));
        let output = self
            .ask(|number| format!("put {number} {mode:o} {} {path}\n", bytes.len()), bytes, deadline)
            .with_context(|| format!("cannot put {path} into the guest"))?;
        if output.status != Some(0) {
            bail!("the guest cannot write {path}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(())
    }

    fn ask(&self, header: impl Fn(u64) -> String, body: &[u8], deadline: Duration) -> anyhow::Result<Output> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = header(number).into_bytes();
        message.extend_from_slice(body);
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&message).map_err(|error| {
            self.watch.ended().unwrap_or_else(|| Verdict::Stall(format!("the agent takes nothing: {error}")))
        })?;
        let limit = Limit { deadline: deadline + self.pace.scale(GRACE), stall: None };
        let letter = self.watch.wait_letter(number, "answer of the guest's agent", limit)?;
        let mut words = letter.header.split(' ').skip(1);
        let status = words.next().and_then(|word| word.parse().ok());
        let out: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let (stdout, stderr) = letter.body.split_at(out.min(letter.body.len()));
        Ok(Output { status, stdout: stdout.to_vec(), stderr: stderr.to_vec() })
    }
}

fn first_line(script: &str) -> &str {
    script.trim().lines().next().unwrap_or_default()
}

/// Reads the agent's messages into the watch until the line ends.
fn take_letters(stream: impl Read, watch: &Watch) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = header.trim_end().split(' ').collect();
        let bad = || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("it said {:?}", header.trim_end()));
        let [number, _status, out, err] = words[..] else { return Err(bad()) };
        let (Ok(number), Ok(out), Ok(err)) = (number.parse(), out.parse::<usize>(), err.parse::<usize>()) else {
            return Err(bad());
        };
        let mut body = vec![0; out + err];
        reader.read_exact(&mut body)?;
        watch.letter(number, &header, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_told_apart_by_their_lengths() {
        let watch = Watch::default();
        take_letters(&b"0 0 4 0\n1.25"[..], &watch).unwrap();
        take_letters(&b"2 timeout 0 3\nbad7 1 2 1\na\nb"[..], &watch).unwrap();
        let limit = Limit { deadline: Duration::ZERO, stall: None };
        assert_eq!(watch.wait_letter(0, "hello", limit).unwrap().body, b"1.25");
        assert_eq!(watch.wait_letter(7, "seven", limit).unwrap().body, b"a\nb");
        assert_eq!(watch.wait_letter(2, "two", limit).unwrap().header, "2 timeout 0 3");
    }

    #[test]
    fn noise_on_the_line_is_an_error_that_quotes_it() {
        let error = take_letters(&b"login: \n"[..], &Watch::default()).unwrap_err();
        assert_eq!(error.to_string(), "it said \"login:\"");
    }
}
