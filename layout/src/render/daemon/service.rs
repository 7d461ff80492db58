//! The unit of a dockerd, and its slice.

use super::{beside_links, budget};
use crate::layout::Layout;
use crate::plan::{Daemon, Isolation};
use crate::render::unit::{UnitFile, put_unit, put_wanted_unit};
use crate::render::{Program, Target};

pub(super) fn render(daemon: &Daemon, target: &Target, layout: &mut Layout) {
    put_wanted_unit(layout, &daemon.name.service(), "multi-user.target", dockerd(daemon, target));
    put_unit(layout, &daemon.name.slice(), budget::slice(daemon));
}

fn dockerd(daemon: &Daemon, target: &Target) -> UnitFile {
    let path = |program| target.path(program);
    let Daemon { name, live_restore, quota, .. } = daemon;
    let etc = name.etc();
    let (home, link) = (daemon.home_service(), name.link_service());
    let enter = match daemon.isolation {
        Isolation::Zone => {
            let nsenter = path(Program::Nsenter);
            format!("{nsenter} --net=/run/netns/{} --mount=/run/dmhost_ns/{name} ", name.netns())
        }
        Isolation::Shared => String::new(),
    };
    UnitFile::new(&format!("daemons.{name}"))
        .section("Unit")
        .set("Description", format!("Docker daemon {name}"))
        .set("BindsTo", &home)
        .set("Wants", &link)
        .each("Requires", quota.map(|_| budget::QUOTA))
        .set("After", format!("{home} {link}"))
        .set("RequiresMountsFor", name.data_root().as_str())
        .set("AssertPathExists", "!/run/containerd/containerd.sock")
        .set("StartLimitIntervalSec", "0")
        .section("Service")
        .set("Type", "notify")
        .each("ExecStartPre", budget::limit(daemon, target))
        .set("ExecStartPre", beside_links(daemon, target, &format!("{} -f {etc}/published.nft", path(Program::Nft))))
        .set("ExecStart", format!("{enter}{} --config-file={etc}/daemon.json", path(Program::Dockerd)))
        .set("ExecReload", format!("{} -s HUP $MAINPID", path(Program::Kill)))
        .set("TimeoutStartSec", "0")
        .set("Restart", "always")
        .set("RestartSec", "2")
        // Inherited by its containers: such a socket passes by every rule of a link (net/xdp/xsk.c, `__dev_direct_xmit`).
        .set("RestrictAddressFamilies", "~AF_XDP")
        .set("Slice", name.slice())
        .set("Delegate", "yes")
        .set("KillMode", if *live_restore { "process" } else { "mixed" })
        .set("TasksMax", "infinity")
        .set("LimitNOFILE", "infinity")
        .set("OOMScoreAdjust", "-500")
        .set("RuntimeDirectory", format!("dmhost/{name}"))
        .set("RuntimeDirectoryPreserve", "yes")
}
