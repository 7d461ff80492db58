//! The serial console, read line by line while the guest runs. What to look for is a table.

use std::io::{BufRead, BufReader, Read};
use std::sync::LazyLock;

use regex::Regex;

use super::watch::Watch;

/// How bad a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look: named in reports.
    Warning,
    /// The guest is not what it has to be; a settled boot must have none.
    Error,
    /// The kernel is dead: the run ends at once.
    Panic,
}

/// One row of the table of things to look for.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// A stable name for reports.
    pub name: &'static str,
    /// A regular expression on one line, without its colours.
    pub regex: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

/// A line that a pattern names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the pattern.
    pub pattern: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The line itself.
    pub line: String,
}

/// The table; the first row that matches a line names it. Texts: the kernel's `kernel/panic.c`, `kernel/hung_task.c`,
/// `mm/oom_kill.c`, `kernel/rcu/`, `lib/bug.c`; systemd's `src/core/job.c` and `emergency.service`.
pub fn patterns() -> &'static [Pattern] {
    use Severity::{Error, Panic, Warning};
    const fn row(name: &'static str, regex: &'static str, severity: Severity) -> Pattern {
        Pattern { name, regex, severity }
    }
    const TABLE: &[Pattern] = &[
        row("kernel-panic", r"Kernel panic - not syncing", Panic),
        row("oops", r"\bOops: |Internal error: Oops", Error),
        row("bug", r"\bkernel BUG at |\bBUG: ", Error),
        row("fault", r"general protection fault|Unable to handle kernel", Error),
        row("hung-task", r"INFO: task .+ blocked for more than \d+ seconds", Error),
        row("lockup", r"watchdog: BUG: soft lockup|rcu: INFO: .* detected stalls", Error),
        row("out-of-memory", r"Out of memory: Killed process|Memory cgroup out of memory|invoked oom-killer", Error),
        row("no-root", r"ALERT! .+ does not exist|Gave up waiting for root", Error),
        row("initramfs-shell", r"^\(initramfs\)|Dropping to a shell", Error),
        row("emergency-mode", r"You are in (emergency|rescue) mode|Reached target .*emergency\.target", Error),
        row("failed-unit", r"\[FAILED\]|Failed to start ", Error),
        row("dependency", r"\[DEPEND\]|Dependency failed for ", Error),
        row("time-out", r"\[ TIME \]|Timed out waiting for device", Error),
        row("file-system", r"EXT4-fs error|BTRFS (error|critical)|I/O error, dev ", Error),
        row("warning", r"WARNING: CPU: \d+ PID: ", Warning),
    ];
    TABLE
}

static REGEXES: LazyLock<Vec<(Regex, &'static Pattern)>> = LazyLock::new(|| {
    // The table is fixed text and a test compiles all of it.
    patterns().iter().filter_map(|pattern| Some((Regex::new(pattern.regex).ok()?, pattern))).collect()
});

/// Escape sequences as systemd and the firmware write them.
static ESCAPES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\x1b(\[[0-9;:?!]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>c78])").ok());

/// The line without escape sequences and without what surrounds it.
pub(crate) fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = ESCAPES.as_ref().map_or(text.clone(), |regex| regex.replace_all(&text, "").into_owned().into());
    text.trim_matches(|c: char| c.is_control() || c == ' ').to_owned()
}

/// What the table says of a line.
pub(crate) fn judge(line: &str) -> Option<Finding> {
    let (_, pattern) = REGEXES.iter().find(|(regex, _)| regex.is_match(line))?;
    Some(Finding { pattern: pattern.name, severity: pattern.severity, line: line.to_owned() })
}

/// Reads the console to its end into the watch.
pub(crate) fn follow(console: impl Read, watch: &Watch) {
    let mut reader = BufReader::new(console);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        let text = plain(&line);
        if !text.is_empty() {
            watch.console_line(&text);
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_compiles() {
        assert_eq!(REGEXES.len(), patterns().len());
        assert!(ESCAPES.is_some());
    }

    #[test]
    fn lines_of_real_boots_get_their_names() {
        let name = |line: &str| judge(&plain(line.as_bytes())).map(|finding| finding.pattern);
        assert_eq!(name("[    7.1] Kernel panic - not syncing: sysrq triggered crash\r\n"), Some("kernel-panic"));
        assert_eq!(
            name("[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mx.service\x1b[0m\r\n"),
            Some("failed-unit")
        );
        assert_eq!(name("[\x1b[0;1;38:5:185mDEPEND\x1b[0m] Dependency failed for x.mount"), Some("dependency"));
        assert_eq!(name("[  9.0] Out of memory: Killed process 311 (dockerd)"), Some("out-of-memory"));
        assert_eq!(name("[  0.0] BIOS-e820: [mem 0x00000000-0x0009fbff] usable"), None);
        assert_eq!(name("[  OK  ] Started dmhost-web.service - Docker daemon web."), None);
    }

    #[test]
    fn a_panic_ends_the_run() {
        let watch = Watch::default();
        follow(&b"[ 1.0] fine\n[ 2.0] Kernel panic - not syncing: test\n"[..], &watch);
        let panic = "[ 2.0] Kernel panic - not syncing: test".to_owned();
        assert_eq!(watch.ended(), Some(crate::vm::Verdict::Panic(panic)));

        let busy = Watch::default();
        let line = "[ 0.06] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug";
        follow(format!("{line} and send a report.\n").as_bytes(), &busy);
        assert!(matches!(busy.ended(), Some(crate::vm::Verdict::Infrastructure(_))), "{:?}", busy.ended());
    }
}
