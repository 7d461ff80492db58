//! `dmhost pki init`: what is missing or stale is made, what is valid stays.

use std::time::SystemTime;

use dmhost_pki::Pki;

use crate::args;
use crate::commands::plan;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(spec: &args::Spec, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&spec.path, terminal)?;
    let folder = Pki::path_for(&spec.path);
    let changes = dmhost_pki::init(&plan, &folder, SystemTime::now()).map_err(Failure::of_input)?;
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
