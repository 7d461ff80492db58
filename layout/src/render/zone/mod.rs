//! What a zone is: a daemon's namespaces and the rules in them, ready before a link of the daemon comes.
//!
//! The order is the safety: rules stand before a link exists, addresses before a route, everything before dockerd. If a
//! step fails, what follows stays away.

mod firewall;
mod service;

use crate::layout::Layout;
use crate::plan::{HostPlan, Isolation};
use crate::render::Target;
use crate::render::host::{identity, sysctl};

pub(super) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    for daemon in plan.daemons.values().filter(|daemon| daemon.isolation == Isolation::Zone) {
        firewall::render(plan, daemon, layout);
        service::render(daemon, target, layout);
        let etc = daemon.name.etc();
        layout.text(etc.join("sysctl.conf"), format!("# The zone of daemons.{}.\n{}", daemon.name, sysctl::zone()));
        let servers = plan.interfaces_of(daemon).flat_map(|interface| &interface.dns);
        layout.text(etc.join("resolv.conf"), identity::resolv_conf(servers));
    }
}
