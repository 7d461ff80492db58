//! The command line: what can be asked, with examples. Values only; [`crate::commands`] does the work.

mod build;
mod cache;
mod init;
mod layout;
mod machine;
mod pki;

use camino::Utf8PathBuf;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use build::{Build, EngineKey};
pub(crate) use cache::{Cache, Limit, Stored};
pub(crate) use init::Init;
pub(crate) use layout::{Fmt, Format, Graph, Render, RenderTarget};
pub(crate) use machine::{Accel, Lab, Machine, Open, Run, Standing, Verify};
pub(crate) use pki::{Client, Pki, PkiInit, PkiShow};

/// Several Docker daemons on one Linux machine, each bound to its own network and proven to serve only that network.
#[derive(Debug, Parser)]
#[command(name = "dmhost", version, about, max_term_width = 120, after_help = AFTER)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Results as text or as JSON on standard output.
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    pub(crate) output: Output,
    /// Colours: `auto` means on a terminal, and not when NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub(crate) color: Color,
}

const AFTER: &str = "\
Examples:
  dmhost init                                    a host spec to begin with, from this machine
  dmhost check host.toml                         every problem of a host spec, at once
  dmhost pki init host.toml                      CAs and certificates, in host.pki/ beside the spec
  dmhost build host.toml --out host.raw          a disk that boots
  dmhost verify host.toml --image host.raw       boot it and prove who can reach what

Exit codes: 0 yes; 1 the answer is no (bad spec, failed proof); 2 usage or no such file; 3 the machine (missing tool, no \
space, no network). \
128 and more: ended by a signal.";

const BLAME: &str = "\
Examples:
  dmhost blame host.toml /etc/dmhost/web/daemon.json      every line with what made it
  dmhost blame host.toml /etc/dmhost/web/daemon.json:12   all that made this line, and how else it would be
  dmhost blame host.toml host.toml:14                     what this line of the spec made
  dmhost blame host.toml host.toml                        how much each line of the spec made

Nothing is claimed: each value is changed in turn, and the layout rendered anew. What differs is due to it.";

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A path; the empty one is a slip (an unset variable in a script) and is refused before anything is done.
fn path() -> impl TypedValueParser<Value = Utf8PathBuf> {
    NonEmptyStringValueParser::new().map(Utf8PathBuf::from)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a host spec to begin with, from this machine's NICs or from flags; asks nothing
    #[command(after_help = init::HELP)]
    Init(Init),
    /// Report every problem of a host spec
    #[command(after_help = "Example:\n  dmhost check host.toml --output json | jq '.diagnostics[].message'")]
    Check(Spec),
    /// Tell what is wrong with hand-made daemon.json files and their units, alone and together
    #[command(after_help = "Example:\n  dmhost lint /etc/docker/daemon-*.json /etc/systemd/system/docker@.service\n\n\
                      A .json file is a daemon, a .service file its unit, anything else a file of its environment.")]
    Lint {
        /// What configures the daemons of one machine
        #[arg(value_name = "FILE", required = true, value_parser = path())]
        files: Vec<Utf8PathBuf>,
    },
    /// Explain the code of a diagnostic; without one, list them all
    #[command(after_help = "Example:\n  dmhost explain vlan-id-duplicate")]
    Explain {
        /// The code, as it stands in brackets after `error`
        code: Option<String>,
    },
    /// Put host specs into the one style; order, comments and meaning stay
    #[command(after_help = "Example:\n  dmhost fmt --check host.toml\n  dmhost fmt - < host.toml\n\n\
                      Files that change are named. With --check nothing is written: the exit code is 1 and the difference is \
                      printed if one is not in style. An array that you broke into lines stays so; one that is \
                      wider than 120 columns is broken.")]
    Fmt(Fmt),
    /// Tell which lines of a spec made a line of the layout, and which lines of the layout a line of the spec made
    #[command(after_help = BLAME)]
    Blame {
        #[command(flatten)]
        spec: Spec,
        /// FILE or FILE:LINE of the layout, or SPEC:LINE; SPEC alone for all lines of the spec
        #[arg(value_name = "PLACE", value_parser = NonEmptyStringValueParser::new())]
        place: String,
    },
    /// Draw NICs, VLANs, daemons and what is reached there
    #[command(after_help = "Examples:\n  dmhost graph host.toml\n  dmhost graph host.toml --out host.svg\n  \
                      dmhost graph host.toml --format ascii | lpr")]
    Graph(Graph),
    /// Write the layout of a host under its true paths
    #[command(after_help = "Examples:\n  dmhost render host.toml --out layout/ --without-secrets\n  \
                      dmhost render host.toml --out layout/ --target nixos\n\n\
                      A layout for NixOS holds no secrets: its tls/ are links into the folder of --credentials.")]
    Render(Render),
    /// Make the host image: a disk that UEFI boots, on metal or in a virtual machine
    #[command(after_help = build::HELP)]
    Build(Build),
    /// Boot the image and prove who can reach what, frame by frame
    #[command(after_help = "Examples:\n  dmhost verify host.toml --image host.raw --report proof/\n  \
                      dmhost verify host.toml --quick --keep capsule")]
    Verify(Verify),
    /// Go into a host whose proof was red, as it was at that instant; the capsule stays as it is
    #[command(
        after_help = "Example:\n  dmhost open capsule\n\nLeave with `poweroff`, or with Ctrl-A x. The capsule has the host's keys."
    )]
    Open(Open),
    /// What is slow to make and kept: list it, make it smaller
    #[command(subcommand, after_help = "Example:\n  dmhost cache ls")]
    Cache(Stored),
    /// Certificates
    #[command(subcommand, after_help = "Examples:\n  dmhost pki init host.toml\n  dmhost pki show host.toml")]
    Pki(Pki),
    /// Let a docker client use a daemon: issue its certificate, write a folder or a docker context
    #[command(
        after_help = "Examples:\n  dmhost client host.toml web --context && docker --context atlas-web version\n  eval \"$(dmhost client host.toml web --as ci --out creds/)\" && docker version\n  dmhost client host.toml lab --context lab6 --host 2001:db8:20::2\n\nThe context is HOST-DAEMON, or HOST-DAEMON-WHO, unless it is named; it goes where the docker client looks, in \n$DOCKER_CONFIG or ~/.docker. A context or folder that is not dmhost's is never touched."
    )]
    Client(Client),
    /// Boot the image with a console you are logged in to; nothing is written back
    #[command(
        after_help = "Example:\n  dmhost run host.toml --image host.raw\n\nLeave with `poweroff`, or with Ctrl-A x."
    )]
    Run(Run),
    /// Run a program, or a shell, on one of the host's networks: docker, curl, nmap as they are
    #[command(after_help = "Examples:\n  dmhost lab host.toml --on vlan:web -- docker ps\n  \
                      dmhost lab host.toml --on trunk:trunk --image host.raw\n\n\
                      The program is in a user and network namespace: its one link is on that network, the docker client \
                      finds the daemon there, and DNS names of the spec are known. Nothing is written back to the image. \
                      Exits as the program did.")]
    Lab(Lab),
    /// What `lab` runs in its namespace
    #[command(hide = true)]
    LabInside {
        /// The description of the place
        file: std::path::PathBuf,
        /// The program and its words
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<String>,
    },
    /// Print the JSON Schema of a host spec, for editors; or the page of every key, for people
    #[command(after_help = "Example:\n  dmhost schema > host-spec.schema.json\n\n\
                      Editors with taplo (Even Better TOML) use it when a spec's first line is\n  \
                      #:schema ./host-spec.schema.json")]
    Schema {
        /// The page of every key instead, as Markdown
        #[arg(long)]
        markdown: bool,
        /// The JSON Schema of `dmhost verify`'s report.json instead
        #[arg(long, conflicts_with = "markdown")]
        report: bool,
    },
    /// Write the man pages; without --out, print that of dmhost
    #[command(after_help = "Example:\n  dmhost man --out /usr/local/share/man/man1\n  dmhost man | man -l -")]
    Man {
        /// Folder for the pages dmhost.1, dmhost-check.1 and so on; made if it is not there
        #[arg(long, value_name = "DIR", value_parser = path())]
        out: Option<Utf8PathBuf>,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  dmhost completions bash > /etc/bash_completion.d/dmhost")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// A host spec.
#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// The host spec, a TOML file
    #[arg(value_name = "SPEC", value_parser = path())]
    pub(crate) path: Utf8PathBuf,
}
