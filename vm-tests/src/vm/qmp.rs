//! The QEMU monitor: the command and event *types* of the `qapi` crate over a transport of our own.
//!
//! One thread reads line by line. An event that the types do not know stays raw JSON, and an answer that comes after
//! its command's deadline is dropped; neither ends the connection. Protocol: QEMU's `docs/interop/qmp-spec.rst`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use qapi::qmp::QmpCommand;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::verdict::Verdict;

/// A connection to a monitor. Clones share it.
#[derive(Debug, Clone)]
pub struct Qmp(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Mutex<UnixStream>,
    next: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    greeting: Option<Value>,
    /// `None` while the command waits; commands that have given up are not in it.
    answers: BTreeMap<u64, Option<Value>>,
    events: Vec<Event>,
    closed: bool,
}

/// An event as QEMU sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// For example `SHUTDOWN`.
    pub name: String,
    /// The whole object.
    pub raw: Value,
}

impl Event {
    /// The event in the crate's types; `None` if this version of them does not know it.
    pub fn typed(&self) -> Option<qapi::qmp::Event> {
        qapi::qmp::Event::deserialize(&self.raw).ok()
    }
}

/// The events from one moment on; see [`Qmp::subscribe`].
#[derive(Debug, Clone)]
pub struct Events {
    qmp: Qmp,
    seen: usize,
}

impl Qmp {
    /// Takes the greeting and leaves negotiation mode.
    ///
    /// # Errors
    /// If QEMU does not greet and answer before the deadline.
    pub fn start(stream: UnixStream, deadline: Duration) -> anyhow::Result<Self> {
        let reader = stream.try_clone().context("cannot share the monitor's socket")?;
        stream.set_write_timeout(Some(deadline)).context("cannot bound writes to the monitor")?;
        let inner = Inner {
            writer: Mutex::new(stream),
            next: AtomicU64::new(1),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let qmp = Self(Arc::new(inner));
        // The thread ends with QEMU, or when the last user shuts the socket down.
        let weak = Arc::downgrade(&qmp.0);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let (Ok(line), Some(inner)) = (line, weak.upgrade()) else { break };
                inner.take_in(&line);
            }
            if let Some(inner) = weak.upgrade() {
                inner.lock().closed = true;
                inner.changed.notify_all();
            }
        });
        qmp.0.wait("the greeting of QEMU's monitor", deadline, |state| state.greeting.clone())?;
        qmp.execute(&qapi::qmp::qmp_capabilities { enable: None }, deadline)?;
        Ok(qmp)
    }

    /// Executes a command and waits for its answer.
    ///
    /// # Errors
    /// If QEMU refuses it (its own words), has ended, or does not answer before the deadline; later commands are not
    /// harmed by that.
    pub fn execute<C: QmpCommand>(&self, command: &C, deadline: Duration) -> anyhow::Result<C::Ok> {
        let name = C::NAME;
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut line = json!({ "execute": name, "arguments": command, "id": id }).to_string();
        line.push('\n');
        self.0.lock().answers.insert(id, None);
        let sent = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        let answer = match sent {
            Ok(()) => {
                let what = format!("the answer to QMP {name}");
                self.0.wait(&what, deadline, |state| state.answers.get_mut(&id).and_then(Option::take))
            }
            Err(error) => Err(Verdict::Infrastructure(format!("QMP {name} cannot be sent: {error}"))),
        };
        self.0.lock().answers.remove(&id);
        let answer = answer?;
        if let Some(error) = answer.get("error") {
            bail!("QEMU refuses {name}: {}", error.get("desc").and_then(Value::as_str).unwrap_or("no reason given"));
        }
        let value = answer.get("return").ok_or_else(|| anyhow!("QMP {name} has an answer without a result"))?;
        C::Ok::deserialize(value).with_context(|| format!("the answer to QMP {name} has another shape than expected"))
    }

    /// The events that come from now on.
    pub fn subscribe(&self) -> Events {
        Events { qmp: self.clone(), seen: self.0.lock().events.len() }
    }

    /// All events since the connection was made, then those to come.
    pub fn events(&self) -> Events {
        Events { qmp: self.clone(), seen: 0 }
    }
}

impl Events {
    /// Waits for an event of this name and takes it and all before it.
    ///
    /// # Errors
    /// If QEMU ends or the deadline passes first.
    pub fn wait_for_event(&mut self, name: &str, deadline: Duration) -> Result<Event, Verdict> {
        let seen = self.seen;
        let found = self.qmp.0.wait(&format!("the event {name}"), deadline, |state| {
            let position = state.events.iter().skip(seen).position(|event| event.name == name)?;
            Some((seen + position + 1, state.events[seen + position].clone()))
        })?;
        self.seen = found.0;
        Ok(found.1)
    }

    /// Takes all events that have come.
    pub fn take(&mut self) -> Vec<Event> {
        let events = self.qmp.0.lock().events[self.seen..].to_vec();
        self.seen += events.len();
        events
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain data: what a panicked thread left behind stays readable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return };
        let mut state = self.lock();
        if let Some(name) = message.get("event").and_then(Value::as_str) {
            state.events.push(Event { name: name.to_owned(), raw: message });
        } else if let Some(id) = message.get("id").and_then(Value::as_u64) {
            if let Some(slot) = state.answers.get_mut(&id) {
                *slot = Some(message);
            }
        } else if message.get("QMP").is_some() {
            state.greeting = Some(message);
        }
        self.changed.notify_all();
    }

    fn wait<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut answer: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, Verdict> {
        let until = Instant::now() + deadline;
        let mut state = self.lock();
        loop {
            if let Some(found) = answer(&mut state) {
                return Ok(found);
            }
            if state.closed {
                return Err(Verdict::Infrastructure(format!("QEMU has closed its monitor before {what}")));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = format!("{what} has not come within {:.1} s", deadline.as_secs_f64());
                return Err(Verdict::Infrastructure(text));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Wakes the reading thread; QEMU gone already is no error here.
        let _ = self.writer.get_mut().map(|stream| stream.shutdown(std::net::Shutdown::Both));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::vm::{Process, QEMU, accept};

    const DEADLINE: Duration = Duration::from_secs(60);

    /// A QEMU without a machine, and its monitor.
    fn qemu() -> (Qmp, Process, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("qmp.sock")).unwrap();
        let args = ["-machine", "none", "-nodefaults", "-display", "none", "-qmp", "unix:qmp.sock,server=off"];
        let process = Process::spawn(QEMU, &args.map(str::to_owned), dir.path(), false, |_| {}).unwrap();
        let qmp = Qmp::start(accept(&listener, &process, DEADLINE).unwrap(), DEADLINE).unwrap();
        (qmp, process, dir)
    }

    #[test]
    fn commands_and_events_of_a_real_qemu() {
        let (qmp, _process, _dir) = qemu();
        let mut events = qmp.subscribe();
        let status = qmp.execute(&qapi::qmp::query_status {}, DEADLINE).unwrap();
        assert!(status.running);
        qmp.execute(&qapi::qmp::stop {}, DEADLINE).unwrap();
        qmp.execute(&qapi::qmp::cont {}, DEADLINE).unwrap();
        let resume = events.wait_for_event("RESUME", DEADLINE).unwrap();
        assert!(matches!(resume.typed(), Some(qapi::qmp::Event::RESUME { .. })));
        let names: Vec<_> = qmp.events().take().into_iter().map(|event| event.name).collect();
        assert_eq!(names, ["STOP", "RESUME"]);
        qmp.execute(&qapi::qmp::quit {}, DEADLINE).unwrap();
        events.wait_for_event("SHUTDOWN", DEADLINE).unwrap();
        let error = events.wait_for_event("RESET", DEADLINE).unwrap_err();
        assert_eq!(error.to_string(), "infrastructure: QEMU has closed its monitor before the event RESET");
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_qemu() {
        let (qmp, _process, _dir) = qemu();
        let refused = qapi::qmp::set_link { name: "nic9".to_owned(), up: false };
        let error = qmp.execute(&refused, DEADLINE).unwrap_err();
        assert_eq!(error.to_string(), "QEMU refuses set_link: Device 'nic9' not found");
    }

    #[test]
    fn a_command_that_timed_out_does_not_harm_the_next() {
        let (qmp, _process, _dir) = qemu();
        let error = qmp.execute(&qapi::qmp::query_qmp_schema {}, Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "infrastructure: the answer to QMP query-qmp-schema has not come within 0.0 s");
        assert!(qmp.execute(&qapi::qmp::query_status {}, DEADLINE).unwrap().running);
    }

    /// No QEMU sends an event on demand that the types do not know, so here the far end is the test.
    #[test]
    fn an_unknown_event_and_a_broken_line_are_survived() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let far_end = std::thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            let mut lines = BufReader::new(theirs).lines();
            writer.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n").unwrap();
            lines.next().unwrap().unwrap();
            writer.write_all(b"{\"event\": \"FLUX_LOST\", \"data\": {\"level\": 3}}\nnot json\n").unwrap();
            writer.write_all(b"{\"return\": {}, \"id\": 1}\n").unwrap();
            lines.next().unwrap().unwrap();
            writer.write_all(b"{\"return\": {\"running\": true, \"status\": \"running\"}, \"id\": 2}\n").unwrap();
        });
        let qmp = Qmp::start(ours, DEADLINE).unwrap();
        assert!(qmp.execute(&qapi::qmp::query_status {}, DEADLINE).unwrap().running);
        let event = qmp.events().wait_for_event("FLUX_LOST", DEADLINE).unwrap();
        assert_eq!(event.raw["data"]["level"], 3);
        assert!(event.typed().is_none());
        far_end.join().unwrap();
    }
}
