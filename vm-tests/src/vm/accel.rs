//! What executes the guest, decided by running a kernel to its first console line: there are machines where
//! `/dev/kvm` opens, makes a VM, and hangs or aborts at a stock kernel. The verdict is kept in a cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::spec::{Boot, Console, VmSpec};
use super::verdict::Verdict;
use super::watch::Limit;
use super::{QEMU, Vm};

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accel {
    /// KVM if a kernel runs on it, else TCG.
    #[default]
    Auto,
    /// KVM or an error.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The processor, through `/dev/kvm`.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// How slow a guest is; deadlines are scaled by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the start of QEMU to the first line of the guest's kernel.
    pub first_line: Duration,
}

impl Pace {
    /// First line of an idle machine of two cores without KVM: what deadlines in this crate are written for.
    pub const REFERENCE: Self = Self { first_line: Duration::from_millis(1500) };

    /// A deadline written for the reference machine, for this one: never shorter, at most 20 times as long.
    pub fn scale(self, deadline: Duration) -> Duration {
        let factor = self.first_line.as_secs_f64() / Self::REFERENCE.first_line.as_secs_f64();
        deadline.mul_f64(factor.clamp(1.0, 20.0))
    }
}

/// What one engine did with a kernel, as it is cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Trial {
    Runs { first_line_ms: u64 },
    Unusable { why: String },
}

/// Decides the engine for `kernel` and measures its pace; `cache` keeps the answers per QEMU and host kernel
/// (`None`: [`cache_dir`]).
///
/// # Errors
/// [`Verdict::Infrastructure`] if QEMU is missing, too old, or runs the kernel on no engine that `accel` allows.
pub fn probe(accel: Accel, kernel: &Path, cache: Option<&Path>) -> anyhow::Result<(Engine, Pace)> {
    let version = qemu_version()?;
    let cache = cache.map_or_else(cache_dir, |dir| Ok(dir.to_owned()))?;
    let ask = |engine| trial_of(engine, kernel, &version, &cache);
    let kvm = match accel {
        Accel::Tcg => None,
        Accel::Kvm | Accel::Auto => Some(ask(Engine::Kvm)?),
    };
    let (engine, trial) = match (accel, kvm) {
        (Accel::Auto, Some(runs @ Trial::Runs { .. })) | (Accel::Kvm, Some(runs)) => (Engine::Kvm, runs),
        (Accel::Auto | Accel::Tcg | Accel::Kvm, _) => {
            refuse_old(&version)?;
            (Engine::Tcg, ask(Engine::Tcg)?)
        }
    };
    match trial {
        Trial::Runs { first_line_ms } => Ok((engine, Pace { first_line: Duration::from_millis(first_line_ms) })),
        Trial::Unusable { why } => {
            Err(Verdict::Infrastructure(format!("no kernel runs on {engine:?} of this machine: {why}")).into())
        }
    }
}

/// Where verdicts are kept without a word from the caller: `dmhost` in `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// If neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_dir() -> anyhow::Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Ok(xdg.or_else(home).context("neither XDG_CACHE_HOME nor HOME says where to keep a cache")?.join("dmhost"))
}

/// The version line's number, for example `10.0.2`, with the distribution's own in parentheses.
pub(crate) fn qemu_version() -> anyhow::Result<String> {
    let missing = |error| {
        let text = format!(
            "{QEMU} (Debian: qemu-system-x86 of version 10, on Debian 12 from backports) cannot be run: {error}"
        );
        Verdict::Infrastructure(text)
    };
    let output = Command::new(QEMU).arg("--version").output().map_err(missing)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().and_then(|line| line.strip_prefix("QEMU emulator version "));
    Ok(line.with_context(|| format!("{QEMU} --version says no version: {text:?}"))?.to_owned())
}

/// QEMU 7.2's emulation of `cmpxchg16b` panics kernel 6.12, which is what Debian 13 has; 8 and 10 do not.
fn refuse_old(version: &str) -> anyhow::Result<()> {
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 8 {
        let text = format!(
            "QEMU {version} is too old to emulate a Debian 13 guest: its kernel panics; QEMU 10 is needed, on Debian 12 \
             from bookworm-backports"
        );
        return Err(Verdict::Infrastructure(text).into());
    }
    Ok(())
}

fn trial_of(engine: Engine, kernel: &Path, version: &str, cache: &Path) -> anyhow::Result<Trial> {
    let release = fs_err::read_to_string("/proc/sys/kernel/osrelease").context("cannot tell the host's kernel")?;
    let openable = fs_err::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let name = match engine {
        Engine::Kvm if !openable => return Ok(Trial::Unusable { why: "/dev/kvm cannot be opened".to_owned() }),
        Engine::Kvm => "kvm",
        Engine::Tcg => "tcg",
    };
    let key: String = format!("{name}-{version}-{}", release.trim())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-.+~".contains(c) { c } else { '_' })
        .collect();
    let file = cache.join("accel").join(format!("{key}.json"));
    // A cache that cannot be read is one that must be written anew.
    if let Some(known) = fs_err::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(known);
    }
    let trial = run(engine, kernel)?;
    // Emulation always works in the end: a trial of it that failed tells of this moment, not of this machine.
    if engine == Engine::Tcg && matches!(trial, Trial::Unusable { .. }) {
        return Ok(trial);
    }
    let folder = cache.join("accel");
    fs_err::create_dir_all(&folder).context("cannot make the cache of acceleration verdicts")?;
    let aside = tempfile::NamedTempFile::new_in(&folder).context("cannot write an acceleration verdict")?;
    serde_json::to_writer(&aside, &trial).context("cannot write an acceleration verdict")?;
    aside.persist(&file).with_context(|| format!("cannot keep an acceleration verdict as {}", file.display()))?;
    Ok(trial)
}

/// Runs the kernel, without a root file system, until it says its first word.
fn run(engine: Engine, kernel: &Path) -> anyhow::Result<Trial> {
    if !kernel.is_file() {
        bail!("there is no kernel at {} to try {engine:?} with", kernel.display());
    }
    let dir = tempfile::tempdir().context("cannot make a folder for the trial of a kernel")?;
    let spec = VmSpec {
        boot: Boot::Kernel {
            kernel: fs_err::canonicalize(kernel).context("cannot find the kernel")?,
            initrd: None,
            cmdline: String::new(),
        },
        disk: None,
        memory: 256,
        cpus: 1,
        nics: Vec::new(),
        run_dir: dir.path().to_owned(),
        engine,
        credentials: Vec::new(),
        console: Console::Watched,
        incoming: false,
    };
    // Emulation on a crowded machine is slow, not broken; KVM has said its first word within a second or never will.
    let deadline = match engine {
        Engine::Kvm => Duration::from_secs(8),
        Engine::Tcg => Duration::from_secs(60),
    };
    let started = Instant::now();
    let first_word = Vm::boot(&spec, Pace::REFERENCE)
        .and_then(|vm| Ok(vm.watch().wait_first_line(Limit { deadline, stall: None })?));
    Ok(match first_word {
        Ok(at) => {
            let elapsed = at.saturating_duration_since(started).as_millis();
            Trial::Runs { first_line_ms: u64::try_from(elapsed).unwrap_or(u64::MAX) }
        }
        Err(error) => Trial::Unusable { why: format!("{error:#}") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_qemu_is_refused_with_the_way_out() {
        let message = refuse_old("7.2.19 (Debian 1:7.2+dfsg-7+deb12u16)").unwrap_err().to_string();
        assert_eq!(
            message,
            "infrastructure: QEMU 7.2.19 (Debian 1:7.2+dfsg-7+deb12u16) is too old to emulate a Debian 13 guest: its \
             kernel panics; QEMU 10 is needed, on Debian 12 from bookworm-backports"
        );
        assert!(refuse_old("10.0.2 (Debian 1:10.0.2+ds-2)").is_ok());
    }

    #[test]
    fn deadlines_grow_with_slowness_and_never_shrink() {
        let pace = |ms| Pace { first_line: Duration::from_millis(ms) };
        let ten = Duration::from_secs(10);
        assert_eq!(pace(100).scale(ten), ten);
        assert_eq!(pace(3000).scale(ten), Duration::from_secs(20));
        assert_eq!(pace(3_000_000).scale(ten), Duration::from_secs(200));
    }

    #[test]
    fn a_cached_verdict_is_believed() {
        let cache = tempfile::tempdir().unwrap();
        let version = qemu_version().unwrap();
        let folder = cache.path().join("accel");
        let first = trial_of(Engine::Tcg, Path::new("/no/kernel"), &version, cache.path()).unwrap_err();
        assert_eq!(first.to_string(), "there is no kernel at /no/kernel to try Tcg with");
        let release = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let key = format!("tcg-{version}-{}.json", release.trim()).replace([' ', '(', ')', ':'], "_");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(key), r#"{"runs":{"first-line-ms":1234}}"#).unwrap();
        let probed = probe(Accel::Tcg, Path::new("/no/kernel"), Some(cache.path())).unwrap();
        assert_eq!(probed, (Engine::Tcg, Pace { first_line: Duration::from_millis(1234) }));
    }
}
