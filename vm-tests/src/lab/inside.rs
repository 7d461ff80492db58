//! Inside the namespace: the link is made, names are put into `/etc/hosts`, and the program runs while its frames are carried.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Place;
use crate::fabric::veth::Carrier;

/// The link that the program sees, and its far end.
const LINK: &str = "eth0";
const WIRE: &str = "wire";

/// Runs a program in the place that `file` describes, in the namespace that this process has for itself, and gives its exit
/// code, 128 and the signal if one ended it.
///
/// # Errors
/// If this is no such namespace, a tool is missing (`ip`, `mount`), or the program cannot be started.
pub fn run(file: &Path, program: &[String]) -> Result<u8> {
    let place: Place = serde_json::from_slice(&fs_err::read(file)?).context("the place is not described as one")?;
    link(&place)?;
    name(&place, file)?;
    let carrier = Carrier::start(WIRE, &place.socket)?;
    let (first, words) = program.split_first().context("no program is named")?;
    let status = Command::new(first)
        .args(words)
        .envs(place.environment.iter().map(|(name, value)| (name, value)))
        .status()
        .with_context(|| format!("{first} cannot be run"))?;
    carrier.end()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

fn link(place: &Place) -> Result<()> {
    ip("link set lo up")?;
    ip(&format!("link add {LINK} type veth peer name {WIRE}"))?;
    // The far end is a wire: it has no addresses.
    fs_err::write(format!("/proc/sys/net/ipv6/conf/{WIRE}/disable_ipv6"), "1")?;
    ip(&format!("link set {WIRE} up"))?;
    // One packet per frame: nothing cuts what the kernel would leave to the card.
    ip(&format!("link set {LINK} address {} gso_max_segs 1 up", place.mac))?;
    for address in &place.addresses {
        let nodad = if address.addr().is_ipv6() { " nodad" } else { "" };
        ip(&format!("addr add {address} dev {LINK}{nodad}"))?;
    }
    for gateway in &place.gateways {
        let family = if gateway.is_ipv6() { "-6" } else { "-4" };
        if place.addresses.iter().any(|address| address.addr().is_ipv6() == gateway.is_ipv6()) {
            ip(&format!("{family} route add default via {gateway} dev {LINK} onlink"))?;
        }
    }
    Ok(())
}

/// Puts the daemons' names before those that the machine knows.
fn name(place: &Place, file: &Path) -> Result<()> {
    let mut hosts: String =
        place.names.iter().map(|(address, names)| format!("{address} {}\n", names.join(" "))).collect();
    hosts += &fs_err::read_to_string("/etc/hosts").unwrap_or_default();
    let own = file.with_file_name("hosts");
    fs_err::write(&own, hosts)?;
    must(Command::new("mount").arg("--bind").arg(own).arg("/etc/hosts"))
}

fn ip(words: &str) -> Result<()> {
    must(Command::new("ip").args(words.split(' ')))
}

fn must(command: &mut Command) -> Result<()> {
    let attempt = format!("{command:?}");
    let output = command.output().with_context(|| format!("{attempt} cannot be run"))?;
    if !output.status.success() {
        bail!("{attempt}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
