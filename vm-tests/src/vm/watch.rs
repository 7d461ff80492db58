//! What is known of a running machine, and the one place where threads wait for it to change: console progress,
//! findings, the agent's letters, and whatever ended the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::console::{Finding, Severity, judge};
use super::verdict::Verdict;

/// How long a wait may take.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// For the whole wait.
    pub deadline: Duration,
    /// Without any console line or letter; `None`: a silent guest is no reason to give up early.
    pub stall: Option<Duration>,
}

/// The shared knowledge of one machine. Clones see the same machine.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    first_line: Option<Instant>,
    progress: Option<Instant>,
    lines: Vec<String>,
    findings: Vec<Finding>,
    ended: Option<Verdict>,
    letters: BTreeMap<u64, Letter>,
}

/// What the agent sent: a header line and the bytes after it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letter {
    pub(crate) header: String,
    pub(crate) body: Vec<u8>,
}

/// What the line of a panic tells. The kernel tries its timer for a few milliseconds of processor time; an emulator that gets none
/// meanwhile is a machine too busy for a guest, not a guest that fails (`arch/x86/kernel/apic/io_apic.c`).
fn dead(line: &str) -> Verdict {
    if line.contains("IO-APIC + timer doesn't work") {
        return Verdict::Infrastructure(format!("this machine is too busy to emulate another: {line}"));
    }
    Verdict::Panic(line.to_owned())
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it held the lock left plain data behind: it stays readable.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a line of the console; one that tells of a dead kernel ends the run.
    pub(crate) fn console_line(&self, line: &str) {
        let mut state = self.state();
        let now = Instant::now();
        state.first_line.get_or_insert(now);
        state.progress = Some(now);
        state.lines.push(line.to_owned());
        if let Some(finding) = judge(line) {
            if finding.severity == Severity::Panic && !matches!(state.ended, Some(Verdict::Panic(_))) {
                state.ended = Some(dead(&finding.line));
            }
            state.findings.push(finding);
        }
        self.0.changed.notify_all();
    }

    /// Takes in a letter of the agent under its number.
    pub(crate) fn letter(&self, number: u64, header: &str, body: Vec<u8>) {
        let letter = Letter { header: header.trim_end().to_owned(), body };
        let mut state = self.state();
        state.progress = Some(Instant::now());
        state.letters.insert(number, letter);
        self.0.changed.notify_all();
    }

    /// Ends the run, if nothing has ended it yet.
    pub(crate) fn end(&self, verdict: Verdict) {
        self.state().ended.get_or_insert(verdict);
        self.0.changed.notify_all();
    }

    /// What has ended the run; `None` while the machine runs.
    pub fn ended(&self) -> Option<Verdict> {
        self.state().ended.clone()
    }

    /// Everything on the console so far that a pattern of [`super::patterns`] names.
    pub fn findings(&self) -> Vec<Finding> {
        self.state().findings.clone()
    }

    /// When the first line came over the console.
    pub fn first_line(&self) -> Option<Instant> {
        self.state().first_line
    }

    /// Waits for the first line of the console.
    ///
    /// # Errors
    /// The verdict that ended the run, or [`Verdict::Stall`] at the limit.
    pub fn wait_first_line(&self, limit: Limit) -> Result<Instant, Verdict> {
        self.wait("first line of the console", limit, |state| {
            state.first_line.map(Ok).or_else(|| state.ended.clone().map(Err))
        })
    }

    /// Waits for the run's end and says what ended it.
    ///
    /// # Errors
    /// [`Verdict::Stall`] if the limit is reached first.
    pub fn wait_end(&self, what: &str, limit: Limit) -> Result<Verdict, Verdict> {
        self.wait(what, limit, |state| state.ended.clone().map(Ok))
    }

    /// Waits for a line of the console that a pattern names, for example `console:failed-unit`.
    ///
    /// # Errors
    /// The verdict that ended the run, or [`Verdict::Stall`] at the limit.
    pub fn wait_finding(&self, pattern: &str, limit: Limit) -> Result<Finding, Verdict> {
        self.wait(pattern, limit, |state| {
            let found = state.findings.iter().find(|finding| finding.pattern == pattern).cloned();
            found.map(Ok).or_else(|| state.ended.clone().map(Err))
        })
    }

    /// Waits for a line of the console that has this text in it and gives the whole line; one that is there already counts.
    ///
    /// # Errors
    /// The verdict that ended the run, or [`Verdict::Stall`] at the limit.
    pub fn wait_line(&self, text: &str, limit: Limit) -> Result<String, Verdict> {
        self.wait(&format!("{text:?} on the console"), limit, |state| {
            let found = state.lines.iter().find(|line| line.contains(text)).cloned();
            found.map(Ok).or_else(|| state.ended.clone().map(Err))
        })
    }

    /// Waits for the letter with this number and takes it out.
    pub(crate) fn wait_letter(&self, number: u64, what: &str, limit: Limit) -> Result<Letter, Verdict> {
        self.wait(what, limit, |state| state.letters.remove(&number).map(Ok).or_else(|| state.ended.clone().map(Err)))
    }

    fn wait<T>(
        &self,
        what: &str,
        limit: Limit,
        mut answer: impl FnMut(&mut State) -> Option<Result<T, Verdict>>,
    ) -> Result<T, Verdict> {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(result) = answer(&mut state) {
                return result.map_err(|verdict| match verdict {
                    Verdict::Pass => Verdict::Fail(format!("{what}: the machine was shut down before")),
                    other => other,
                });
            }
            let quiet_since = state.progress.unwrap_or(start).max(start);
            let (until, why) = match limit.stall.map(|stall| (quiet_since + stall, stall)) {
                Some((stalled, stall)) if stalled < start + limit.deadline => {
                    (stalled, format!("no sign of life for {:.1} s", stall.as_secs_f64()))
                }
                _ => (start + limit.deadline, format!("not within {:.1} s", limit.deadline.as_secs_f64())),
            };
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                let last = state.lines.last().map(String::as_str).unwrap_or_default();
                return Err(Verdict::Stall(format!("{what}: {why}; last on the console: {last:?}")));
            };
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
