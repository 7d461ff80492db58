//! The way in: sshd by socket on one interface, keys only. Without `host.admin` there is no sshd at all.
//!
//! Sources: sshd_config(5), systemd.socket(5).

use crate::layout::{Content, Entry, Layout};
use crate::plan::{Admin, HostPlan};
use crate::render::unit::{UNITS, UnitFile, put_unit, want};

const MASK: &str = "/dev/null";

const SCRIPT: &str = "/usr/lib/dmhost/host-key";

const HOST_KEY: &str = r"set -eu
cd /etc/ssh
rm -f .new .new.pub
ssh-keygen -q -t ed25519 -N '' -f .new
sync .new .new.pub
mv .new.pub ssh_host_ed25519_key.pub
mv .new ssh_host_ed25519_key
sync .
";

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    // The socket starts sshd when somebody comes; the base's own always-on unit would listen everywhere.
    layout.link(format!("{UNITS}/ssh.service"), MASK);
    // It would open sshd on AF_VSOCK and on a socket of its own, whatever this file says (systemd-ssh-generator(8)).
    layout.link("/etc/systemd/system-generators/systemd-ssh-generator", MASK);
    let Some(admin) = &plan.host.admin else {
        layout.link(format!("{UNITS}/ssh.socket"), MASK);
        return;
    };
    let Admin { user, interface, authorized_keys } = admin;

    let addresses = plan.interfaces[interface].addresses.iter().map(|net| match net.addr() {
        std::net::IpAddr::V4(address) => format!("{address}:22"),
        std::net::IpAddr::V6(address) => format!("[{address}]:22"),
    });
    let socket = UnitFile::new("host.admin: sshd answers on the addresses of this interface alone")
        .section("Unit")
        .set("After", "nftables.service")
        .set("Requires", "nftables.service")
        .section("Socket")
        .set("ListenStream", "")
        .each("ListenStream", addresses)
        .set("BindToDevice", interface.as_str())
        .set("FreeBind", "yes")
        .set("Accept", "yes");
    layout.text(format!("{UNITS}/ssh.socket.d/dmhost.conf"), socket.text());
    want(layout, "sockets.target", "/usr/lib/systemd/system/ssh.socket");

    // Made aside and on the disk before it gets its name: a key that a loss of power cut short would stay for good.
    layout.text(SCRIPT, HOST_KEY);
    let keys = UnitFile::new("The host's ssh key is made at the first boot, never in the image.")
        .section("Unit")
        .set("Description", "ssh host key")
        .set("ConditionPathExists", "!/etc/ssh/ssh_host_ed25519_key")
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/bin/sh {SCRIPT}"));
    put_unit(layout, "dmhost-hostkey.service", keys);
    want(layout, "multi-user.target", "../dmhost-hostkey.service");
    // Whole, not a drop-in: releases of openssh-server name their own template differently, or have none.
    let instance = UnitFile::new("One connection to sshd; it waits for the host's key.")
        .section("Unit")
        .set("Description", "ssh connection")
        .set("Requires", "dmhost-hostkey.service")
        .set("After", "dmhost-hostkey.service")
        .section("Service")
        .set("ExecStart", "-/usr/sbin/sshd -i")
        .set("StandardInput", "socket")
        .set("RuntimeDirectory", "sshd")
        .set("RuntimeDirectoryMode", "0755")
        .set("RuntimeDirectoryPreserve", "yes");
    put_unit(layout, "ssh@.service", instance);

    layout.text(
        "/etc/ssh/sshd_config.d/dmhost.conf",
        format!(
            "# host.admin: keys only, this account only\n\
             HostKey /etc/ssh/ssh_host_ed25519_key\n\
             AllowUsers {user}\n\
             PermitRootLogin prohibit-password\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\n"
        ),
    );
    let lines: String = authorized_keys.iter().map(|key| format!("{key}\n")).collect();
    layout.insert(format!("/etc/ssh/authorized_keys.d/{user}"), Entry { mode: 0o644, content: Content::Text(lines) });
    if user != "root" {
        // In the daemons' groups, which is root by another name: an administrator is one.
        let mut text = format!("# host.admin.user\nu {user} - \"Administrator\" /home/{user} /bin/bash\n");
        for name in plan.daemons.keys() {
            text.push_str(&format!("m {user} {}\n", name.group()));
        }
        layout.text("/etc/sysusers.d/dmhost-admin.conf", text);
        layout.text("/etc/tmpfiles.d/dmhost-admin.conf", format!("d /home/{user} 0700 {user} {user}\n"));
    }
}
