//! `dmhost-NAME-link.service`: a daemon's interfaces, addresses and routes in its namespace.
//!
//! A VLAN is made inside the namespace and goes with its parent NIC: the unit is bound to the parent's device and comes back
//! with it. A NIC is moved; once moved it has no device unit on the host, so its return is told by udev. In both cases
//! dockerd is not restarted.

use std::fmt::Write;
use std::net::IpAddr;

use super::in_zone;
use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Interface, InterfaceKind};
use crate::render::unit::{UnitFile, put_unit, want};
use crate::render::{Program, Target};

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, target: &Target, layout: &mut Layout) {
    let ip = target.path(Program::Ip);
    let name = &daemon.name;
    let netns = name.netns();
    let etc = name.etc();
    let unit_name = name.link_service();
    let zone = name.zone_service();

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
                starts.push(format!("-{ip} -n {netns} link delete dev {link}"));
                starts.push(format!("{ip} link add link {parent} name {link} netns {netns} type vlan id {id}"));
                stops.push(format!("-{ip} -n {netns} link delete dev {link}"));
            }
            InterfaceKind::Nic(_) => {
                waited.push(device_unit(link.as_str()));
                // Fails when it is in the namespace already; if it is nowhere, the next step fails.
                starts.push(format!("-{ip} link set dev {link} netns {netns}"));
                returning.push(link);
            }
        }
    }
    starts.push(in_zone(daemon, target, &format!("{} -f {etc}/egress.nft", target.path(Program::Nft))));
    starts.push(format!("{ip} -n {netns} -batch {etc}/link.batch"));

    let unit = UnitFile::new(&format!("daemons.{name}.interfaces: links, addresses and routes in its namespace"))
        .section("Unit")
        .set("Description", format!("Interfaces of Docker daemon {name}"))
        .each("BindsTo", std::iter::once(&zone).chain(&bound))
        .each("Wants", &waited)
        .each("After", std::iter::once(&zone).chain(&bound).chain(&waited))
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
    let batch: String = plan.interfaces_of(daemon).map(batch).collect();
    layout.text(etc.join("link.batch"), format!("# ip -batch, in the namespace of daemons.{name}\n{batch}"));
}

/// `ip -batch` lines for one interface: addresses, then up, then routes. A second run changes nothing.
fn batch(interface: &Interface) -> String {
    let Interface { name, kind: _, addresses, gateways, dns: _, owner: _ } = interface;
    let mut text = String::new();
    for address in addresses {
        // Without waiting for duplicate address detection: dockerd cannot bind a tentative address.
        let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
        let _ = writeln!(text, "address replace {address} dev {name}{nodad}");
    }
    let _ = writeln!(text, "link set dev {name} up");
    for gateway in gateways {
        let everywhere = match gateway {
            IpAddr::V4(_) => "0.0.0.0/0",
            IpAddr::V6(_) => "::/0",
        };
        let _ = writeln!(text, "route replace {everywhere} via {gateway} dev {name}");
    }
    text
}

/// The device unit of a network interface: systemd.device(5), name by systemd-escape(1).
fn device_unit(interface: &str) -> String {
    format!("sys-subsystem-net-devices-{}.device", interface.replace('-', "\\x2d"))
}
