//! How a mutant gets into a host. Files that a program reads anew on demand are put into a host that runs, and the program told; after
//! that it is as if the host had booted with them. All others take an image and a boot.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use dmhost_layout::plan::HostPlan;
use dmhost_layout::{Content, Entry};

use super::make::Mutant;
use crate::guest::Guest;
use crate::proof::inside::enter;

/// For programs to read what is new, dockerd above all, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Commands that have a running host take up a file, or `None` where only a boot does.
pub(super) fn commands(plan: &HostPlan, path: &Utf8Path, entry: &Entry) -> Option<String> {
    let Content::Text(text) = &entry.content else { return None };
    let own = plan.daemons.values().find(|daemon| path.starts_with(daemon.name.etc()));
    match (own, path.file_name()?) {
        (None, "nftables.conf") => {
            // Loaded anew, they do not know the sockets of the daemons in this namespace.
            let sockets = plan.shared().map(|(_, daemon)| format!("nft -f {}/published.nft\n", daemon.name.etc()));
            Some(format!("nft -f {path}\n{}", sockets.collect::<String>()))
        }
        (None, _) if path.starts_with("/etc/sysctl.d") => Some(sysctls(text, "")),
        (Some(daemon), "nftables.conf") => {
            let enter = enter(daemon);
            Some(format!("{enter}nft -f {path}\n{enter}nft -f {}/published.nft\n", daemon.name.etc()))
        }
        (Some(daemon), "link.conf") => Some(sysctls(text, &enter(daemon))),
        (Some(daemon), "egress.nft" | "published.nft") => Some(format!("{}nft -f {path}\n", enter(daemon))),
        (Some(daemon), "sysctl.conf") => {
            let enter = enter(daemon);
            // What is the links' own comes after.
            let own = daemon.name.etc().join("link.conf");
            Some(sysctls(text, &enter) + &format!("[ ! -e {own} ] || {enter}sysctl -qp {own}\n"))
        }
        (None, name) if name.starts_with("dmhost-") && name.ends_with(".service") => {
            Some("systemctl daemon-reload\n".to_owned())
        }
        (Some(daemon), "daemon.json") => Some(format!("systemctl restart {}\n", daemon.name.service())),
        _ => None,
    }
}

/// Writes each key as it would be after a boot: `default` is what interfaces begin with, so the interfaces that are there get it too. What
/// a zone's dockerd itself writes when it starts is no boot's affair.
fn sysctls(text: &str, enter: &str) -> String {
    let mut script = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let path = key.trim_start_matches('-').replace('.', "/");
        if !enter.is_empty() && (path == "net/ipv4/ip_forward" || path.ends_with("/forwarding")) {
            continue;
        }
        let each = path.replace("/conf/default/", "/conf/*/");
        let _ = writeln!(script, "for key in /proc/sys/{each}; do [ -e $key ] && echo {value} >$key; done");
    }
    format!("{enter}sh -c '\n{script}true'\n")
}

/// Whether all of a mutant can be put into a host that runs.
pub(super) fn is_live(plan: &HostPlan, mutant: &Mutant) -> bool {
    // What dockerd reads when it starts is as it found it, or it does so before; rules that it has made stay when it is started anew.
    let early = ["forward the other way", "forwarding the other way", "tables off"];
    // A router that is known stays for hours.
    let router = ["nd-router-", "accept_ra_defrtr"];
    let early = early.iter().chain(&router).any(|part| mutant.name.contains(part))
        || mutant.name.contains("/link.conf") && mutant.name.contains(".accept_ra the");
    let unit = mutant.files.keys().any(|path| path.extension() == Some("service"));
    !early && !unit && mutant.files.iter().all(|(path, entry)| commands(plan, path, entry).is_some())
}

/// Puts a mutant into a host that runs; why not, if a daemon does not start with it.
pub(super) fn put(plan: &HostPlan, guest: &Guest, mutant: &Mutant) -> Result<Option<String>> {
    let mut script = String::from("set -eu\n");
    for (path, entry) in &mutant.files {
        let Content::Text(text) = &entry.content else { bail!("{path} is no text") };
        guest.put(path.as_str(), entry.mode, text.as_bytes())?;
        script.push_str(&commands(plan, path, entry).with_context(|| format!("{path} takes a boot"))?);
    }
    let output = guest.run(&script, PATIENCE)?;
    match output.status {
        Some(0) => Ok(None),
        status => {
            let said = String::from_utf8_lossy(&output.stderr);
            // Of all that is put in, systemd alone says so.
            let refused = said.lines().find(|line| line.starts_with("Job for ") && line.contains(" failed"));
            refused
                .map(|line| Some(line.to_owned()))
                .with_context(|| format!("{} cannot be put in: status {status:?}, {}", mutant.name, said.trim_end()))
        }
    }
}
