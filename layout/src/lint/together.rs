//! What daemons in one network namespace take from each other.

use std::net::IpAddr;

use ipnet::IpNet;

use super::daemon::{Daemon, Given};
use super::{At, Reports};
use crate::spec::words::quoted;

/// The data-root of the distribution's own daemon.
const DISTRIBUTION: &str = "/var/lib/docker";

/// A daemon with what the others are compared with.
struct Seen<'d> {
    daemon: &'d Daemon,
    data_root: String,
    exec_root: String,
    pidfile: String,
    /// Unix sockets by their path.
    unix: Vec<(String, At)>,
    tcp: Vec<(String, Option<IpAddr>, u16, At)>,
    ranges: Vec<(IpNet, At)>,
}

impl<'d> Seen<'d> {
    fn new(daemon: &'d Daemon) -> Self {
        let path = |key, default| normal(daemon.text(key, default).0);
        let unix =
            daemon.hosts().into_iter().filter_map(|(text, at)| Some((normal(text.strip_prefix("unix://")?), at)));
        Self {
            daemon,
            data_root: path("data-root", DISTRIBUTION),
            exec_root: path("exec-root", "/run/docker"),
            pidfile: path("pidfile", "/run/docker.pid"),
            unix: unix.collect(),
            tcp: daemon.tcp(),
            ranges: daemon.ranges(),
        }
    }
}

/// Judges all daemons together. What could not be read is none of them.
pub(super) fn check(daemons: &[Daemon], reports: &mut Reports<'_>) {
    let seen: Vec<_> = daemons.iter().map(Seen::new).collect();
    for (n, one) in seen.iter().enumerate() {
        // Of what several have, each is told of the first alone.
        let before = &seen[..n];
        data_roots(before, one, reports);
        same_paths(before, one, reports);
        sockets(before, one, reports);
        ranges(before, one, reports);
        bridges(&daemons[..n], one.daemon, reports);
        shared_keys(&daemons[..n], one.daemon, reports);
    }
    if daemons.len() > 1 {
        each(daemons, reports);
    } else if let [daemon] = daemons {
        beside_the_distribution(daemon, reports);
    }
}

/// A path without `/var` before `/run`, and without a slash at its end.
fn normal(path: &str) -> String {
    let path = path.strip_prefix("/var/run/").map_or_else(|| path.to_owned(), |rest| format!("/run/{rest}"));
    path.trim_end_matches('/').to_owned()
}

fn data_roots(before: &[Seen<'_>], one: &Seen<'_>, reports: &mut Reports<'_>) {
    let own = one.data_root.as_str();
    let at = one.daemon.place("data-root");
    let there = |first: &Seen<'_>, reports: &Reports<'_>| reports.name(&first.daemon.place("data-root"));
    if let Some(first) = before.iter().find(|first| first.data_root == own) {
        let message = format!("the data-root {} is that of another daemon, {}", quoted(own), there(first, reports));
        let help = "write a data-root of its own: the second daemon waits for the first one's lock and gives up";
        reports.push(&at, at.error("data-root-shared", message).help(help));
    } else if let Some(first) =
        before.iter().find(|first| first.data_root.starts_with(own) || own.starts_with(&first.data_root))
    {
        let message = format!(
            "the data-roots {} and {} ({}) begin alike: the daemon with the shorter one unmounts the other's running \
             containers when it starts and stops",
            quoted(own),
            quoted(&first.data_root),
            there(first, reports)
        );
        let help = "write paths of which none begins with another, such as `/srv/docker/NAME/docker`";
        reports.push(&at, at.error("data-root-prefix", message).help(help));
    }
}

fn same_paths(before: &[Seen<'_>], one: &Seen<'_>, reports: &mut Reports<'_>) {
    type Path = for<'a> fn(&'a Seen<'_>) -> &'a str;
    let keys: [(&str, Path, &'static str, &str); 2] = [
        (
            "exec-root",
            |seen| &seen.exec_root,
            "exec-root-shared",
            "the second daemon takes the first one's containerd and fails",
        ),
        (
            "pidfile",
            |seen| &seen.pidfile,
            "pidfile-shared",
            "the second daemon takes the first for itself and does not start",
        ),
    ];
    for (key, path, code, why) in keys {
        if let Some(first) = before.iter().find(|first| path(first) == path(one)) {
            let at = one.daemon.place(key);
            let there = reports.name(&first.daemon.place(key));
            let message = format!("the {key} {} is that of another daemon, {there}: {why}", quoted(path(one)));
            reports.push(&at, at.error(code, message).help(format!("write a `{key}` of its own, below `/run`")));
        }
    }
}

fn sockets(before: &[Seen<'_>], one: &Seen<'_>, reports: &mut Reports<'_>) {
    for (path, at) in &one.unix {
        if let Some((_, there)) = before.iter().flat_map(|first| &first.unix).find(|(other, _)| other == path) {
            let message = format!("the socket {} is that of another daemon, {}", quoted(path), reports.name(there));
            let help = "write a socket of its own: the later daemon takes it away from the earlier one";
            reports.push(at, at.error("socket-shared", message).help(help));
        }
    }
    let overlap = |one: &Option<IpAddr>, other: &Option<IpAddr>| one.is_none() || other.is_none() || one == other;
    for (text, address, port, at) in &one.tcp {
        let mut tcp = before.iter().flat_map(|first| &first.tcp);
        if let Some((other, _, _, there)) = tcp.find(|(_, other, number, _)| number == port && overlap(other, address))
        {
            let (other, there) = (quoted(other), reports.name(there));
            let message = format!("{} and {other} of another daemon, {there}, are one socket", quoted(text));
            let help = "write an address of the daemon's own, or another port";
            reports.push(at, at.error("socket-shared", message).help(help));
        }
    }
    if let Some(own) = one.daemon.get("metrics-addr") {
        let same = |other: &&Given| other.node.as_str() == own.node.as_str();
        if let Some(first) = before.iter().filter_map(|first| first.daemon.get("metrics-addr")).find(same) {
            let message = format!("`metrics-addr` is that of another daemon, {}", reports.name(&first.at));
            reports.push(&own.at, own.at.error("socket-shared", message).help("write another port"));
        }
    }
}

fn ranges(before: &[Seen<'_>], one: &Seen<'_>, reports: &mut Reports<'_>) {
    for (net, at) in &one.ranges {
        let mut ranges = before.iter().flat_map(|first| &first.ranges);
        if let Some((other, there)) = ranges.find(|(other, _)| other.contains(net) || net.contains(other)) {
            let there = reports.name(there);
            let message = format!("{net} overlaps {other} of another daemon, {there}: two bridges get one subnet");
            reports.push(at, at.error("pools-overlap", message).help("write ranges that are apart"));
        }
    }
}

fn bridges(before: &[Daemon], daemon: &Daemon, reports: &mut Reports<'_>) {
    let named = |name: Option<&str>| before.iter().find(|first| first.bridge() == name);
    match daemon.bridge() {
        Some(own) => {
            if let Some(first) = named(Some(own)) {
                let at = daemon.place("bridge");
                let there = reports.name(&first.place("bridge"));
                let message = format!("the bridge {} is that of another daemon, {there}", quoted(own));
                let help =
                    "make a bridge for each daemon and write its name as `bridge`: both give out the same addresses";
                reports.push(&at, at.error("bridge-shared", message).help(help));
            }
            if let Some(none) = named(None).filter(|_| own == "docker0") {
                deletes(none, daemon, reports);
            }
        }
        None => {
            if let Some(with) = named(Some("docker0")) {
                deletes(daemon, with, reports);
            }
        }
    }
}

/// `bridge: none` takes `docker0` away at every start, whosever it is (moby, `daemon_unix.go`).
fn deletes(none: &Daemon, with: &Daemon, reports: &mut Reports<'_>) {
    let at = none.place("bridge");
    let message = format!(
        "with `bridge: none` dockerd deletes `docker0` when it starts, and {} has its containers on it",
        quoted(&with.name)
    );
    let help = "give that daemon a bridge of another name";
    reports.push(&at, at.error("docker0-deleted", message).help(help));
}

fn shared_keys(before: &[Daemon], daemon: &Daemon, reports: &mut Reports<'_>) {
    let keys = [
        (
            "containerd",
            "containerd-shared",
            "",
            "leave `containerd` out of both, and mask the system's own: each dockerd starts one for itself",
        ),
        (
            "tlscacert",
            "client-ca-shared",
            ": whose certificate it signed may use both, since the chain alone is checked",
            "make a client CA for each daemon",
        ),
    ];
    for (key, code, why, help) in keys {
        let Some(own) = daemon.get(key) else { continue };
        let Some(text) = own.node.as_str() else { continue };
        let same = |first: &&Given| first.node.as_str() == Some(text);
        if let Some(first) = before.iter().filter_map(|first| first.get(key)).find(same) {
            let there = reports.name(&first.at);
            let message = format!("the `{key}` {} is that of another daemon, {there}{why}", quoted(text));
            reports.push(&own.at, own.at.error(code, message).help(help));
        }
    }
}

/// What each of several daemons must have, or must not.
fn each(daemons: &[Daemon], reports: &mut Reports<'_>) {
    let filtering: Vec<_> = daemons.iter().filter(|daemon| daemon.is("iptables", true)).collect();
    if filtering.len() > 1 {
        for daemon in &filtering {
            let at = daemon.place("iptables");
            let others: Vec<_> =
                filtering.iter().filter(|other| other.name != daemon.name).map(|other| quoted(&other.name)).collect();
            let message = format!(
                "each start of this daemon takes away the rules of {}: published ports, and what keeps networks apart",
                listed(&others)
            );
            let help = "write `\"iptables\": false` for all but one and make their rules yourself, or give each daemon a network namespace";
            reports.push(&at, at.error("iptables-flushed", message).help(help));
        }
    }
    for daemon in daemons {
        if daemon.get("default-address-pools").is_none() {
            let at = start(daemon);
            let message = "without `default-address-pools` every daemon takes its networks from the same ranges, and which it gets depends on who starts first";
            reports.push(
                &at,
                at.error("pools-missing", message)
                    .as_warning()
                    .help("write `default-address-pools` that are apart for each daemon"),
            );
        }
        if daemon.get("containerd").is_none() {
            let at = start(daemon);
            let message = "without `containerd` every daemon uses the system's containerd as soon as its socket is there, and all of them the same";
            let help =
                "mask `containerd.service`, and let the unit assert that `/run/containerd/containerd.sock` is away";
            reports.push(&at, at.error("containerd-found", message).as_warning().help(help));
        }
    }
    for daemon in daemons {
        beside_the_distribution(daemon, reports);
    }
}

/// Names for a message, the first few of them.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

fn start(daemon: &Daemon) -> At {
    At { file: daemon.file, span: 0..0, path: String::new() }
}

/// The distribution's own daemon unmounts what begins with its data-root, unless it never runs.
fn beside_the_distribution(daemon: &Daemon, reports: &mut Reports<'_>) {
    let (root, at) = daemon.text("data-root", DISTRIBUTION);
    if let Some(at) = at.filter(|_| normal(root).starts_with(DISTRIBUTION) && normal(root) != DISTRIBUTION) {
        let message = format!(
            "{} begins with `{DISTRIBUTION}`: the distribution's own daemon unmounts running containers below it",
            quoted(root)
        );
        let help =
            "write another path, such as `/srv/docker/NAME/docker`, or mask `docker.service` and `docker.socket`";
        reports.push(at, at.error("data-root-prefix", message).as_warning().help(help));
    }
}
