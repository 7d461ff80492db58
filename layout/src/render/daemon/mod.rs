//! Files of one daemon, whichever way it is kept apart: budget, daemon.json, links, dockerd's unit, networks.
//!
//! What differs is where its links are: in a namespace of its own (`super::zone`) or in the host's (`super::shared`), which the unit
//! that `home_service` names makes ready before anything else of the daemon comes.

pub(super) mod admit;
mod budget;
mod config;
pub(super) mod destinations;
mod egress;
pub(super) mod hints;
mod link;
mod networks;
mod segment;
mod service;

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Isolation};
use crate::render::{Program, Target};

pub(super) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    budget::quotas(plan, target, layout);
    for daemon in plan.daemons.values() {
        config::render(plan, daemon, layout);
        egress::render(plan, daemon, layout);
        link::render(plan, daemon, target, layout);
        service::render(daemon, target, layout);
        networks::render(daemon, target, layout);
        layout.directory(daemon.name.etc(), 0o755);
    }
}

/// Runs a command in the network namespace that a daemon's links are in.
pub(super) fn beside_links(daemon: &Daemon, target: &Target, command: &str) -> String {
    match daemon.isolation {
        Isolation::Zone => {
            format!("{} --net=/run/netns/{} {command}", target.path(Program::Nsenter), daemon.name.netns())
        }
        Isolation::Shared => command.to_owned(),
    }
}

/// `ip`, in the network namespace that a daemon's links are in.
pub(super) fn ip(daemon: &Daemon, target: &Target) -> String {
    let ip = target.path(Program::Ip);
    match daemon.isolation {
        Isolation::Zone => format!("{ip} -n {}", daemon.name.netns()),
        Isolation::Shared => ip,
    }
}
