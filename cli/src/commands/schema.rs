//! `dmhost schema`: what a host spec may say, for editors and for people; and what stands in a report.

use dmhost_layout::reference;

use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(markdown: bool, report: bool, terminal: &Terminal) -> Result<(), Failure> {
    if report {
        return terminal.print(format!("{:#}\n", vm_tests::proof::report::schema()));
    }
    match (markdown, terminal.json()) {
        (false, _) => terminal.print(format!("{:#}\n", reference::schema())),
        (true, false) => terminal.print(reference::markdown()),
        (true, true) => terminal.print(format!("{:#}", serde_json::json!({ "markdown": reference::markdown() }))),
    }
}
