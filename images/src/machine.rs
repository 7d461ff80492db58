//! The machine that builds: which tools it has, how a build gets root's rights over its files, and what can be wrong with it.
//!
//! Root uses a mount namespace; everybody else a user namespace as well, with the ranges of `/etc/subuid`.

use std::fmt;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};

use crate::format::Format;
use crate::sources::KEYRING;

/// Something about the machine, not about the spec, stops a build: exit code 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineError {
    /// Programs or files are not there, or too old.
    MissingTools(Vec<Missing>),
    /// The user has no range in `/etc/subuid` or `/etc/subgid`.
    NoSubordinateIds {
        /// Who builds.
        user: String,
    },
    /// The user has ranges, and the kernel or its rules let no user namespace be made all the same.
    NoUserNamespace {
        /// The words of who tried.
        detail: String,
    },
    /// Rights over files are pretended, and `mkfs.btrfs` does not see that.
    Fakeroot,
    /// A file system is full.
    NoSpace {
        /// What was attempted.
        attempt: String,
    },
    /// The package archive does not answer.
    NoNetwork {
        /// apt's own words.
        detail: String,
    },
    /// The package archive is not signed with the key that it has to be signed with.
    BadSignature {
        /// apt's own words.
        detail: String,
    },
    /// The archive no longer has a package that is pinned.
    PinGone {
        /// The package's file.
        file: String,
    },
    /// What a build without network needs is not in the cache.
    NotCached {
        /// What that is.
        detail: String,
    },
}

/// A tool that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What was looked for.
    pub tool: String,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What else must be known, for example that Debian 12 needs its backports.
    pub note: Option<&'static str>,
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTools(missing) => {
                f.write_str("this machine lacks what a build needs:")?;
                let mut packages: Vec<&str> = Vec::new();
                for Missing { tool, package, note } in missing {
                    write!(f, "\n  {tool}: install the package {package}")?;
                    if let Some(note) = note {
                        write!(f, " ({note})")?;
                    }
                    if !packages.contains(package) {
                        packages.push(package);
                    }
                }
                write!(f, "\nall of it, on Debian: apt-get install {}", packages.join(" "))
            }
            Self::Fakeroot => f.write_str(
                "this is fakeroot, which mkfs.btrfs does not see: everything in the image would belong to who builds it; \
                 run dmhost without it, as yourself or as root",
            ),
            Self::NoSubordinateIds { user } => write!(
                f,
                "{user} has no range of subordinate ids: add one with \
                 `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`, or build as root"
            ),
            Self::NoUserNamespace { detail } => write!(
                f,
                "this machine lets ordinary users make no user namespaces: {detail}\n  see the sysctls \
                 kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and \
                 user.max_user_namespaces, or build as root"
            ),
            Self::NoSpace { attempt } => write!(f, "no space left on the device: {attempt}"),
            Self::NoNetwork { detail } => write!(f, "the package archive cannot be reached: {detail}"),
            Self::BadSignature { detail } => {
                write!(f, "the package archive is not signed with its own key, and is not used: {detail}")
            }
            Self::PinGone { file } => write!(
                f,
                "the archive no longer has {file}, which the lock pins: say --update-lock to take what it has now"
            ),
            Self::NotCached { detail } => write!(f, "the cache lacks {detail}: build once without --offline"),
        }
    }
}

impl std::error::Error for MachineError {}

/// How a build gets the rights to make files of every owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// As root. Packages' maintainer scripts then run as the machine's real root, in a chroot.
    Root,
    /// In a user namespace: root inside is the caller outside.
    UserNamespace,
}

impl Privilege {
    /// What this process has.
    pub fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() { Self::Root } else { Self::UserNamespace }
    }

    /// The argv to put before a command that mounts or owns files. Everything in it dies with the caller: the last
    /// `unshare` is the parent of the namespace's first process, and is killed when this program's thread ends.
    pub fn enter(self) -> Vec<String> {
        let outer: &[&str] = match self {
            Self::Root => &[],
            Self::UserNamespace => &["unshare", "--user", "--map-root-user", "--map-auto"],
        };
        // setpriv after the user namespace: entering one clears the signal.
        let inner = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"];
        let last = ["--pid", "--fork", "--kill-child", "--mount-proc", "--"];
        outer.iter().chain(&inner).chain(&last).map(|&word| word.to_owned()).collect()
    }
}

/// `PATH` with the folders that Debian leaves out for ordinary users.
pub(crate) fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

fn find(tool: &str) -> Option<Utf8PathBuf> {
    search_path()
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Utf8Path::new(folder).join(tool))
        .find(|path| path.is_file())
}

/// Checks that the machine can build.
///
/// # Errors
/// A [`MachineError`] that names everything that is missing, at once.
pub fn preflight(privilege: Privilege, format: Format) -> anyhow::Result<()> {
    const BACKPORTS: &str = "6.13 or later; on Debian 12 from bookworm-backports";
    if std::env::var_os("FAKEROOTKEY").is_some() {
        return Err(MachineError::Fakeroot.into());
    }
    let mut missing = Vec::new();
    let mut tools = vec![
        ("mmdebstrap", "mmdebstrap"),
        ("apt-get", "apt"),
        ("dpkg-deb", "dpkg"),
        ("flock", "util-linux"),
        ("unshare", "util-linux"),
        ("setpriv", "util-linux"),
        ("mount", "mount"),
        ("tar", "tar"),
        ("chroot", "coreutils"),
    ];
    match privilege {
        Privilege::Root => {}
        Privilege::UserNamespace => tools.extend([("newuidmap", "uidmap"), ("newgidmap", "uidmap")]),
    }
    match format {
        Format::Raw => {}
        Format::Qcow2 => tools.push(("qemu-img", "qemu-utils")),
    }
    for (tool, package) in tools {
        if find(tool).is_none() {
            missing.push(Missing { tool: tool.to_owned(), package, note: None });
        }
    }
    if !Utf8Path::new(KEYRING).is_file() {
        missing.push(Missing { tool: KEYRING.to_owned(), package: "debian-archive-keyring", note: None });
    }
    match find("mkfs.btrfs") {
        None => missing.push(Missing { tool: "mkfs.btrfs".to_owned(), package: "btrfs-progs", note: Some(BACKPORTS) }),
        Some(path) => {
            if let Some(tool) = mkfs_lacks(&ask(&path, "--help")?, &ask(&path, "--version")?) {
                let note = if tool.contains("7.0") { "7.0 writes files that cannot be read" } else { BACKPORTS };
                missing.push(Missing { tool, package: "btrfs-progs", note: Some(note) });
            }
        }
    }
    if !missing.is_empty() {
        return Err(MachineError::MissingTools(missing).into());
    }
    match privilege {
        Privilege::Root => Ok(()),
        Privilege::UserNamespace => {
            subordinate_ids()?;
            user_namespace(privilege)
        }
    }
}

fn ask(path: &Utf8Path, option: &str) -> anyhow::Result<String> {
    let output = duct::cmd!(path.as_str(), option).stderr_to_stdout().stdout_capture().unchecked().run();
    let output = output.with_context(|| format!("could not run {path} {option}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What this mkfs.btrfs cannot do. Features are probed; a version is refused only where it is known to be broken:
/// 7.0 writes unreadable files with `--compress` (<https://github.com/kdave/btrfs-progs/issues/1135>).
fn mkfs_lacks(help: &str, version: &str) -> Option<String> {
    let number = version.split_whitespace().find_map(|word| word.strip_prefix('v')).unwrap_or_default();
    if number == "7.0" {
        return Some("mkfs.btrfs other than 7.0".to_owned());
    }
    ["--rootdir", "--subvol", "--compress"]
        .into_iter()
        .find(|option| !help.contains(option))
        .map(|option| format!("mkfs.btrfs with {option}"))
}

fn subordinate_ids() -> anyhow::Result<()> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs_err::read_to_string("/etc/passwd").context("could not read who the user is")?;
    let user = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    let user = user.unwrap_or_else(|| uid.clone());
    for file in ["/etc/subuid", "/etc/subgid"] {
        let ranges = fs_err::read_to_string(file).unwrap_or_default();
        let mut owners = ranges.lines().filter_map(|line| line.split(':').next());
        if !owners.any(|owner| owner == user || owner == uid) {
            return Err(MachineError::NoSubordinateIds { user }.into());
        }
    }
    Ok(())
}

/// Whether a namespace can be made is told by making one: there are several sysctls and security modules in the way.
fn user_namespace(privilege: Privilege) -> anyhow::Result<()> {
    let argv: Vec<_> = privilege.enter().into_iter().chain(["true".to_owned()]).collect();
    let trial = duct::cmd(&argv[0], &argv[1..]).env("PATH", search_path()).stderr_to_stdout().stdout_capture();
    let output = trial.unchecked().run().context("could not run unshare")?;
    if output.status.success() {
        return Ok(());
    }
    let detail = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Err(MachineError::NoUserNamespace { detail }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mkfs_is_probed_by_feature_and_refused_by_one_version() {
        let new = "--rootdir DIR\n--compress ALGO\n--subvol TYPE:SUBDIR";
        assert_eq!(mkfs_lacks(new, "mkfs.btrfs, part of btrfs-progs v6.14"), None);
        assert_eq!(mkfs_lacks(new, "mkfs.btrfs, part of btrfs-progs v7.0.1"), None);
        assert_eq!(
            mkfs_lacks(new, "mkfs.btrfs, part of btrfs-progs v7.0\n"),
            Some("mkfs.btrfs other than 7.0".to_owned())
        );
        assert_eq!(mkfs_lacks("--rootdir DIR", "v6.2"), Some("mkfs.btrfs with --subvol".to_owned()));
    }

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let missing =
            Missing { tool: "mkfs.btrfs".to_owned(), package: "btrfs-progs", note: Some("from bookworm-backports") };
        assert_eq!(
            MachineError::MissingTools(vec![missing]).to_string(),
            "this machine lacks what a build needs:\n  mkfs.btrfs: install the package btrfs-progs (from bookworm-backports)\n\
             all of it, on Debian: apt-get install btrfs-progs"
        );
    }
}
