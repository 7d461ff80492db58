//! Values that `dockerd --validate` lets pass and that keep the daemon, or every container, from starting.

use super::node::{Member, Node};
use super::shape::below;
use super::version::{Reader, Versions};
use super::{addresses, containers};
use crate::diagnostics::Diagnostic;
use crate::spec::words::{nearest, quoted};

type Report = Vec<Diagnostic>;

/// A refusal: what is wrong, and what to write.
type Refusal = (String, String);

/// Judges a value of the right type by itself.
pub(super) fn check(key: &str, node: &Node, path: &str, reader: Reader<'_>, report: &mut Report) {
    match key {
        "authorization-plugins" => plugins(node, path, report),
        "cpu-rt-period" | "cpu-rt-runtime" => realtime(node, path, report),
        "bip" => text(node, path, report, addresses::bridge),
        "dns-search" => items(node, path, report, addresses::domain),
        "default-address-pools" => addresses::pools(node, path, report),
        "default-ulimits" => containers::ulimits(node, path, report),
        "exec-opts" => items(node, path, report, exec_opt),
        "hosts" => items(node, path, report, addresses::listen),
        "insecure-registries" => items(node, path, report, addresses::registry),
        "labels" => labels(node, path, report),
        "log-driver" => text(node, path, report, |text| log_driver(text, reader)),
        "metrics-addr" => text(node, path, report, addresses::metrics),
        "mtu" | "network-control-plane-mtu" => mtu(node, path, report),
        "node-generic-resources" => items(node, path, report, |text| pair(text, "gpu=1")),
        "registry-mirrors" => items(node, path, report, addresses::mirror),
        "runtimes" => containers::runtimes(node, path, report),
        "seccomp-profile" => text(node, path, report, seccomp),
        "storage-driver" => text(node, path, report, |text| storage_driver(text, reader)),
        "storage-opts" => items(node, path, report, |text| pair(text, "overlay2.size=10G")),
        _ => {}
    }
}

/// Judges keys that only go together, or do not: rules of moby's `verifyDaemonSettings` and of its log drivers.
pub(super) fn check_together(members: &[(&str, &Node, String)], decided: Option<&str>, report: &mut Report) {
    let find = |key: &str| members.iter().rev().find(|(name, _, _)| *name == key);
    let driver = find("log-driver").and_then(|(_, node, _)| node.as_str()).unwrap_or("json-file");
    if let Some(known) = log_opts(driver) {
        for (_, node, path) in members.iter().filter(|(name, _, _)| *name == "log-opts") {
            for Member { key, key_span, .. } in node.members() {
                if !known.contains(&key.as_str()) {
                    let message = format!("log driver `{driver}` has no option {}", quoted(key));
                    let help = match nearest(key, known.iter().copied()) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => format!("its options: `{}`", known.join("`, `")),
                    };
                    report.push(
                        Diagnostic::error("engine-value", below(path, key), key_span.clone(), message).help(help),
                    );
                }
            }
        }
    }
    let storage = decided.or_else(|| find("storage-driver").and_then(|(_, node, _)| node.as_str()));
    for (_, node, path) in members.iter().filter(|(name, _, _)| *name == "features") {
        // The image store takes the driver's name for that of a snapshotter, and starts without one of that name.
        let store = node.member("containerd-snapshotter").filter(|member| member.node.as_bool() == Some(true));
        if let (Some(store), Some(driver @ ("overlay2" | "vfs" | "fuse-overlayfs"))) = (store, storage) {
            let message = format!(
                "containerd has no snapshotter `{driver}`, which is the storage driver: no image can be unpacked"
            );
            let path = below(path, &store.key);
            let diagnostic = Diagnostic::error("engine-value", path, store.key_span.clone(), message);
            report.push(
                diagnostic.help("leave it out, or leave `storage-driver` to the engine where it is yours to set"),
            );
        }
    }
    if let Some(driver) = storage
        && let Some((_, node, path)) = find("storage-opts")
    {
        for (n, item) in node.items().iter().enumerate() {
            let prefix = item.as_str().and_then(|text| text.split_once('.')).map(|(prefix, _)| prefix);
            if let Some(prefix) = prefix.filter(|prefix| *prefix != driver) {
                let message =
                    format!("{} is no option of the driver `{driver}`: dockerd does not start", quoted(prefix));
                let help = format!("write options that begin with `{driver}.`, or leave it out");
                refuse(item, &format!("{path}[{n}]"), (message, help), report);
            }
        }
    }
    if let Some((_, node, path)) = find("default-runtime")
        && let Some(name) = node.as_str()
        && !matches!(name, "" | "runc")
        && !name.starts_with("io.containerd.")
        && !members.iter().any(|(key, node, _)| *key == "runtimes" && node.get(name).is_some())
    {
        let message = format!("there is no runtime {}, and dockerd does not start without it", quoted(name));
        let diagnostic = Diagnostic::error("engine-value", path.clone(), node.span.clone(), message);
        report.push(diagnostic.help("write it into `runtimes`, or write `runc`"));
    }
}

/// dockerd waits for them before it answers; a plugin that runs in a container of this daemon never comes.
fn plugins(node: &Node, path: &str, report: &mut Report) {
    if let Some(first) = node.items().first() {
        let message = "dockerd does not answer before this plugin does";
        let diagnostic = Diagnostic::error("engine-value", path, first.span.clone(), message).as_warning();
        report.push(diagnostic.help("have a service start the plugin before dockerd, or leave it out"));
    }
}

/// Real-time budgets are for version 1 of cgroups, which Debian does not have any more.
fn realtime(node: &Node, path: &str, report: &mut Report) {
    if node.as_i64().is_some_and(|number| number != 0) {
        let message = "dockerd does not start with a real-time budget where cgroups are version 2, as in Debian";
        let diagnostic = Diagnostic::error("engine-value", path, node.span.clone(), message);
        report.push(diagnostic.help("leave it out"));
    }
}

fn refuse(node: &Node, path: &str, (message, help): Refusal, report: &mut Report) {
    report.push(Diagnostic::error("engine-value", path, node.span.clone(), message).help(help));
}

fn text(node: &Node, path: &str, report: &mut Report, check: impl Fn(&str) -> Result<(), Refusal>) {
    if let Some(Err(refusal)) = node.as_str().filter(|text| !text.is_empty()).map(check) {
        refuse(node, path, refusal, report);
    }
}

fn items(node: &Node, path: &str, report: &mut Report, check: impl Fn(&str) -> Result<(), Refusal>) {
    for (n, item) in node.items().iter().enumerate() {
        if let Some(Err(refusal)) = item.as_str().map(&check) {
            refuse(item, &format!("{path}[{n}]"), refusal, report);
        }
    }
}

fn pair(text: &str, example: &str) -> Result<(), Refusal> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(()),
        Some(_) | None => {
            Err((format!("{} is no key with a value", quoted(text)), format!("write it like `{example}`")))
        }
    }
}

fn labels(node: &Node, path: &str, report: &mut Report) {
    let mut seen: Vec<(&str, &Node)> = Vec::new();
    for (n, item) in node.items().iter().enumerate() {
        let Some(text) = item.as_str() else { continue };
        let path = format!("{path}[{n}]");
        if let Err(refusal) = pair(text, "com.example.rack=12") {
            refuse(item, &path, refusal, report);
            continue;
        }
        let key = text.split_once('=').map_or(text, |(key, _)| key);
        if ["com.docker.", "io.docker.", "org.dockerproject."].into_iter().any(|prefix| key.starts_with(prefix)) {
            let message = format!("{} is in a namespace that Docker keeps for itself", quoted(key));
            refuse(item, &path, (message, "use a domain of your own".to_owned()), report);
        } else if let Some((_, first)) =
            seen.iter().find(|(other, first)| *other == key && first.as_str() != Some(text))
        {
            let message = format!("the label {} is there with another value", quoted(key));
            let diagnostic = Diagnostic::error("engine-value", path, item.span.clone(), message);
            report.push(diagnostic.help("leave one of them out").related(first.span.clone(), "the first"));
        } else {
            seen.push((key, item));
        }
    }
}

fn exec_opt(text: &str) -> Result<(), Refusal> {
    match text.split_once('=') {
        Some(("native.cgroupdriver", "systemd" | "cgroupfs")) => Ok(()),
        Some(("native.cgroupdriver", driver)) => {
            Err((format!("there is no cgroup driver {}", quoted(driver)), "write `systemd` or `cgroupfs`".to_owned()))
        }
        Some(_) | None => Err((
            format!("{} has no effect", quoted(text)),
            "the one option on Linux is `native.cgroupdriver=systemd` or `=cgroupfs`".to_owned(),
        )),
    }
}

/// Log drivers that come with the engine on Linux, by name.
const LOG_DRIVERS: [(&str, Versions); 11] = [
    ("awslogs", Versions::ALL),
    ("fluentd", Versions::ALL),
    ("gcplogs", Versions::ALL),
    ("gelf", Versions::ALL),
    ("journald", Versions::ALL),
    ("json-file", Versions::ALL),
    ("local", Versions::ALL),
    ("logentries", Versions::until(25)),
    ("none", Versions::ALL),
    ("splunk", Versions::ALL),
    ("syslog", Versions::ALL),
];

fn log_driver(text: &str, reader: Reader<'_>) -> Result<(), Refusal> {
    let here = having(&LOG_DRIVERS, reader);
    if here.contains(&text) {
        return Ok(());
    }
    // A plugin may bring one; what is nearly the name of one that is there is a slip.
    match nearest(text, here.iter().copied()) {
        Some(word) => Err((
            format!("there is no log driver {}: no container starts with it", quoted(text)),
            format!("did you mean `{word}`?"),
        )),
        None if text.contains([':', '/']) => Ok(()),
        None => Err((
            format!("{} brings no log driver {}: no container starts with it", reader.name(), quoted(text)),
            format!("write `{}`, or a plugin with its tag, such as `grafana/loki:latest`", here.join("`, `")),
        )),
    }
}

/// The words of a table that this engine has.
fn having(table: &[(&'static str, Versions)], reader: Reader<'_>) -> Vec<&'static str> {
    table.iter().filter(|(_, versions)| reader.has(*versions)).map(|(word, _)| *word).collect()
}

/// Options of the log drivers that most people use; `None` for the others.
fn log_opts(driver: &str) -> Option<&'static [&'static str]> {
    Some(match driver {
        "json-file" => &[
            "compress",
            "env",
            "env-regex",
            "labels",
            "labels-regex",
            "max-buffer-size",
            "max-file",
            "max-size",
            "mode",
            "tag",
        ],
        "local" => &["compress", "max-buffer-size", "max-file", "max-size", "mode"],
        "journald" => &["env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag"],
        "syslog" => &[
            "env",
            "env-regex",
            "labels",
            "labels-regex",
            "max-buffer-size",
            "mode",
            "syslog-address",
            "syslog-facility",
            "syslog-format",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
            "tag",
        ],
        _ => return None,
    })
}

/// The kernel takes an MTU from 68 (RFC 791) to 65535 on a bridge.
fn mtu(node: &Node, path: &str, report: &mut Report) {
    if let Some(mtu) = node.as_i64().filter(|mtu| *mtu != 0 && !(68..=65535).contains(mtu)) {
        let message = format!("no bridge takes an MTU of {mtu}");
        refuse(node, path, (message, "write a number from 68 to 65535; 1500 is the usual one".to_owned()), report);
    }
}

fn seccomp(text: &str) -> Result<(), Refusal> {
    if matches!(text, "builtin" | "unconfined") || text.starts_with('/') {
        return Ok(());
    }
    let help = "write `builtin`, `unconfined`, or the absolute path of a profile".to_owned();
    Err((format!("{} is no seccomp profile", quoted(text)), help))
}

/// Storage drivers, by name.
const STORAGE_DRIVERS: [(&str, Versions); 8] = [
    ("aufs", Versions::until(24)),
    ("btrfs", Versions::ALL),
    ("devicemapper", Versions::until(25)),
    ("fuse-overlayfs", Versions::ALL),
    ("overlay", Versions::until(24)),
    ("overlay2", Versions::ALL),
    ("vfs", Versions::ALL),
    ("zfs", Versions::ALL),
];

fn storage_driver(text: &str, reader: Reader<'_>) -> Result<(), Refusal> {
    let here = having(&STORAGE_DRIVERS, reader);
    if here.contains(&text) {
        return Ok(());
    }
    if STORAGE_DRIVERS.iter().any(|(driver, _)| *driver == text) {
        let help = "write `overlay2`; its data is not read by it: save your images and volumes first".to_owned();
        return Err((format!("{} has no storage driver {} any more", reader.name(), quoted(text)), help));
    }
    Err((
        format!("there is no storage driver {}", quoted(text)),
        match nearest(text, here.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write `{}`", here.join("`, `")),
        },
    ))
}
