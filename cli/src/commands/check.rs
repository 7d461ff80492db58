//! `dmhost check`: every problem of a spec, at once.

use camino::Utf8Path;

use super::read_spec;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(path: &Utf8Path, terminal: &Terminal) -> Result<(), Failure> {
    let (plan, diagnostics) = dmhost_layout::plan_from_bytes(path.as_str(), &read_spec(path)?);
    if terminal.json() {
        terminal.print(format!("{:#}", diagnostics.to_json()))?;
    } else {
        terminal.print(diagnostics.render(terminal.color_out()))?;
    }
    plan.map(|_| ()).ok_or(Failure::No)
}
