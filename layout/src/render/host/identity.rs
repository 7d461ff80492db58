//! Who the host is: hostname, hosts, resolver, machine-id.

use std::fmt::Write;

use crate::layout::Layout;
use crate::plan::{HostPlan, Owner};
use crate::render::unit::UNITS;

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    let name = &plan.host.name;
    layout.text("/etc/hostname", format!("{name}\n"));
    layout.text(
        "/etc/hosts",
        format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
    );
    let own = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
    layout.text("/etc/resolv.conf", resolv_conf(own.flat_map(|interface| &interface.dns)));
    // Empty, not absent: an image is not an installation, so systemd makes an id of its own at the first boot without
    // presetting every unit again (machine-id(5)).
    layout.text("/etc/machine-id", "");
    layout.link(format!("{UNITS}/default.target"), "/usr/lib/systemd/system/multi-user.target");
}

/// A resolver file with these servers; without any, it says so instead of naming a stranger's.
pub(in crate::render) fn resolv_conf<'a>(servers: impl Iterator<Item = &'a std::net::IpAddr>) -> String {
    let mut text = String::from("# From the `dns` of the interfaces in the host spec.\n");
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}
