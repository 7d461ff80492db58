//! What watches while the proof asks: the console, the journal, and the units of the daemons.
//!
//! A panic ends the run at once, a stall by its deadline, each with a verdict of its own; what is told here are red facts. A
//! slow machine is none of them: what it delays is waited for before the watch begins, and a lockup that the kernel suspects
//! is told without being held against the host, since an emulated processor that does not get its turn looks the same.

use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{DaemonName, HostPlan};
use regex::Regex;

use super::report::Fact;
use crate::bed::Testbed;
use crate::vm::Severity;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many lines are told.
const MOST: usize = 12;

/// What a line of the journal must not say, after the boot: the name of it, what says it, and the line. Texts: the kernel's
/// `mm/oom_kill.c`, `kernel/panic.c`, `kernel/hung_task.c`; systemd's `src/core`; nft(8); dockerd's and containerd's logrus.
const LINES: &[(&str, &str, &str)] = &[
    ("out of memory", "", r"Out of memory: Killed|Memory cgroup out of memory|invoked oom-killer|oom-kill"),
    ("oops", "kernel", r"\bOops: |\bBUG: |kernel BUG at |general protection fault|Unable to handle kernel"),
    ("hung task", "kernel", r"INFO: task .+ blocked for more than \d+ seconds"),
    (
        "failed unit",
        "systemd",
        r"Failed to start |Failed with result |Main process exited, code=(exited|dumped|killed)",
    ),
    ("restarted unit", "systemd", r"Scheduled restart job"),
    ("crash", "", r"segfault at |traps: .+ trap |dumped core"),
    ("nft", "nft|nsenter", r"^Error: |: Error: |netlink: Error"),
    (
        "dockerd",
        "dockerd|nsenter|containerd",
        r"level=(fatal|panic)|^panic: |goroutine \d+ \[running\]|iptables failed",
    ),
];

/// The state of things when the watch began.
#[derive(Debug)]
pub struct Watching {
    cursor: String,
    restarts: String,
    findings: usize,
}

impl Watching {
    /// Begins, when the host has settled.
    ///
    /// # Errors
    /// If the machine ended or its agent does not answer.
    pub fn begin(plan: &HostPlan, bed: &Testbed) -> Result<Self> {
        let told = bed.guest.must("journalctl --no-pager --lines=0 --show-cursor", PATIENCE)?;
        let cursor = told.lines().find_map(|line| line.strip_prefix("-- cursor: "));
        let cursor = cursor.with_context(|| format!("the journal tells no cursor: {told}"))?.to_owned();
        Ok(Self { cursor, restarts: restarts(plan, bed)?, findings: bed.vm.watch().findings().len() })
    }

    /// What was seen since.
    ///
    /// # Errors
    /// As [`Watching::begin`].
    pub fn facts(&self, plan: &HostPlan, bed: &Testbed) -> Result<Vec<Fact>> {
        bed.alive()?;
        Ok(vec![self.console(bed), self.journal(bed)?, self.units(plan, bed)?])
    }

    /// The kernel's own complaints count from its first line; units were waited for before the watch began.
    fn console(&self, bed: &Testbed) -> Fact {
        let findings = bed.vm.watch().findings();
        let of_boot = ["failed-unit", "dependency", "time-out"];
        let (mut bad, mut told) = (Vec::new(), 0);
        for (nth, finding) in findings.iter().enumerate() {
            let waited_for = nth < self.findings && of_boot.contains(&finding.pattern);
            if finding.severity < Severity::Error || waited_for || finding.pattern == "lockup" {
                told += 1;
            } else {
                bad.push(format!("{}: {}", finding.pattern, finding.line));
            }
        }
        let also = if told == 0 { String::new() } else { format!("; {told} of no consequence") };
        fact("console", bad, format!("no panic, oops, hung task or failed unit{also}"))
    }

    fn journal(&self, bed: &Testbed) -> Result<Fact> {
        let script = format!("journalctl --no-pager --boot --output=short-monotonic --after-cursor='{}'", self.cursor);
        let journal = bed.guest.must(&script, PATIENCE)?;
        let bad: Vec<String> = journal.lines().filter_map(complaint).collect();
        let lines = journal.lines().count();
        Ok(fact("journal", bad, format!("{lines} lines, no complaint of kernel, systemd, nft or dockerd among them")))
    }

    fn units(&self, plan: &HostPlan, bed: &Testbed) -> Result<Fact> {
        let failed = bed.guest.must("systemctl list-units --failed --plain --no-legend", PATIENCE)?;
        let mut bad: Vec<String> = failed.lines().map(str::to_owned).collect();
        let now = restarts(plan, bed)?;
        if now != self.restarts {
            bad.push(format!("restarts were {} and are {now}", self.restarts));
        }
        Ok(fact("units at the end", bad, "none failed, none was restarted".to_owned()))
    }
}

/// How often each daemon's unit was started anew, in the order of the plan.
fn restarts(plan: &HostPlan, bed: &Testbed) -> Result<String> {
    let units: Vec<String> = plan.daemons.keys().map(DaemonName::service).collect();
    let told = bed.guest.must(&format!("systemctl show --property=NRestarts {}", units.join(" ")), PATIENCE)?;
    Ok(told.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The name of what a line of the journal complains of, with the line. `[ 12.3] host who[1]: what`.
fn complaint(line: &str) -> Option<String> {
    let rest = line.split_once("] ")?.1;
    let (_, said) = rest.split_once(' ')?;
    let (who, what) = said.split_once(": ")?;
    let who = who.split('[').next().unwrap_or_default();
    let (name, ..) = LINES.iter().find(|(_, by, pattern)| {
        let by = by.is_empty() || by.split('|').any(|one| one == who);
        by && Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(what))
    })?;
    Some(format!("{name}: {line}"))
}

fn fact(name: &str, mut bad: Vec<String>, good: String) -> Fact {
    let more = bad.len().saturating_sub(MOST);
    bad.truncate(MOST);
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    let holds = bad.is_empty();
    Fact { name: name.to_owned(), holds, found: if holds { good } else { bad.join("\n") } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for (name, _, pattern) in LINES {
            assert!(Regex::new(pattern).is_ok(), "{name}");
        }
    }

    #[test]
    fn lines_of_real_journals_get_their_names() {
        let name = |line: &str| complaint(line).map(|told| told.split(": ").next().unwrap_or_default().to_owned());
        let of = |line: &str| name(&format!("[  116.803966] atlas {line}"));
        assert_eq!(
            of("systemd[1]: dmhost-lab.service: Main process exited, code=exited, status=1/FAILURE"),
            Some("failed unit".to_owned())
        );
        assert_eq!(
            of("systemd[1]: dmhost-lab.service: Scheduled restart job, restart counter is at 1."),
            Some("restarted unit".to_owned())
        );
        assert_eq!(of("kernel: Memory cgroup out of memory: Killed process 9 (sh)"), Some("out of memory".to_owned()));
        assert_eq!(
            of("kernel: INFO: task kworker/u4:2:33 blocked for more than 120 seconds."),
            Some("hung task".to_owned())
        );
        assert_eq!(of("nsenter[512]: time=\"2026-11-22T20:21:28Z\" level=fatal msg=\"x\""), Some("dockerd".to_owned()));
        assert_eq!(
            of("nsenter[512]: time=\"2026-11-22T20:21:28Z\" level=info msg=\"containerd successfully booted\""),
            None
        );
        assert_eq!(of("bash[9]: Failed to start a poem"), None);
    }
}
