//! Plan -> layout: one file per kind of configuration, one line each in `PARTS` or `CALLERS`.
//!
//! Rendering is total: whatever a plan holds can be written, so nothing here fails. Text goes through one writer per
//! format (`unit`, `rules`), which owns quoting; daemon.json goes through serde.

mod daemon;
mod host;
mod nixos;
mod program;
mod rules;
mod shared;
mod shell;
mod target;
mod unit;
mod zone;

pub use nixos::{Elsewhere, elsewhere};
pub use program::Program;
pub use target::{Nixos, Target};

use crate::layout::Layout;
use crate::plan::HostPlan;

/// Every kind of file a host gets. To add one: a module with such a function, and its line here.
const PARTS: &[fn(&HostPlan, &mut Layout)] = &[
    host::identity::render,
    host::storage::render,
    host::first_boot::render,
    host::kernels::render,
    host::network::render,
    host::sysctl::render,
    host::admin::render,
    host::services::render,
    host::files::render,
];

/// The kinds of files that call programs, which each target has elsewhere.
const CALLERS: &[fn(&HostPlan, &Target, &mut Layout)] =
    &[host::firewall::render, host::refusals::render, daemon::render, zone::render, shared::render];

/// Renders the whole layout of a host for its base.
pub fn render(plan: &HostPlan) -> Layout {
    render_for(plan, &Target::base(plan))
}

/// Renders the whole layout of a host for a target.
pub fn render_for(plan: &HostPlan, target: &Target) -> Layout {
    let mut layout = Layout::new();
    for part in PARTS {
        part(plan, &mut layout);
    }
    for caller in CALLERS {
        caller(plan, target, &mut layout);
    }
    match target {
        Target::Debian(_) => layout,
        Target::Nixos(nixos) => nixos::adapt(&layout, nixos),
    }
}
