//! Flat subvolumes and the fstab that mounts them. No data-root lies in another subvolume, so a snapshot or a rollback of
//! the root touches no container.

use std::fmt::Write;

use camino::Utf8PathBuf;

use crate::layout::Layout;
use crate::plan::HostPlan;

/// A link to the root's device that the base's initramfs makes. It is not below `/dev`, so that no mount waits for udev to
/// find a device that is mounted already.
const ROOT: &str = "/run/dmhost-root";

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    layout.subvolume("@", Some("/".into()));
    layout.subvolume("@log", Some("/var/log".into()));
    layout.subvolume("@home", Some("/home".into()));
    for name in plan.daemons.keys() {
        layout.subvolume(name.subvolume(), Some(name.data_root()));
    }
    layout.subvolume("@snapshots", None);

    let mut fstab = String::from("# One file system, flat subvolumes: a snapshot of one holds nothing of another.\n");
    let mounts: Vec<(String, Utf8PathBuf)> = layout
        .subvolumes()
        .iter()
        .filter_map(|subvolume| Some((subvolume.name.clone(), subvolume.mount.clone()?)))
        .collect();
    for (name, mount) in mounts {
        let _ = writeln!(fstab, "{ROOT} {mount} btrfs subvol={name},compress=zstd:1,noatime 0 0");
    }
    layout.text("/etc/fstab", fstab);
}
