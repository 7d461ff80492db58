//! `dmhost schema`: what a host spec may say, for editors and for people.

use dmhost_layout::reference;

use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(markdown: bool, terminal: &Terminal) -> Result<(), Failure> {
    match (markdown, terminal.json()) {
        (false, _) => terminal.print(format!("{:#}\n", reference::schema())),
        (true, false) => terminal.print(reference::markdown()),
        (true, true) => terminal.print(format!("{:#}", serde_json::json!({ "markdown": reference::markdown() }))),
    }
}
