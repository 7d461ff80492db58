//! What is wrong with one daemon by itself and `dockerd --validate` does not say.
//!
//! Source: `verifyDaemonSettings` of moby v26.1 (`daemon/daemon_unix.go`), which runs at a start only, and runs of it.

use super::Reports;
use super::daemon::Daemon;
use crate::engine::Value;
use crate::spec::words::quoted;

pub(super) fn check(daemon: &Daemon, reports: &mut Reports<'_>) {
    flag_and_file(daemon, reports);
    bridge(daemon, reports);
    firewall(daemon, reports);
    api(daemon, reports);
    odd_values(daemon, reports);
}

/// A key in both places keeps dockerd from starting; `runtimes` alone may be in both.
fn flag_and_file(daemon: &Daemon, reports: &mut Reports<'_>) {
    for value in daemon.values.iter().filter(|value| !value.flag && value.key != "runtimes") {
        if let Some(flag) = daemon.values.iter().find(|other| other.flag && other.key == value.key) {
            let message = format!(
                "{} is on the command line too, {}: dockerd does not start",
                quoted(&value.key),
                reports.name(&flag.at)
            );
            let diagnostic = value.at.error("flag-and-file", message).help("leave one of them out: best the flag");
            reports.push(&value.at, diagnostic);
        }
    }
}

fn bridge(daemon: &Daemon, reports: &mut Reports<'_>) {
    let bridge = daemon.get("bridge").filter(|value| value.node.as_str().is_some_and(|text| !text.is_empty()));
    if let (Some(bridge), Some(bip)) = (bridge, daemon.get("bip")) {
        let message = format!("`bridge` and `bip` exclude each other, and `bridge` is in {}", reports.name(&bridge.at));
        let help = "leave `bip` out and give the bridge its address yourself, or leave `bridge` out";
        reports.push(&bip.at, bip.at.error("bridge-and-bip", message).help(help));
    }
    if daemon.bridge().is_some() && daemon.is("ipv6", false) && daemon.get("fixed-cidr-v6").is_none() {
        let at = daemon.place("ipv6");
        let message = "`ipv6` needs a subnet for the default bridge: dockerd does not start without";
        reports.push(
            &at,
            at.error("ipv6-without-subnet", message).help("write `fixed-cidr-v6` too, for example `fd00:20::/64`"),
        );
    }
    if let (Some(gateway), Some(bip)) = (daemon.get("default-gateway"), daemon.get("bip"))
        && let (Some(Ok(address)), Some(Ok(net))) = (
            gateway.node.as_str().map(str::parse::<std::net::IpAddr>),
            bip.node.as_str().map(str::parse::<ipnet::IpNet>),
        )
        && !net.contains(&address)
    {
        let message =
            format!("the gateway {address} is not on the bridge's subnet {}: dockerd does not start", net.trunc());
        reports.push(
            &gateway.at,
            gateway.at.error("engine-value", message).help("write an address of that subnet, or leave it out"),
        );
    }
}

fn firewall(daemon: &Daemon, reports: &mut Reports<'_>) {
    if !daemon.is("iptables", true) && !daemon.is("icc", true) {
        let at = daemon.place("icc");
        let message = "`icc: false` is done with iptables, which is off: dockerd does not start";
        reports.push(&at, at.error("icc-without-iptables", message).help("leave `icc` out, or `iptables` on"));
    }
    if daemon.is("ip6tables", false) && !daemon.is("experimental", false) {
        let at = daemon.place("ip6tables");
        let message = "engine 26.1 takes `ip6tables` with `experimental` only, and does not start without";
        reports
            .push(&at, at.error("ip6tables-without-experimental", message).help("write `\"experimental\": true` too"));
    }
    if daemon.is("ipv6", false) && daemon.is("iptables", true) && !daemon.is("ip6tables", false) {
        let at = daemon.place("ipv6");
        let message =
            "containers have IPv6 and no firewall for it: every port of theirs is open to whoever can route there";
        let help = "write `\"ip6tables\": true` and `\"experimental\": true` too";
        reports.push(&at, at.error("ipv6-without-ip6tables", message).as_warning().help(help));
    }
}

fn api(daemon: &Daemon, reports: &mut Reports<'_>) {
    let tcp = daemon.tcp();
    // `tls` is switched on by `tlsverify` at all, true or false (moby, cmd/dockerd/daemon.go).
    let tls = daemon.is("tls", false) || daemon.get("tlsverify").is_some();
    for (text, _, _, at) in &tcp {
        if !tls {
            let message = format!("{} is open: whoever reaches it is root on this machine", quoted(text));
            let help = "write `tlsverify` with `tlscacert`, `tlscert` and `tlskey`, or a unix socket";
            reports.push(at, at.error("api-open", message).help(help));
        } else if !daemon.is("tlsverify", false) {
            let message = format!(
                "{} encrypts and asks nobody who he is: whoever reaches it is root on this machine",
                quoted(text)
            );
            reports.push(
                at,
                at.error("api-open", message).help("write `tlsverify` with a `tlscacert` of the daemon's own"),
            );
        }
    }
    if tls {
        let why = [
            ("tlscacert", "no CA of yours checks the clients"),
            ("tlscert", "dockerd does not start"),
            ("tlskey", "dockerd does not start"),
        ];
        for (key, why) in why {
            let text = daemon.text(key, "").0;
            if text.is_empty() && (key != "tlscacert" || daemon.is("tlsverify", false)) {
                let at = daemon.place(if daemon.get("tlsverify").is_some() { "tlsverify" } else { "tls" });
                let message = format!("{} is not given: {why}", quoted(key));
                reports.push(&at, at.error("tls-files", message).help(format!("write `{key}` with an absolute path")));
            }
        }
    }
}

fn odd_values(daemon: &Daemon, reports: &mut Reports<'_>) {
    if let Some(ip) = daemon.get("ip")
        && let Some(text) = ip.node.as_str().filter(|text| matches!(*text, "0.0.0.0" | "::"))
    {
        let message =
            format!("`ip: {text}` is what is without it: published ports are on every address of the machine");
        let help = "write the one address that published ports of this daemon are to be on";
        reports.push(&ip.at, ip.at.error("ip-any", message).as_warning().help(help));
    }
    if let Some(parent) = daemon.get("cgroup-parent")
        && let Some(text) = parent.node.as_str().filter(|text| {
            let slice = std::path::Path::new(text).extension().is_some_and(|end| end == "slice") && !text.contains('/');
            !text.is_empty() && !slice
        })
    {
        let message = format!(
            "{} is no slice: with the systemd driver, which is the usual one, dockerd does not start",
            quoted(text)
        );
        reports.push(&parent.at, parent.at.error("cgroup-parent", message).help("write a name that ends in `.slice`"));
    }
    if let Some(driver) = daemon.get("storage-driver").filter(|driver| driver.node.as_str() == Some("btrfs")) {
        let message =
            "with the driver `btrfs` a snapshot of the data-root holds empty layers: what is restored does not start";
        reports.push(
            &driver.at,
            driver
                .at
                .error("storage-driver-btrfs", message)
                .as_warning()
                .help("write `overlay2`, which works on btrfs"),
        );
    }
    for key in ["data-root", "exec-root", "pidfile"] {
        if let Some(value) = daemon.get(key)
            && let Value::String(text) = &value.node.value
            && !text.is_empty()
            && !text.starts_with('/')
        {
            let message = format!("{} is no absolute path: dockerd takes it from where it was started", quoted(text));
            reports.push(&value.at, value.at.error("path-relative", message).help("write it from `/` on"));
        }
    }
}
