//! Files of one daemon in a zone: namespace and rules, then link, then dockerd, each a unit of its own.
//!
//! The order is the safety: rules stand before a link exists, addresses before a route, everything before dockerd. If a
//! step fails, what follows stays away.

mod budget;
mod config;
mod egress;
mod firewall;
mod link;
mod networks;
mod service;

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan};
use crate::render::host::{identity, sysctl};

pub(super) fn render(plan: &HostPlan, layout: &mut Layout) {
    budget::quotas(plan, layout);
    for daemon in plan.daemons.values() {
        config::render(plan, daemon, layout);
        firewall::render(daemon, layout);
        egress::render(plan, daemon, layout);
        link::render(plan, daemon, layout);
        service::render(daemon, layout);
        networks::render(daemon, layout);
        let etc = daemon.name.etc();
        layout.directory(&etc, 0o755);
        layout.text(etc.join("sysctl.conf"), format!("# The zone of daemons.{}.\n{}", daemon.name, sysctl::hardened()));
        let servers = plan.interfaces_of(daemon).flat_map(|interface| &interface.dns);
        layout.text(etc.join("resolv.conf"), identity::resolv_conf(servers));
    }
}

/// Runs a command in the network namespace of a daemon's zone.
fn in_zone(daemon: &Daemon, command: &str) -> String {
    format!("/usr/bin/nsenter --net=/run/netns/{} {command}", daemon.name.netns())
}
