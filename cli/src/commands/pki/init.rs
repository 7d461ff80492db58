//! `dmhost pki init`: what is missing or stale is made, what is valid stays.

use std::time::SystemTime;

use anyhow::anyhow;
use dmhost_pki::{Brought, Pki};

use crate::args;
use crate::commands::plan;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::PkiInit, terminal: &Terminal) -> Result<(), Failure> {
    let spec = &args.spec;
    let mut brought = Brought { server_ca: args.server_ca.clone(), ..Brought::default() };
    for (daemon, files) in &args.client_ca {
        if brought.client_cas.insert(daemon.clone(), files.clone()).is_some() {
            return Err(Failure::Usage(anyhow!("--client-ca is said twice for {daemon}")));
        }
    }
    let plan = plan(&spec.path, terminal)?;
    let folder = Pki::path_for(&spec.path);
    let changes = dmhost_pki::init_with(&plan, &folder, &brought, SystemTime::now()).map_err(Failure::of_input)?;
    if terminal.json() {
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        terminal.print(format!("{:#}", serde_json::json!({ "folder": folder, "changes": changes })))
    } else if changes.is_empty() {
        terminal.print(format!("{folder}: everything is there and valid; nothing changed"))
    } else {
        let lines: String = changes.iter().map(|change| format!("{change}\n")).collect();
        terminal.print(lines)
    }
}
