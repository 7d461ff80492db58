//! `--target` of `dmhost render`: where the system has the programs and the credentials that a layout refers to.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::render::{Nixos, Program, Target};

use crate::args::{Render, RenderTarget};
use crate::failure::Failure;

/// The target that was asked for.
pub(super) fn read(args: &Render, plan: &HostPlan) -> Result<Target, Failure> {
    match args.target {
        RenderTarget::Base => {
            let given = [("--programs", args.programs.is_some()), ("--credentials", args.credentials.is_some())];
            match given.iter().find(|(_, given)| *given) {
                None => Ok(Target::base(plan)),
                Some((option, _)) => Err(Failure::Usage(anyhow!("{option} is for --target nixos"))),
            }
        }
        RenderTarget::Nixos => {
            let programs = match &args.programs {
                Some(file) => programs(file).map_err(Failure::Usage)?,
                None => BTreeMap::new(),
            };
            let credentials = args.credentials.clone().unwrap_or_else(|| Nixos::CREDENTIALS.into());
            if let Some(fault) = fault(&credentials) {
                return Err(Failure::Usage(anyhow!("--credentials {credentials} {fault}")));
            }
            if credentials.starts_with("/nix/store") {
                return Err(Failure::Usage(anyhow!(
                    "--credentials {credentials} is in the store, which everybody can read"
                )));
            }
            Ok(Target::Nixos(Nixos { programs, credentials }))
        }
    }
}

/// Reads a map of programs; all that is wrong with it is told at once.
fn programs(file: &Utf8Path) -> anyhow::Result<BTreeMap<Program, Utf8PathBuf>> {
    let text = fs_err::read_to_string(file).with_context(|| format!("cannot read the programs of {file}"))?;
    let map: BTreeMap<String, Utf8PathBuf> = serde_json::from_str(&text)
        .with_context(|| format!("{file} is not a JSON object of programs and their paths"))?;
    let mut faults = Vec::new();
    let mut programs = BTreeMap::new();
    for (name, path) in map {
        match (Program::named(&name), fault(&path)) {
            (Some(program), None) => drop(programs.insert(program, path)),
            (Some(_), Some(fault)) => faults.push(format!("{name}: {path} {fault}")),
            (None, _) => faults.push(format!("{name} is no program that a layout calls")),
        }
    }
    if faults.is_empty() {
        return Ok(programs);
    }
    let names = Program::ALL.map(Program::name).join(", ");
    Err(anyhow!("{file}: {}\nwhat a layout calls: {names}", faults.join("; ")))
}

/// What keeps a path out of units and scripts: they would take it apart.
fn fault(path: &Utf8Path) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._+-=?@,:".contains(&byte);
    if !path.is_absolute() {
        Some("is not an absolute path")
    } else if !path.as_str().bytes().all(plain) {
        Some("has a character that units and scripts take apart")
    } else {
        None
    }
}
