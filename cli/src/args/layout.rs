//! What reads a spec and writes text of it: `fmt`, `graph`, `render`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{Spec, path};

/// `dmhost fmt`.
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Host specs, TOML files; `-`: from standard input to standard output
    #[arg(value_name = "SPEC", required = true, value_parser = path())]
    pub(crate) specs: Vec<Utf8PathBuf>,
    /// Write nothing; print what would change
    #[arg(long)]
    pub(crate) check: bool,
}

/// `dmhost graph`.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// What to draw with [default: svg for --out FILE.svg, else box]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// The file to write, in place of standard output
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) out: Option<Utf8PathBuf>,
    /// Overwrite FILE
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// What a drawing is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Box drawing characters.
    Box,
    /// ASCII alone.
    Ascii,
    /// An SVG document, light or dark as its reader has it.
    Svg,
}

/// `dmhost render`.
#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// Folder for the layout: new, empty, or one that `dmhost render` wrote
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) out: Utf8PathBuf,
    /// Write `NAME.missing` in place of certificates and keys
    #[arg(long)]
    pub(crate) without_secrets: bool,
    /// The system that the layout is for
    #[arg(long, value_enum, default_value_t = RenderTarget::Base)]
    pub(crate) target: RenderTarget,
    /// With --target nixos: a JSON object of absolute program paths, `{ "ip": "/nix/store/.../bin/ip" }`; what it does not
    /// name is the system profile's
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) programs: Option<Utf8PathBuf>,
    /// With --target nixos: the folder with DAEMON/ca.pem, cert.pem and key.pem [default: /var/lib/dmhost/credentials]
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) credentials: Option<Utf8PathBuf>,
}

/// The system that a layout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderTarget {
    /// The base and the engine that the spec names.
    Base,
    /// NixOS, for the module of `flake.nix`.
    Nixos,
}
