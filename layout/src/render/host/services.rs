//! Which of the base's own services run: networkd, and none of Docker's.
//!
//! A system containerd, once its socket exists, is used by every dockerd, and its containers would land in the host's
//! namespace (moby, `cmd/dockerd/daemon.go`): so it is masked, and each daemon's unit asserts that it is away.

use crate::layout::Layout;
use crate::plan::{HostPlan, Isolation};
use crate::render::unit::{UNITS, UnitFile, put_wanted_unit, want};

const MASKED: &[&str] = &[
    "containerd.service",
    "docker.service",
    "docker.socket",
    // Nothing here waits for "online": each daemon waits for its own link.
    "systemd-networkd-wait-online.service",
];

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    for unit in MASKED {
        layout.link(format!("{UNITS}/{unit}"), "/dev/null");
    }
    want(layout, "multi-user.target", "/usr/lib/systemd/system/systemd-networkd.service");
    if plan.daemons.is_empty() {
        return;
    }
    let zones = plan.daemons.values().any(|daemon| daemon.isolation == Isolation::Zone);
    if zones {
        pins(layout);
    }

    let mut groups =
        String::from("# Members of docker-NAME may use that daemon's socket, which makes them root on this machine.\n");
    for name in plan.daemons.keys() {
        groups.push_str(&format!("g {} -\n", name.group()));
    }
    layout.text("/etc/sysusers.d/dmhost.conf", groups);
}

/// Pins of mount namespaces: the kernel refuses them below a shared mount (unshare(1), --mount=FILE).
fn pins(layout: &mut Layout) {
    let pins = UnitFile::new("Holds one pinned mount namespace per zone; must be a private mount.")
        .section("Unit")
        .set("Description", "Mount namespaces of the zones")
        .section("Mount")
        .set("What", "/run/dmhost_ns")
        .set("Where", "/run/dmhost_ns")
        .set("Type", "none")
        .set("Options", "bind,private");
    put_wanted_unit(layout, "run-dmhost_ns.mount", "multi-user.target", pins);
}
