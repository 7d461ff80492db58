//! Plan -> layout: one file per kind of configuration, one line each in `PARTS`.
//!
//! Rendering is total: whatever a plan holds can be written, so nothing here fails. Text goes through one writer per
//! format (`unit`, `rules`), which owns quoting; daemon.json goes through serde.

mod host;
mod rules;
mod shell;
mod unit;
mod zone;

use crate::layout::Layout;
use crate::plan::HostPlan;

/// Every kind of file a host gets. To add one: a module with such a function, and its line here.
const PARTS: &[fn(&HostPlan, &mut Layout)] = &[
    host::identity::render,
    host::storage::render,
    host::network::render,
    host::sysctl::render,
    host::firewall::render,
    host::admin::render,
    host::services::render,
    zone::render,
];

/// Renders the whole layout of a host.
pub fn render(plan: &HostPlan) -> Layout {
    let mut layout = Layout::new();
    for part in PARTS {
        part(plan, &mut layout);
    }
    layout
}
