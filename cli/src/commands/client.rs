//! `dmhost client`: what a docker client needs to talk to a daemon, where it looks for it.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use camino::Utf8PathBuf;
use dmhost_pki::{Contact, Pki};
use serde_json::json;

use super::plan;
use crate::args;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Client, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let contact = Contact::new(&plan, &args.daemon, &args.who, args.host.as_deref()).map_err(Failure::Usage)?;
    let folder = Pki::path_for(&args.spec.path);
    let place = Place::of(args, &contact)?;
    match &place {
        Place::Folder(dir) => contact.check_folder(dir),
        Place::Context { config, name } => contact.check_context(config, name),
    }
    .map_err(Failure::of_input)?;
    let now = SystemTime::now();
    let (bundle, changes) =
        dmhost_pki::issue_client(&plan, &folder, &contact, args.ca_key.as_deref(), now).map_err(Failure::of_input)?;
    let issued: Vec<_> = changes.iter().map(ToString::to_string).collect();
    terminal.say(issued.join("\n"));
    let said = |place: serde_json::Value, changed: bool| {
        let mut whole = json!({
            "daemon": contact.daemon.as_str(), "client": contact.client, "host": contact.endpoint,
            "issued": issued, "changed": changed
        });
        if let (Some(whole), Some(place)) = (whole.as_object_mut(), place.as_object()) {
            whole.extend(place.clone());
        }
        terminal.print(format!("{whole:#}"))
    };
    match place {
        Place::Folder(dir) => {
            let wrote = contact.write_folder(&bundle, &dir).map_err(Failure::of_input)?;
            let exports = contact.exports(&dir)?;
            if terminal.json() { said(json!({ "folder": dir }), wrote) } else { terminal.print(exports) }
        }
        Place::Context { config, name } => {
            let wrote = contact.write_context(&bundle, &config, &name).map_err(Failure::of_input)?;
            if terminal.json() {
                return said(json!({ "context": name }), wrote);
            }
            let state = if wrote { "" } else { "; nothing changed" };
            terminal.print(format!("docker --context {name} dials {}{state}", contact.endpoint))
        }
    }
}

/// Where the client's files go.
enum Place {
    Folder(Utf8PathBuf),
    Context { config: Utf8PathBuf, name: String },
}

impl Place {
    fn of(args: &args::Client, contact: &Contact) -> Result<Self, Failure> {
        if let Some(dir) = &args.out {
            return Ok(Self::Folder(dir.clone()));
        }
        let name = args.context.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| contact.context_name());
        Ok(Self::Context { config: docker_config()?, name })
    }
}

/// Where the docker client keeps its contexts: docker/cli, `cli/config`.
fn docker_config() -> Result<Utf8PathBuf, Failure> {
    let from = |variable: &str| {
        let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
        Some(Utf8PathBuf::from_os_string(value).map_err(|_| anyhow!("{variable} is not UTF-8")))
    };
    from("DOCKER_CONFIG")
        .or_else(|| Some(from("HOME")?.map(|home| home.join(".docker"))))
        .context("neither DOCKER_CONFIG nor HOME is set, so there is no place for a docker context; say --out DIR")
        .and_then(|found| found)
        .map_err(Failure::Usage)
}
