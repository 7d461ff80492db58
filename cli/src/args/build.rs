//! `dmhost build`, and what every command that may build has of it.

use camino::Utf8PathBuf;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::{Cache, Limit, Spec, path};

pub(super) const HELP: &str = "\
Examples:
  dmhost build host.toml --out host.raw                  a disk that boots
  dmhost build host.toml --out host.raw --force          the same in place of one that is there
  dmhost build host.toml --out host.raw --update-lock    with the packages that the archive has now
  dmhost build host.toml --out host.raw --locked         in CI: exactly what host.lock pins

With --output json, standard error has a JSON object in each line while it builds, by `event`: `step-started` (step, index, \
count), `bytes` (done, total), `step-finished` (seconds, cached, bytes), `message`, `error` (message, exit_code); the result, one \
JSON object, is on standard output as with every command.

The lock is SPEC's name with .lock in place of .toml: every package by version and SHA-256. It is written where it is \
missing and used where it is there; keep it beside the spec.";

/// `dmhost build`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// The image to write: a raw disk, or qcow2 if the name ends in .qcow2
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) out: Utf8PathBuf,
    /// Overwrite FILE
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the steps and do none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Fail if the lock is missing or would change
    #[arg(long, conflicts_with = "update_lock")]
    pub(crate) locked: bool,
    /// Take the packages that the archive has now, and write the lock anew
    #[arg(long, conflicts_with = "offline")]
    pub(crate) update_lock: bool,
    /// Use no network: fail if the cache lacks something
    #[arg(long)]
    pub(crate) offline: bool,
    /// The Debian archive to fetch from [default: the one in this machine's /etc/apt, else deb.debian.org]
    #[arg(long, value_name = "URI", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) mirror: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineKey,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

/// Whom an engine's own archive is trusted as.
#[derive(Debug, Args)]
pub(crate) struct EngineKey {
    /// With `engine = "docker-ce"`: the key of Docker's archive, `linux/debian/gpg` of download.docker.com; it
    /// is held against its fingerprint
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) engine_key: Option<Utf8PathBuf>,
}
