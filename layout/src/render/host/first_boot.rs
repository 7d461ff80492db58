//! What a host makes of itself when it boots: the root as large as the disk, a journal that stays, a clock that is right.
//!
//! Every part can be cut off by a loss of power and is taken up by the next boot. The machine-id is systemd's own affair (see
//! `identity`), the ssh host key the administrator's (see `admin`).
//!
//! Sources: systemd-repart(8), repart.d(5), systemd-growfs@.service(8), journald.conf(5), systemd-timesyncd.service(8).

use crate::layout::Layout;
use crate::plan::HostPlan;
use crate::render::unit::{UNITS, UnitFile, put_wanted_unit, want};

/// Where the root ends, against where the disk does, in sectors of 512 bytes; the table's second copy takes the last MiB. The
/// file system is grown each time: the power may have gone between the two.
const GROW: &str = r#"# The root takes what the disk has left, once there is more than the partition table's own room behind it.
set -eu
root=$(readlink -f /run/dmhost-root)
partition=$(readlink -f "/sys/class/block/${root##*/}")
read -r disk <"${partition%/*}/size"
read -r start <"$partition/start"
read -r size <"$partition/size"
[ $((disk - start - size)) -le 4096 ] || systemd-repart --dry-run=no --discard=no
exec /usr/lib/systemd/systemd-growfs /
"#;

const SCRIPT: &str = "/usr/lib/dmhost/grow";

pub(in crate::render) fn render(_: &HostPlan, layout: &mut Layout) {
    grow(layout);
    layout.text(
        "/etc/systemd/journald.conf.d/dmhost.conf",
        UnitFile::new("On @log: it outlives a boot and a rollback of the root.")
            .section("Journal")
            .set("Storage", "persistent")
            .text(),
    );
    want(layout, "sysinit.target", "/usr/lib/systemd/system/systemd-timesyncd.service");
}

fn grow(layout: &mut Layout) {
    let root = UnitFile::new("The root partition grows; no other is touched.");
    layout.text("/etc/repart.d/50-root.conf", root.section("Partition").set("Type", "root-x86-64").text());
    // It would run in every boot's critical path.
    layout.link(format!("{UNITS}/systemd-repart.service"), "/dev/null");
    layout.text(SCRIPT, GROW);
    let unit = UnitFile::new("host.disk is the least: a larger disk is used whole")
        .section("Unit")
        .set("Description", "Growth of the root to its disk")
        .set("RequiresMountsFor", "/")
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/bin/sh {SCRIPT}"));
    put_wanted_unit(layout, "dmhost-grow.service", "multi-user.target", unit);
}
