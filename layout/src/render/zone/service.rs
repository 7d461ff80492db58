//! The units of a zone and of its dockerd, and their slice.
//!
//! dockerd runs in a pinned mount namespace beside the network namespace: with a private one of its own (systemd's
//! `NetworkNamespacePath=` makes one) a restarted dockerd loses sight of its containers' mounts, and live-restore breaks.

use super::{budget, in_zone};
use crate::layout::Layout;
use crate::plan::Daemon;
use crate::render::unit::{UnitFile, put_unit, put_wanted_unit};

const IP: &str = "/usr/sbin/ip";

pub(super) fn render(daemon: &Daemon, layout: &mut Layout) {
    put_unit(layout, &daemon.name.zone_service(), zone(daemon));
    put_wanted_unit(layout, &daemon.name.service(), "multi-user.target", dockerd(daemon));
    put_unit(layout, &daemon.name.slice(), budget::slice(daemon));
}

/// Namespace, sysctls, rules: in this order, and nothing else before they stand.
fn zone(daemon: &Daemon) -> UnitFile {
    let name = &daemon.name;
    let netns = name.netns();
    let etc = name.etc();
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
        .set("ExecStart", format!("{IP} netns add {netns}"))
        .set("ExecStart", format!("{IP} -n {netns} link set dev lo up"))
        .set("ExecStart", in_zone(daemon, &format!("/usr/lib/systemd/systemd-sysctl {etc}/sysctl.conf")))
        .set("ExecStart", in_zone(daemon, &format!("/usr/sbin/nft -f {etc}/nftables.conf")))
        .set("ExecStart", format!("/usr/bin/touch {pin}"))
        .set(
            "ExecStart",
            format!("/usr/bin/unshare --mount={pin} --propagation slave /usr/bin/mount --bind {etc}/resolv.conf /etc/resolv.conf"),
        )
        // What still runs in the zone would keep its links, and a VLAN exists once: the next start would fail.
        .set("ExecStop", format!("-/usr/bin/systemctl kill --signal=SIGKILL {}", name.slice()))
        .set("ExecStopPost", format!("-/usr/bin/umount {pin}"))
        .set("ExecStopPost", format!("-/usr/bin/rm -f {pin}"))
        .set("ExecStopPost", format!("-{IP} netns delete {netns}"))
}

fn dockerd(daemon: &Daemon) -> UnitFile {
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
        .each("ExecStartPre", budget::limit(daemon))
        .set("ExecStartPre", in_zone(daemon, &format!("/usr/sbin/nft -f {etc}/published.nft")))
        .set(
            "ExecStart",
            format!(
                "/usr/bin/nsenter --net=/run/netns/{} --mount=/run/dmhost_ns/{name} /usr/sbin/dockerd --config-file={etc}/daemon.json",
                name.netns()
            ),
        )
        .set("ExecReload", "/bin/kill -s HUP $MAINPID")
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
