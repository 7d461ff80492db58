//! Kernel parameters of the host and of each zone. Every one that matters is written: a minimal base has none of the
//! usual defaults.
//!
//! Source: the kernel's Documentation/networking/ip-sysctl.rst and nf_conntrack-sysctl.rst.

use std::fmt::Write;

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Interface, InterfaceKind, Isolation, Owner};

/// Neighbours the whole machine may hold for each daemon: the table is global to all namespaces, so one tenant's scan must
/// not push out another's.
const NEIGHBOURS_PER_DAEMON: usize = 4096;
/// Connections the whole machine may track for each daemon, the host itself counted as one.
const CONNECTIONS_PER_DAEMON: usize = 65_536;

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    let owners = plan.daemons.len() + 1;
    let shared = plan.shared().next().is_some();
    let mut text = if shared {
        let ipv6 = plan.shared().any(|(_, daemon)| plan.speaks_ipv6(daemon));
        let why =
            "# The host's own namespace: forwarding for containers alone, no routes from the wire, strong host.\n";
        format!("{why}{}", hardened(true, ipv6))
    } else {
        let why = "# The host's own namespace: no forwarding, no routes from the wire, strong host.\n";
        format!("{why}{}", hardened(false, false))
    };
    if shared {
        text.push_str(
            "# What stays on a bridge passes no rules of ours: they are between networks. A zone's dockerd loads the module.\n\
             net.bridge.bridge-nf-call-iptables = 0\n\
             net.bridge.bridge-nf-call-ip6tables = 0\n",
        );
    }
    for interface in plan.interfaces.values() {
        match (&interface.kind, &interface.owner) {
            (InterfaceKind::Nic(_), Owner::Carrier | Owner::Daemon(_)) if !plan.speaks_in_host(interface) => {
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
    let tells =
        |daemon: &Daemon| daemon.isolation == Isolation::Zone && (daemon.egress.is_some() || daemon.expose.is_some());
    if plan.daemons.values().any(tells) {
        text.push_str("# What the rules of a zone tell is in the log too.\nnet.netfilter.nf_log_all_netns = 1\n");
    }
    layout.text("/etc/sysctl.d/90-dmhost.conf", text);
    let mut modules = String::from("# So that its sysctl exists when sysctls are set.\nnf_conntrack\n");
    if shared {
        modules.push_str("br_netfilter\n");
    }
    layout.text("/etc/modules-load.d/dmhost.conf", modules);
}

/// What a zone begins with. No forwarding: dockerd sets its FORWARD policy to drop only if it finds forwarding off and turns it on
/// itself (moby, `setup_ip_forwarding.go`).
pub(in crate::render) fn zone() -> String {
    hardened(false, false)
}

/// What an interface of a daemon has beside what its namespace begins with, where it learns its router or neighbours ask for containers.
pub(in crate::render) fn link(plan: &HostPlan, interface: &Interface) -> String {
    let name = &interface.name;
    let mut text = String::new();
    if interface.accept_ra {
        let _ = writeln!(
            text,
            "# interfaces.{name}.accept-ra: the default route of a router's advertisements, though the zone forwards."
        );
        for (key, value) in [
            ("accept_ra", 2),
            ("accept_ra_defrtr", 1),
            ("accept_ra_pinfo", 0),
            // None is shorter.
            ("accept_ra_rt_info_max_plen", -1),
            ("accept_ra_mtu", 0),
            // None is higher: it has eight bits.
            ("accept_ra_min_hop_limit", 256),
        ] {
            let _ = writeln!(text, "net.ipv6.conf.{name}.{key} = {value}");
        }
    }
    let proxied = plan.proxied_on(interface);
    for (range, _) in &proxied {
        let _ = writeln!(text, "# {range} is routed, and neighbours on interfaces.{name} ask for its containers.");
    }
    if !proxied.is_empty() {
        // At once: the kernel waits up to 0.8 s for an address's owner (its ip-sysctl.rst, `proxy_delay`), and none is on the wire.
        let _ = writeln!(text, "net.ipv6.conf.{name}.proxy_ndp = 1\nnet.ipv6.neigh.{name}.proxy_delay = 0");
    }
    text
}

/// What every namespace gets, the host's own and each zone.
fn hardened(ipv4: bool, ipv6: bool) -> String {
    let (ipv4, ipv6) = (u8::from(ipv4), u8::from(ipv6));
    // First: it sets others with it (the kernel's ip-sysctl.rst, `ip_forward`).
    let mut text = format!("net.ipv4.ip_forward = {ipv4}\nnet.ipv6.conf.all.forwarding = {ipv6}\n");
    for (key, value) in [
        ("accept_redirects", 0),
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
    for key in ["accept_ra", "autoconf", "accept_redirects"] {
        for scope in ["all", "default"] {
            let _ = writeln!(text, "net.ipv6.conf.{scope}.{key} = 0");
        }
    }
    text.push_str("net.ipv4.icmp_echo_ignore_broadcasts = 1\n");
    text
}
