//! `host.packages`: names that apt takes, none of which fights dmhost for what it sets up.

use super::Report;
use crate::spec::words::quoted;
use crate::spec::{At, Field, List};

/// Packages that take over what dmhost decides, and what they would do.
const RIVALS: &[(&[&str], &str)] = &[
    (
        &["network-manager", "ifupdown", "ifupdown-ng", "ifupdown2", "netplan.io", "connman", "wicd"],
        "it sets up network interfaces, which systemd-networkd and dmhost's units do here",
    ),
    (
        &["ufw", "firewalld", "shorewall", "shorewall6", "iptables-persistent", "netfilter-persistent", "ferm"],
        "it loads rules of its own over those that keep the zones apart",
    ),
    (
        &["systemd-resolved", "resolvconf", "openresolv"],
        "it rewrites /etc/resolv.conf, which the interfaces' `dns` make",
    ),
    (
        &["docker-ce", "docker-ce-cli", "docker.io", "docker-cli", "containerd", "containerd.io", "podman-docker"],
        "the engine is the base's, and a second one fights it for its files",
    ),
    (&["chrony", "ntpsec", "openntpd", "ntp"], "systemd-timesyncd keeps the clock, and apt would take it away"),
];

/// Reads the packages; `None` if one cannot be read.
pub(super) fn read(field: &Field<List<String>>, report: &mut Report) -> Option<Vec<String>> {
    let mut names: Vec<&At<String>> = Vec::new();
    let mut good = field.is_complete();
    for at in field.items() {
        good &= one(at, &mut names, report).is_some();
    }
    if let Field::Given(list) = field
        && list.value.items.is_empty()
        && list.value.complete
    {
        report.push(list.place.key_error("no-effect", "an empty `packages` has no effect").help("leave it out"));
    }
    good.then(|| names.into_iter().map(|at| at.value.clone()).collect())
}

/// A name by Debian Policy 5.6.1.
fn one<'s>(at: &'s At<String>, names: &mut Vec<&'s At<String>>, report: &mut Report) -> Option<()> {
    let text = at.value.as_str();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if text.len() < 2 || text.len() > 128 || !first || !text.bytes().all(letters) {
        let message = format!("{} cannot name a Debian package", quoted(text));
        let help = "write the package's name alone, such as `tcpdump`, without version, release and architecture";
        report.push(at.place.error("package-name", message).help(help));
        return None;
    }
    if let Some((_, why)) = RIVALS.iter().find(|(rivals, _)| rivals.contains(&text)) {
        let message = format!("{} cannot be on a host of dmhost's: {why}", quoted(text));
        report.push(at.place.error("package-rival", message).help("leave it out"));
        return None;
    }
    if let Some(other) = names.iter().find(|other| other.value == at.value) {
        let diagnostic = at.place.error("package-duplicate", format!("{} is there twice", quoted(text)));
        report.push(diagnostic.related(other.place.value.clone(), "the first").help("leave one out"));
        return None;
    }
    names.push(at);
    Some(())
}
