//! `dmhost-NAME-bridge.service`: the bridge of a daemon's default network, and the way that its traffic takes.
//!
//! What has an address of the daemon or of its containers as its source is routed by the daemon's own table, as in a zone: by its own
//! interfaces and gateways. Their routes come with its links; what is here stays when a NIC goes, so that nothing takes another's way.
//!
//! Sources: ip-link(8), ip-route(8), ip-rule(8).

use std::fmt::Write;

use ipnet::IpNet;

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Pool};
use crate::render::unit::{UnitFile, put_unit};
use crate::render::{Program, Target};

/// Behind every default route, whose metrics are 0 (IPv4) and 1024 (IPv6).
const LAST: u32 = 9999;

pub(super) fn render(plan: &HostPlan, table: u32, daemon: &Daemon, target: &Target, layout: &mut Layout) {
    let ip = target.path(Program::Ip);
    let name = &daemon.name;
    let bridge = name.bridge();
    let batch = name.etc().join("bridge.batch");
    let links = plan.routing_tables(daemon);
    let flushed = || {
        let tables = std::iter::once(table).chain(links.iter().map(|(table, _)| *table));
        tables.flat_map(|table| ["", " -6"].map(|version| format!("-{ip}{version} rule flush table {table}")))
    };
    // Where several lead to a gateway each address has its interface's own.
    let own = plan.interfaces_of(daemon).flat_map(|interface| {
        let table = links.iter().find(|(_, link)| link.name == interface.name).map_or(table, |(table, _)| *table);
        interface.addresses.iter().map(move |net| (IpNet::from(net.addr()), table))
    });
    let rules = own.chain(daemon.ranges().into_iter().map(|range| (range, table))).map(|(source, lookup)| {
        let version = if source.addr().is_ipv4() { "" } else { " -6" };
        format!("{ip}{version} rule add priority {table} from {source} lookup {lookup}")
    });
    let unit = UnitFile::new(&format!("daemons.{name}: its bridge, and the routes that its traffic takes"))
        .section("Unit")
        .set("Description", format!("Bridge of Docker daemon {name}"))
        .set("Requires", "nftables.service")
        .set("After", "nftables.service systemd-sysctl.service")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        // Fails when it is there already; if it cannot be made, the last step fails.
        .set("ExecStart", format!("-{ip} link add name {bridge} type bridge"))
        .each("ExecStart", flushed())
        .each("ExecStart", rules)
        .set("ExecStart", format!("{ip} -batch {batch}"))
        // As with a zone: without its network a container is not left running.
        .set("ExecStop", format!("-{} kill --signal=SIGKILL {}", target.path(Program::Systemctl), name.slice()))
        .set("ExecStopPost", format!("-{ip} link delete dev {bridge}"))
        .each("ExecStopPost", flushed());
    put_unit(layout, &name.bridge_service(), unit);
    layout.text(batch, lines(plan, table, daemon));
}

fn lines(plan: &HostPlan, table: u32, daemon: &Daemon) -> String {
    let bridge = daemon.name.bridge();
    let mut text = format!("# ip -batch: the bridge of daemons.{}, and its own routing table\n", daemon.name);
    let first = |v4: bool| daemon.pools.iter().find(|pool| pool.base.addr().is_ipv4() == v4).map(Pool::first_bridge);
    if let Some(address) = first(true) {
        let _ = writeln!(text, "address replace {address} dev {bridge}");
    }
    if let Some(address) = first(false).filter(|_| plan.speaks_ipv6(daemon)) {
        let _ = writeln!(text, "address replace {address} dev {bridge} nodad");
    }
    let _ = writeln!(text, "link set dev {bridge} up");
    let links = plan.routing_tables(daemon);
    for table in std::iter::once(table).chain(links.iter().map(|(table, _)| *table)) {
        for range in daemon.ranges() {
            // The bridges themselves are in the main table, which is asked next.
            let _ = writeln!(text, "route replace throw {range} table {table}");
        }
        for everywhere in ["0.0.0.0/0", "::/0"] {
            let _ = writeln!(text, "route replace unreachable {everywhere} metric {LAST} table {table}");
        }
    }
    text
}
