//! A bed for tests: the Linux kernel as the guest, in a user and network namespace of its own.
//!
//! Each NIC is a veth pair (`veth`). A test runs itself again inside `unshare -rn`, so no privilege is needed.

use std::path::Path;
use std::process::Command;

use super::veth::Carrier;

const INSIDE: &str = "DMHOST_FABRIC_INSIDE";

/// Runs `body` in a namespace of its own: as the one test with this name, in another process.
pub(super) fn in_namespace(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(own);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.output().expect("`unshare` of util-linux is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed in its namespace:\n{text}");
    assert!(text.contains("1 passed"), "no test is named {name}:\n{text}");
    for line in text.lines().filter(|line| line.starts_with("figure:")) {
        figure(line);
    }
}

/// Tells a measured figure.
pub(super) fn figure(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}

/// Runs `ip` with these words.
pub(super) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("`ip` of iproute2 is there");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A NIC of the kernel, plugged into the fabric; it is unplugged with its drop.
pub(super) struct Nic {
    carrier: Option<Carrier>,
}

impl Nic {
    /// Makes the interface `name` with a MAC and addresses, and plugs it in.
    pub(super) fn plug(name: &str, mac: &str, addresses: &[&str], socket: &Path) -> Self {
        let far = format!("{name}-wire");
        ip(&format!("link add {name} type veth peer name {far}"));
        // What is on the wire must be the kernel's answer alone: the far end has no addresses of its own.
        fs_err::write(format!("/proc/sys/net/ipv6/conf/{far}/disable_ipv6"), "1").expect("a namespace of our own");
        // A weak host, so that there is something to find: packets from another NIC's subnet are taken.
        for of in ["all", name] {
            fs_err::write(format!("/proc/sys/net/ipv4/conf/{of}/rp_filter"), "0").expect("a namespace of our own");
        }
        ip(&format!("link set {name} address {mac} gso_max_segs 1 up"));
        ip(&format!("link set {far} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            ip(&format!("addr add {address} dev {name}{nodad}"));
        }
        Self { carrier: Some(Carrier::start(&far, socket).expect("the fabric listens")) }
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        let ended = self.carrier.take().map(Carrier::end);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the bridge failed: {ended:?}");
    }
}
