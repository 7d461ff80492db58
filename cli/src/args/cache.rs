//! `dmhost cache`, and where every command keeps what is slow to make.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::path;

/// Where what is slow to make is kept.
#[derive(Debug, Args)]
pub(crate) struct Cache {
    /// Folder for what is slow to make [default: $XDG_CACHE_HOME/dmhost or ~/.cache/dmhost]
    #[arg(long, value_name = "DIR", value_parser = path(), env = "DMHOST_CACHE_DIR")]
    pub(crate) cache_dir: Option<Utf8PathBuf>,
}

/// How large the cache may become.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// The most that the cache may take after a build: what was not used for longest is removed, never what is in use (SIZE:
    /// bytes, KiB, MiB, GiB, TiB)
    #[arg(long, value_name = "SIZE", value_parser = size, env = "DMHOST_CACHE_LIMIT", default_value = "8GiB")]
    pub(crate) cache_limit: Option<u64>,
}

/// `dmhost cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum Stored {
    /// List bases and packages, the longest unused first
    #[command(after_help = "Example:\n  dmhost cache ls --output json")]
    Ls(Cache),
    /// Remove what interrupted builds and other versions left, and more if it is said; never what is in use
    #[command(after_help = "Example:\n  dmhost cache prune --max-size 4GiB")]
    Prune {
        #[command(flatten)]
        cache: Cache,
        /// Then remove what was not used for longest, until the rest takes no more than SIZE (bytes, KiB, MiB, GiB, TiB)
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Remove everything
        #[arg(long, conflicts_with = "max_size")]
        all: bool,
    },
}

/// A number of bytes, or of a unit of them.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err("say a number and KiB, MiB, GiB or TiB, for example 4GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "say a number and a unit, for example 4GiB".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "no disk has as much".to_owned())
}
