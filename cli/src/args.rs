//! The command line: what can be asked, with examples. Values only; [`crate::commands`] does the work.

mod init;

use camino::Utf8PathBuf;
use clap::builder::NonEmptyStringValueParser;
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use dmhost_layout::plan::InterfaceName;

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
    #[command(after_help = INIT)]
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
    #[command(after_help = BUILD)]
    Build(Build),
    /// Boot the image and prove who can reach what, frame by frame
    #[command(after_help = "Example:\n  dmhost verify host.toml --image host.raw --report proof/")]
    Verify(Verify),
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

const BUILD: &str = "\
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

/// A host spec.
#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// The host spec, a TOML file
    #[arg(value_name = "SPEC", value_parser = path())]
    pub(crate) path: Utf8PathBuf,
}

const INIT: &str = "\
Examples:
  dmhost init                                    from this machine, into host.toml
  dmhost init --daemon web=enp2s0 --daemon lab=enp3s0 --admin enp1s0
  dmhost init --name atlas --nic lan@52:54:00:00:00:01=192.0.2.10/24 --gateway 192.0.2.1 \\
      --nic trunk@52:54:00:00:00:02 --vlan web@trunk:10=198.51.100.2/24 --daemon web=web

Without --daemon, the interface with a gateway is the administrator's, and each other one that has an address gets a \
daemon of its own. With --nic, another machine is described, and of this one only the keys are read. What this machine has \
and a spec cannot say stands in the file as a comment.

The spec passes `dmhost check`, whatever is missing. Exit codes: 0 it is a whole host; 1 it was written, and what \
standard error and its `FILL IN` lines tell is to be filled in (a NIC, a key, an interface for a daemon); 2 a flag cannot be \
had, or the file is there already; nothing was written. 3 the machine cannot be asked.

The first line, `#:schema ./host-spec.schema.json`, is for editors (taplo, Even Better TOML): they complete and check keys \
without a network if that file is beside the spec: `dmhost schema > host-spec.schema.json`.";

/// `dmhost init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The spec to write; `-`: to standard output
    #[arg(long, value_name = "FILE", default_value = "host.toml", value_parser = path())]
    pub(crate) out: Utf8PathBuf,
    /// Overwrite FILE
    #[arg(long)]
    pub(crate) force: bool,
    /// The host's name [default: this machine's]
    #[arg(long, value_parser = init::host)]
    pub(crate) name: Option<String>,
    /// A NIC and its addresses; repeat it for each. This machine's are not read then
    #[arg(long, value_name = "[NAME@]MAC[=ADDR/LEN,...]", value_parser = init::nic)]
    pub(crate) nic: Vec<init::Nic>,
    /// A VLAN on a NIC, and its addresses; repeat it for each
    #[arg(long, value_name = "[NAME@]NIC:VID[=ADDR/LEN,...]", value_parser = init::vlan)]
    pub(crate) vlan: Vec<init::Vlan>,
    /// The default gateway of the interface whose subnet it is on; repeat it for each
    #[arg(long, value_name = "ADDR")]
    pub(crate) gateway: Vec<std::net::IpAddr>,
    /// A name server; repeat it for each [default: this machine's]
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns: Vec<std::net::IpAddr>,
    /// A daemon and its interfaces; repeat it for each
    #[arg(long, value_name = "NAME=IF[,IF...]", value_parser = init::daemon)]
    pub(crate) daemon: Vec<(String, Vec<String>)>,
    /// The interface that sshd answers on
    #[arg(long, value_name = "IF")]
    pub(crate) admin: Option<String>,
    /// A public key, or a file of them; repeat it for each [default: ~/.ssh/id_*.pub]
    #[arg(long, value_name = "FILE|KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) authorized_key: Vec<String>,
}

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

/// How a virtual machine is run.
#[derive(Debug, Args)]
pub(crate) struct Machine {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// An image that `dmhost build` made; without it, one is built
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub(crate) image: Option<Utf8PathBuf>,
    /// Acceleration: `auto` boots a kernel once to see what works here
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    #[command(flatten)]
    pub(crate) engine: EngineKey,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) limit: Limit,
}

/// `dmhost verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Boot the image even if its booted state is in the cache
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Folder for the capture (pcapng), the console and the report
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) report: Option<Utf8PathBuf>,
    /// Not every TCP port, but those in use and 1,000 random ones; no hostile frames
    #[arg(long)]
    pub(crate) quick: bool,
    /// Boot the disk by UEFI as on a machine of its own: no kernel is handed in, no agent answers, the network alone judges
    #[arg(long)]
    pub(crate) truth: bool,
}

/// `dmhost run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `dmhost lab`.
#[derive(Debug, Args)]
pub(crate) struct Lab {
    #[command(flatten)]
    pub(crate) machine: Machine,
    /// Which network: `vlan:INTERFACE`, or `trunk:INTERFACE` for the untagged side of a trunk
    #[arg(long, value_name = "VANTAGE")]
    pub(crate) on: Standing,
    /// Whose client certificate of the daemon
    #[arg(long = "as", value_name = "CLIENT", default_value = dmhost_pki::DEFAULT_CLIENT)]
    pub(crate) who: String,
    /// Boot the image even if its booted state is in the cache
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Folder for the capture (pcapng) and the console
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) report: Option<Utf8PathBuf>,
    /// The program and its words; without it, $SHELL
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<String>,
}

/// Where somebody can stand on a host's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Vlan(InterfaceName),
    Trunk(InterfaceName),
}

impl std::str::FromStr for Standing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network of a host: `vlan:INTERFACE` or `trunk:INTERFACE`");
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let name = name.parse().map_err(|_| wrong())?;
        match kind {
            "vlan" => Ok(Self::Vlan(name)),
            "trunk" => Ok(Self::Trunk(name)),
            _ => Err(wrong()),
        }
    }
}

/// How QEMU runs the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// What a kernel was seen to boot on.
    Auto,
    /// Hardware virtualisation.
    Kvm,
    /// Software emulation.
    Tcg,
}

/// `dmhost pki`.
#[derive(Debug, Subcommand)]
pub(crate) enum Pki {
    /// Make the CAs, server and client certificates that are missing or no longer fit the spec
    #[command(
        after_help = "Examples:\n  dmhost pki init host.toml\n  dmhost pki init host.toml --server-ca corp.pem,corp-key.pem --client-ca web=team.pem\n\nThe folder is SPEC's name with .pki in place of .toml, mode 0700; what is still valid stays as it is."
    )]
    Init(PkiInit),
    /// Tell of each CA and certificate what it says, how long it lasts and whether it fits the spec
    #[command(
        after_help = "Examples:\n  dmhost pki show host.toml\n  dmhost pki show host.toml --days 60 || mail -s 'certificates of atlas' ops\n\nExit code 1 if one is missing, does not fit or ends too soon. No key is ever printed."
    )]
    Show(PkiShow),
}

/// `dmhost pki show`.
#[derive(Debug, Args)]
pub(crate) struct PkiShow {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// What ends within this many days is a no
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) days: u32,
}

/// `dmhost client`.
#[derive(Debug, Args)]
#[group(id = "place", required = true, multiple = false, args = ["context", "out"])]
pub(crate) struct Client {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// The daemon, by its name in the spec
    pub(crate) daemon: String,
    /// The client's name, for whom a certificate is issued unless there is one that lasts
    #[arg(long = "as", value_name = "WHO", default_value = dmhost_pki::DEFAULT_CLIENT)]
    pub(crate) who: String,
    /// Make a docker context [default name: HOST-DAEMON, or HOST-DAEMON-WHO]
    // Without a name it is the empty one, which docker takes for none either.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) context: Option<String>,
    /// Write a folder for DOCKER_CERT_PATH: new, empty, or this client's already
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) out: Option<Utf8PathBuf>,
    /// Which address or name of the daemon to dial [default: its first address]
    #[arg(long, visible_alias = "address", value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The key of the daemon's client CA, where it is kept outside of the PKI folder; it is not copied
    #[arg(long, value_name = "KEY", value_parser = path())]
    pub(crate) ca_key: Option<Utf8PathBuf>,
}

/// `dmhost pki init`.
#[derive(Debug, Args)]
pub(crate) struct PkiInit {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// Your own CA for the server certificates: PEM files, CERT up to its root; the key is used and not copied
    #[arg(long, value_name = "CERT,KEY", value_parser = ca_files)]
    pub(crate) server_ca: Option<dmhost_pki::CaFiles>,
    /// Your own CA for the clients of one daemon; without KEY you issue their certificates yourself
    #[arg(long, value_name = "DAEMON=CERT[,KEY]", value_parser = daemon_ca)]
    pub(crate) client_ca: Vec<(String, dmhost_pki::CaFiles)>,
}

/// `CERT[,KEY]`.
fn ca_files(text: &str) -> Result<dmhost_pki::CaFiles, String> {
    let (certificate, key) = text.split_once(',').map_or((text, None), |(certificate, key)| (certificate, Some(key)));
    if certificate.is_empty() || key.is_some_and(str::is_empty) {
        return Err("an empty path".to_owned());
    }
    Ok(dmhost_pki::CaFiles { certificate: certificate.into(), key: key.map(Into::into) })
}

/// `DAEMON=CERT[,KEY]`.
fn daemon_ca(text: &str) -> Result<(String, dmhost_pki::CaFiles), String> {
    let (daemon, files) = text.split_once('=').ok_or("not of the form DAEMON=CERT[,KEY]")?;
    Ok((daemon.to_owned(), ca_files(files)?))
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
