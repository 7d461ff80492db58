//! The units of a zone and of its dockerd, and their slice.
//!
//! dockerd runs in a pinned mount namespace beside the network namespace: with a private one of its own (systemd's
//! `NetworkNamespacePath=` makes one) a restarted dockerd loses sight of its containers' mounts, and live-restore breaks.

use super::{budget, in_zone};
use crate::layout::Layout;
use crate::plan::Daemon;
use crate::render::unit::{UnitFile, put_unit, put_wanted_unit};
use crate::render::{Program, Target};

pub(super) fn render(daemon: &Daemon, target: &Target, layout: &mut Layout) {
    put_unit(layout, &daemon.name.zone_service(), zone(daemon, target));
    put_wanted_unit(layout, &daemon.name.service(), "multi-user.target", dockerd(daemon, target));
    put_unit(layout, &daemon.name.slice(), budget::slice(daemon));
}

/// Namespace, sysctls, rules: in this order, and nothing else before they stand.
fn zone(daemon: &Daemon, target: &Target) -> UnitFile {
    let path = |program| target.path(program);
    let ip = path(Program::Ip);
    let name = &daemon.name;
    let netns = name.netns();
    let etc = name.etc();
    let servers = etc.join("resolv.conf");
    let resolver = target.resolver(name, &servers);
    let pin = format!("/run/dmhost_ns/{name}");
    UnitFile::new(&format!("daemons.{name}: its namespaces and their rules"))
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
        .set("ExecStart", in_zone(daemon, target, &format!("{} {etc}/sysctl.conf", path(Program::SystemdSysctl))))
        .set("ExecStart", in_zone(daemon, target, &format!("{} -f {etc}/nftables.conf", path(Program::Nft))))
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
        .set("ExecStopPost", format!("-{ip} netns delete {netns}"))
}

fn dockerd(daemon: &Daemon, target: &Target) -> UnitFile {
    let path = |program| target.path(program);
    let Daemon { name, live_restore, quota, .. } = daemon;
    let etc = name.etc();
    let (zone, link) = (name.zone_service(), name.link_service());
    UnitFile::new(&format!("daemons.{name}"))
        .section("Unit")
        .set("Description", format!("Docker daemon {name}"))
        .set("BindsTo", &zone)
        .set("Wants", &link)
        .each("Requires", quota.map(|_| budget::QUOTA))
        .set("After", format!("{zone} {link}"))
        .set("RequiresMountsFor", name.data_root().as_str())
        .set("AssertPathExists", "!/run/containerd/containerd.sock")
        .set("StartLimitIntervalSec", "0")
        .section("Service")
        .set("Type", "notify")
        .each("ExecStartPre", budget::limit(daemon, target))
        .set("ExecStartPre", in_zone(daemon, target, &format!("{} -f {etc}/published.nft", path(Program::Nft))))
        .set(
            "ExecStart",
            format!(
                "{} --net=/run/netns/{} --mount=/run/dmhost_ns/{name} {} --config-file={etc}/daemon.json",
                path(Program::Nsenter),
                name.netns(),
                path(Program::Dockerd)
            ),
        )
        .set("ExecReload", format!("{} -s HUP $MAINPID", path(Program::Kill)))
        .set("TimeoutStartSec", "0")
        .set("Restart", "always")
        .set("RestartSec", "2")
        .set("Slice", name.slice())
        .set("Delegate", "yes")
        .set("KillMode", if *live_restore { "process" } else { "mixed" })
        .set("TasksMax", "infinity")
        .set("LimitNOFILE", "infinity")
        .set("OOMScoreAdjust", "-500")
        .set("RuntimeDirectory", format!("dmhost/{name}"))
        .set("RuntimeDirectoryPreserve", "yes")
}
