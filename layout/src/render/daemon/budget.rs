//! What a daemon may use: its slice, and the quota of its subvolume.
//!
//! Sources: systemd.resource-control(5); btrfs-qgroup(8). Quotas are simple ones: they count what was written since they were
//! enabled, and cost nothing at snapshots.

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Resources};
use crate::render::unit::{UnitFile, put_unit};
use crate::render::{Program, Target};

/// The oneshot that enables quotas on the file system.
pub(super) const QUOTA: &str = "dmhost-quota.service";

/// The unit that enables quotas, if a daemon has one. Each limit is set by its own daemon's unit: a subvolume that is not
/// there holds up no other daemon.
pub(super) fn quotas(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    let limited: Vec<_> = plan.daemons.values().filter(|daemon| daemon.quota.is_some()).collect();
    if limited.is_empty() {
        return;
    }
    let unit =
        UnitFile::new("daemons.*.storage.quota: enabled before the first daemon writes; a second run changes nothing")
            .section("Unit")
            .set("Description", "Storage quotas of the Docker daemons")
            .set("RequiresMountsFor", "/")
            .each("Before", limited.iter().map(|daemon| daemon.name.service()))
            .section("Service")
            .set("Type", "oneshot")
            .set("RemainAfterExit", "yes")
            .set("ExecStart", format!("{} quota enable --simple /", target.path(Program::Btrfs)));
    put_unit(layout, QUOTA, unit);
}

/// The command that limits a daemon's subvolume.
pub(super) fn limit(daemon: &Daemon, target: &Target) -> Option<String> {
    let btrfs = target.path(Program::Btrfs);
    daemon.quota.map(|bytes| format!("{btrfs} qgroup limit {bytes} {}", daemon.name.data_root()))
}

/// The slice of a daemon and its containers.
pub(super) fn slice(daemon: &Daemon) -> UnitFile {
    let Resources { memory_max, memory_high, cpu_weight, cpu_percent, io_weight, tasks_max } = &daemon.resources;
    let keys = [
        ("MemoryMax", memory_max.map(|bytes| bytes.to_string())),
        ("MemoryHigh", memory_high.map(|bytes| bytes.to_string())),
        ("CPUWeight", cpu_weight.map(|weight| weight.to_string())),
        ("CPUQuota", cpu_percent.map(|percent| format!("{percent}%"))),
        ("IOWeight", io_weight.map(|weight| weight.to_string())),
        ("TasksMax", tasks_max.map(|tasks| tasks.to_string())),
    ];
    let slice = UnitFile::new(&format!("daemons.{}: the daemon and its containers", daemon.name))
        .section("Unit")
        .set("Description", format!("Docker daemon {} and its containers", daemon.name));
    if keys.iter().all(|(_, value)| value.is_none()) {
        return slice;
    }
    let keys = keys.into_iter().filter_map(|(key, value)| Some((key, value?)));
    keys.fold(slice.section("Slice"), |slice, (key, value)| slice.set_verbatim(key, value))
}
