//! Daemons in the host's namespace: a bridge each, a routing table each, and their part of the host's own rules.
//!
//! The rules stand before any link does, and no daemon changes another's: dockerd makes none here, and what a daemon's unit loads
//! is in a chain of its own.

mod bridge;
pub(super) mod firewall;

use crate::layout::Layout;
use crate::plan::HostPlan;
use crate::render::Target;

pub(super) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    for (table, daemon) in plan.shared() {
        bridge::render(plan, table, daemon, target, layout);
        firewall::sockets(plan, daemon, layout);
    }
    firewall::reload(plan, target, layout);
}
