//! One file per command: what it needs, whom it asks, what it prints.

mod blame;
mod build;
mod cache;
mod check;
mod client;
mod explain;
mod fmt;
mod graph;
mod image;
mod init;
mod lab;
mod lint;
mod man;
mod open;
mod pki;
mod render;
mod run;
mod schema;
mod target;
mod tools;
mod trials;
mod verify;

use std::io::Read;

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::CommandFactory;
use dmhost_layout::HostPlan;

use crate::args::{Cache, Cli, Command};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Does what was asked.
pub(crate) fn run(command: Command, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        Command::Check(spec) => check::run(&spec.path, terminal),
        Command::Lint { files } => lint::run(&files, terminal),
        Command::Explain { code } => explain::run(code.as_deref(), terminal),
        Command::Init(args) => init::run(&args, terminal),
        Command::Fmt(args) => fmt::run(&args, terminal),
        Command::Blame { spec, place } => blame::run(&spec.path, &place, terminal),
        Command::Graph(args) => graph::run(&args, terminal),
        Command::Render(args) => render::run(&args, terminal),
        Command::Build(args) => build::run(&args, terminal),
        Command::Verify(args) => verify::run(&args, terminal),
        Command::Open(args) => open::run(&args, terminal),
        Command::Run(args) => run::run(&args, terminal),
        Command::Lab(args) => lab::run(&args, terminal),
        Command::LabInside { file, program } => lab::inside(&file, &program),
        Command::Client(args) => client::run(&args, terminal),
        Command::Cache(args) => cache::run(&args, terminal),
        Command::Pki(args) => pki::run(&args, terminal),
        Command::Schema { markdown, report } => schema::run(markdown, report, terminal),
        Command::Man { out } => man::run(out.as_deref(), terminal),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dmhost", &mut script);
            terminal.print(String::from_utf8_lossy(&script))
        }
    }
}

/// Reads and plans a spec; what is wrong with it goes to standard error.
fn plan(path: &Utf8Path, terminal: &Terminal) -> Result<HostPlan, Failure> {
    let (plan, diagnostics) = dmhost_layout::plan_from_bytes(path.as_str(), &read_spec(path)?);
    terminal.say(diagnostics.render(terminal.color_err()));
    plan.ok_or(Failure::No)
}

/// The most bytes that are read of a spec. More than any host has; what is larger is not a spec but a mistake.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The bytes of a spec.
fn read_spec(path: &Utf8Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(anyhow!("cannot read {path}: {}", reason(&error)));
    let metadata = path.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::Usage(anyhow!("{path} is a folder; name the host spec, a TOML file")));
    }
    if metadata.len() > LIMIT {
        return Err(Failure::Usage(anyhow!("{path} has {} bytes; a host spec has at most {LIMIT}", metadata.len())));
    }
    // Pipes have no length: `dmhost check <(...)`.
    let mut bytes = Vec::new();
    let file = std::fs::OpenOptions::new().read(true).open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::Usage(anyhow!("{path} has more than {LIMIT} bytes, the most that a host spec has")));
    }
    Ok(bytes)
}

/// The system's words without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// The folder for what is slow to make.
fn cache_dir(cache: &Cache) -> Result<Utf8PathBuf, Failure> {
    if let Some(dir) = &cache.cache_dir {
        return Ok(dir.clone());
    }
    let from = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Utf8PathBuf::from);
    from("XDG_CACHE_HOME")
        .or_else(|| Some(from("HOME")?.join(".cache")))
        .map(|base| base.join("dmhost"))
        .context("neither XDG_CACHE_HOME nor HOME is set; say --cache-dir DIR")
        .map_err(Failure::Usage)
}
