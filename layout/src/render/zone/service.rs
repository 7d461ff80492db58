//! `dmhost-NAME-zone.service`: a daemon's namespaces, sysctls and rules.
//!
//! dockerd runs in a pinned mount namespace beside the network namespace: with a private one of its own (systemd's
//! `NetworkNamespacePath=` makes one) a restarted dockerd loses sight of its containers' mounts, and live-restore breaks.

use crate::layout::Layout;
use crate::plan::Daemon;
use crate::render::daemon::beside_links;
use crate::render::unit::{UnitFile, put_unit};
use crate::render::{Program, Target};

/// Namespace, sysctls, rules: in this order, and nothing else before they stand.
pub(super) fn render(daemon: &Daemon, target: &Target, layout: &mut Layout) {
    let path = |program| target.path(program);
    let ip = path(Program::Ip);
    let name = &daemon.name;
    let netns = name.netns();
    let etc = name.etc();
    let servers = etc.join("resolv.conf");
    let resolver = target.resolver(name, &servers);
    let pin = format!("/run/dmhost_ns/{name}");
    let unit = UnitFile::new(&format!("daemons.{name}: its namespaces and their rules"))
        .section("Unit")
        .set("Description", format!("Zone of Docker daemon {name}"))
        .set("Requires", "run-dmhost_ns.mount")
        .set("After", "run-dmhost_ns.mount nftables.service systemd-sysctl.service")
        .set("RequiresMountsFor", name.data_root().as_str())
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("ExecStart", format!("{ip} netns add {netns}"))
        .set("ExecStart", format!("{ip} -n {netns} link set dev lo up"))
        .set("ExecStart", beside_links(daemon, target, &format!("{} {etc}/sysctl.conf", path(Program::SystemdSysctl))))
        .set("ExecStart", beside_links(daemon, target, &format!("{} -f {etc}/nftables.conf", path(Program::Nft))))
        .set("ExecStart", format!("{} {pin}", path(Program::Touch)))
        .each(
            "ExecStart",
            resolver.folder.as_ref().map(|folder| format!("{} {servers} /run/{folder}", path(Program::Cp))),
        )
        .set(
            "ExecStart",
            format!(
                "{} --mount={pin} --propagation slave {} --bind {} {}",
                path(Program::Unshare),
                path(Program::Mount),
                resolver.source,
                resolver.place
            ),
        )
        .each("RuntimeDirectory", &resolver.folder)
        // What still runs in the zone would keep its links, and a VLAN exists once: the next start would fail.
        .set("ExecStop", format!("-{} kill --signal=SIGKILL {}", path(Program::Systemctl), name.slice()))
        .set("ExecStopPost", format!("-{} {pin}", path(Program::Umount)))
        .set("ExecStopPost", format!("-{} -f {pin}", path(Program::Rm)))
        .set("ExecStopPost", format!("-{ip} netns delete {netns}"));
    put_unit(layout, &name.zone_service(), unit);
}
