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
use crate::render::{Program, Target};

pub(super) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    budget::quotas(plan, target, layout);
    for daemon in plan.daemons.values() {
        config::render(plan, daemon, layout);
        firewall::render(daemon, layout);
        egress::render(plan, daemon, layout);
        link::render(plan, daemon, target, layout);
        service::render(daemon, target, layout);
        networks::render(daemon, target, layout);
        let etc = daemon.name.etc();
        layout.directory(&etc, 0o755);
        layout.text(etc.join("sysctl.conf"), format!("# The zone of daemons.{}.\n{}", daemon.name, sysctl::hardened()));
        let servers = plan.interfaces_of(daemon).flat_map(|interface| &interface.dns);
        layout.text(etc.join("resolv.conf"), identity::resolv_conf(servers));
    }
}

/// Runs a command in the network namespace of a daemon's zone.
fn in_zone(daemon: &Daemon, target: &Target, command: &str) -> String {
    format!("{} --net=/run/netns/{} {command}", target.path(Program::Nsenter), daemon.name.netns())
}
