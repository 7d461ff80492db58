//! Kernel parameters of the host and of each zone. Every one that matters is written: a minimal base has none of the
//! usual defaults.
//!
//! Source: the kernel's Documentation/networking/ip-sysctl.rst and nf_conntrack-sysctl.rst.

use std::fmt::Write;

use crate::layout::Layout;
use crate::plan::{HostPlan, InterfaceKind, Owner};

/// Neighbours the whole machine may hold for each daemon: the table is global to all namespaces, so one tenant's scan must
/// not push out another's.
const NEIGHBOURS_PER_DAEMON: usize = 4096;
/// Connections the whole machine may track for each daemon, the host itself counted as one.
const CONNECTIONS_PER_DAEMON: usize = 65_536;

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    let owners = plan.daemons.len() + 1;
    let mut text = String::from("# The host's own namespace: no forwarding, no routes from the wire, strong host.\n");
    text.push_str(&hardened());
    for interface in plan.interfaces.values() {
        match (&interface.kind, &interface.owner) {
            (InterfaceKind::Nic(_), Owner::Carrier | Owner::Daemon(_)) => {
                let _ = writeln!(
                    text,
                    "# interfaces.{}: nothing of the host's own speaks here; set by udev when the NIC comes",
                    interface.name
                );
                let _ = writeln!(text, "-net.ipv6.conf.{}.disable_ipv6 = 1", interface.name);
            }
            (InterfaceKind::Nic(_) | InterfaceKind::Vlan { .. }, _) => {}
        }
    }
    text.push_str("# Tables that all namespaces share, sized for the number of daemons.\n");
    for version in ["ipv4", "ipv6"] {
        for (key, share) in [("gc_thresh1", 4), ("gc_thresh2", 2), ("gc_thresh3", 1)] {
            let _ = writeln!(text, "net.{version}.neigh.default.{key} = {}", owners * NEIGHBOURS_PER_DAEMON / share);
        }
    }
    let _ = writeln!(text, "net.netfilter.nf_conntrack_max = {}", owners * CONNECTIONS_PER_DAEMON);
    layout.text("/etc/sysctl.d/90-dmhost.conf", text);
    layout.text("/etc/modules-load.d/dmhost.conf", "# So that its sysctl exists when sysctls are set.\nnf_conntrack\n");
}

/// What every namespace gets, the host's own and each zone.
///
/// `ip_forward = 0` also in a zone: dockerd sets its FORWARD policy to drop only if it finds forwarding off and turns it on
/// itself (moby, `setup_ip_forwarding.go`).
pub(in crate::render) fn hardened() -> String {
    let mut text = String::from("net.ipv4.ip_forward = 0\nnet.ipv6.conf.all.forwarding = 0\n");
    for (key, value) in [
        ("accept_redirects", 0),
        ("secure_redirects", 0),
        ("send_redirects", 0),
        ("accept_source_route", 0),
        ("arp_ignore", 1),
        ("arp_announce", 2),
        ("rp_filter", 2),
    ] {
        for scope in ["all", "default"] {
            let _ = writeln!(text, "net.ipv4.conf.{scope}.{key} = {value}");
        }
    }
    for key in ["accept_ra", "autoconf", "accept_redirects", "accept_source_route"] {
        for scope in ["all", "default"] {
            let _ = writeln!(text, "net.ipv6.conf.{scope}.{key} = 0");
        }
    }
    text.push_str("net.ipv4.icmp_echo_ignore_broadcasts = 1\n");
    text
}
