//! `dmhost-NAME-link.service`: a daemon's interfaces, addresses and routes in its namespace.
//!
//! A VLAN is made inside the namespace and goes with its parent NIC: the unit is bound to the parent's device and comes back
//! with it. A NIC is moved into a zone; once moved it has no device unit on the host, so its return is told by udev. For a shared
//! daemon it stays, and the unit is bound to its device. In no case dockerd is restarted.
//!
//! networkd has no part in it: rules before a link is up, addresses before dockerd binds them, that takes an order.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use super::beside_links;
use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Interface, InterfaceKind, Isolation};
use crate::render::host::sysctl;
use crate::render::unit::{UnitFile, put_unit, want};
use crate::render::{Program, Target};

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, target: &Target, layout: &mut Layout) {
    let ip = target.path(Program::Ip);
    let name = &daemon.name;
    let within = super::ip(daemon, target);
    let netns = match daemon.isolation {
        Isolation::Zone => Some(name.netns()),
        Isolation::Shared => None,
    };
    let etc = name.etc();
    let unit_name = name.link_service();
    let home = daemon.home_service();

    let mut starts = Vec::new();
    let mut stops = Vec::new();
    let mut bound = Vec::new();
    let mut waited = Vec::new();
    let mut returning = Vec::new();
    for interface in plan.interfaces_of(daemon) {
        let link = &interface.name;
        match &interface.kind {
            InterfaceKind::Vlan { parent, id } => {
                let device = device_unit(parent.as_str());
                if !bound.contains(&device) {
                    bound.push(device);
                }
                // A VLAN cannot be up while its parent is down.
                starts.push(format!("{ip} link set dev {parent} up"));
                starts.push(format!("-{within} link delete dev {link}"));
                let made = netns.as_ref().map(|netns| format!(" netns {netns}")).unwrap_or_default();
                starts.push(format!("{ip} link add link {parent} name {link}{made} type vlan id {id}"));
                stops.push(format!("-{within} link delete dev {link}"));
            }
            InterfaceKind::Nic(_) => match &netns {
                Some(netns) => {
                    waited.push(device_unit(link.as_str()));
                    // Fails when it is in the namespace already; if it is nowhere, the next step fails.
                    starts.push(format!("-{ip} link set dev {link} netns {netns}"));
                    returning.push(link);
                }
                None => bound.push(device_unit(link.as_str())),
            },
        }
    }
    starts.push(beside_links(daemon, target, &format!("{} -f {etc}/egress.nft", target.path(Program::Nft))));
    // They are the links' own: a new one has the namespace's defaults.
    let sysctls: String = plan.interfaces_of(daemon).map(|interface| sysctl::link(plan, interface)).collect();
    if !sysctls.is_empty() {
        let file = etc.join("link.conf");
        starts.push(beside_links(daemon, target, &format!("{} {file}", target.path(Program::SystemdSysctl))));
        layout.text(file, sysctls);
    }
    if daemon.isolation == Isolation::Zone {
        for (table, interface) in plan.routing_tables(daemon) {
            starts.extend(rules(&within, table, interface));
        }
    }
    starts.push(format!("{within} -batch {etc}/link.batch"));

    let unit = UnitFile::new(&format!("daemons.{name}.interfaces: links, addresses and routes in its namespace"))
        .section("Unit")
        .set("Description", format!("Interfaces of Docker daemon {name}"))
        .each("BindsTo", std::iter::once(&home).chain(&bound))
        .each("Wants", &waited)
        .each("After", std::iter::once(&home).chain(&bound).chain(&waited))
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .each("ExecStart", &starts)
        .each("ExecStop", &stops);
    put_unit(layout, &unit_name, unit);
    for device in &bound {
        want(layout, device, &format!("../{unit_name}"));
    }
    if !returning.is_empty() {
        let systemctl = target.path(Program::Systemctl);
        let mut text = format!("# daemons.{name}: a NIC that was unplugged and returns goes back to its namespace.\n");
        for link in returning {
            let _ = writeln!(
                text,
                "ACTION==\"add\", SUBSYSTEM==\"net\", NAME==\"{link}\", RUN+=\"{systemctl} --no-block try-restart {unit_name}\""
            );
        }
        layout.text(format!("/etc/udev/rules.d/90-dmhost-{name}.rules"), text);
    }
    layout.text(etc.join("link.batch"), batch(plan, daemon));
}

/// `ip -batch` lines for all interfaces: addresses, then up, then routes. A second run changes nothing. In the host's namespace the routes
/// are in the daemon's own table, and the rules that lead to tables come with the bridge.
fn batch(plan: &HostPlan, daemon: &Daemon) -> String {
    let shared = plan.shared().find(|(_, shared)| shared.name == daemon.name).map(|(table, _)| table);
    let mut text = format!("# ip -batch, in the namespace of daemons.{}\n", daemon.name);
    let mut led: Vec<IpAddr> = Vec::new();
    for interface in plan.interfaces_of(daemon) {
        text.push_str(&links(interface));
        for (range, addresses) in plan.proxied_on(interface) {
            let _ = writeln!(
                text,
                "# daemons.{}.routed: no router leads to {range}, neighbours ask for its containers",
                daemon.name
            );
            for address in addresses {
                let _ = writeln!(text, "neigh replace proxy {address} dev {}", interface.name);
            }
        }
        // Of several the first is what the daemon's own questions take.
        let new = |gateway: &IpAddr| !led.iter().any(|other| other.is_ipv4() == gateway.is_ipv4());
        let gateways: Vec<IpAddr> = interface.gateways.iter().copied().filter(new).collect();
        text.push_str(&routes(interface, &gateways, shared));
        led.extend(gateways);
    }
    for (table, interface) in plan.routing_tables(daemon) {
        text.push_str(&routes(interface, &interface.gateways, Some(table)));
        // In the host's namespace they come with the bridge.
        for range in daemon.ranges().into_iter().filter(|_| shared.is_none()) {
            // Its bridges are in the main table, which is asked next.
            let _ = writeln!(text, "route replace throw {range} table {table}");
        }
    }
    text
}

/// Rules that lead to an interface's own table: what has one of its addresses as its source, and what a container answers to those who
/// asked through it.
fn rules(within: &str, table: u32, interface: &Interface) -> Vec<String> {
    let mut steps =
        vec![format!("-{within} rule flush table {table}"), format!("-{within} -6 rule flush table {table}")];
    for address in &interface.addresses {
        let version = if address.addr().is_ipv4() { "" } else { " -6" };
        steps.push(format!("{within}{version} rule add priority {table} from {} lookup {table}", address.addr()));
    }
    for version in ["", " -6"] {
        steps.push(format!("{within}{version} rule add priority {table} fwmark {table} lookup {table}"));
    }
    steps
}

/// `ip -batch` lines for one interface: addresses, then up. A second run changes nothing.
fn links(interface: &Interface) -> String {
    let Interface { name, addresses, .. } = interface;
    let mut text = String::new();
    for address in addresses {
        // Without waiting for duplicate address detection: dockerd cannot bind a tentative address.
        let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
        let _ = writeln!(text, "address replace {address} dev {name}{nodad}");
    }
    let _ = writeln!(text, "link set dev {name} up");
    text
}

/// Its routes. A table other than the namespace's own has its subnets too.
fn routes(interface: &Interface, gateways: &[IpAddr], table: Option<u32>) -> String {
    let Interface { name, addresses, .. } = interface;
    let in_table = table.map(|table| format!(" table {table}")).unwrap_or_default();
    let mut text = String::new();
    if table.is_some() {
        let subnets: BTreeSet<_> = addresses.iter().map(IpNet::trunc).collect();
        for subnet in subnets {
            let _ = writeln!(text, "route replace {subnet} dev {name}{in_table}");
        }
    }
    for gateway in gateways {
        let everywhere = match gateway {
            IpAddr::V4(_) => "0.0.0.0/0",
            IpAddr::V6(_) => "::/0",
        };
        let _ = writeln!(text, "route replace {everywhere} via {gateway} dev {name}{in_table}");
    }
    text
}

/// The device unit of a network interface: systemd.device(5), name by systemd-escape(1).
fn device_unit(interface: &str) -> String {
    format!("sys-subsystem-net-devices-{}.device", interface.replace('-', "\\x2d"))
}
