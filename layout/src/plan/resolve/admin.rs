//! `[host.admin]`: who may log in, and on which interface of the host.

use super::links::Link;
use super::owners::Owned;
use super::{Report, keys};
use crate::plan::Admin;
use crate::spec::words::{quoted, suggest};
use crate::spec::{self, At, Field};

/// Accounts that Debian's base has for its own ends.
const TAKEN: [&str; 24] = [
    "_apt",
    "backup",
    "bin",
    "daemon",
    "docker",
    "games",
    "irc",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "news",
    "nobody",
    "proxy",
    "sshd",
    "sync",
    "sys",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
    "uucp",
    "www-data",
    "dmhost",
];

/// Reads `[host.admin]`; `None` if part of it cannot be read.
pub(super) fn read(spec: &spec::Admin, links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) -> Option<Admin> {
    let user = match &spec.user {
        Field::Absent => Some("root".to_owned()),
        Field::Bad => None,
        Field::Given(at) => user(at, report),
    };
    let link = spec.interface.given().and_then(|at| interface(at, links, owners, report));
    let authorized_keys = keys::read(&spec.authorized_keys, report);
    Some(Admin { user: user?, interface: link?.name.clone()?, authorized_keys: authorized_keys? })
}

/// An account's name, as `useradd` takes it.
fn user(at: &At<String>, report: &mut Report) -> Option<String> {
    let text = at.value.as_str();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !starts || !text.bytes().all(letters) || text.len() > 32 {
        let message = format!("{} cannot name an account", quoted(text));
        let help = "use up to 32 lower-case letters, digits, `_` and `-`, a letter first";
        report.push(at.place.error("user-name", message).help(help));
        return None;
    }
    if TAKEN.contains(&text) || text.starts_with("docker-") || text.starts_with("systemd-") {
        let message = format!("{} is an account that the system has for itself", quoted(text));
        report.push(at.place.error("user-name-reserved", message).help("use another name, or `root`"));
        return None;
    }
    Some(text.to_owned())
}

fn interface<'l, 's>(
    at: &At<String>,
    links: &'l [Link<'s>],
    owners: &[Owned<'_>],
    report: &mut Report,
) -> Option<&'l Link<'s>> {
    let Some((link, owner)) = links.iter().zip(owners).find(|(link, _)| link.text() == at.value) else {
        let message = format!("there is no interface {}", quoted(&at.value));
        let help = suggest(&at.value, "interfaces", links.iter().map(Link::text), report.len());
        report.push(at.place.error("interface-unknown", message).help(help));
        return None;
    };
    let help = "write an interface with `addresses` that is in no daemon's `interfaces`";
    let section = link.spec.name.place.key.clone();
    match owner {
        Owned::Host => Some(link),
        Owned::Daemon(daemon) => {
            let name = &daemon.name;
            let message =
                format!("{} is in the zone of daemon {}, and sshd is not", quoted(&at.value), quoted(&name.value));
            let diagnostic = at.place.error("admin-interface-of-daemon", message).help(help);
            report.push(diagnostic.related(name.place.key.clone(), "has the interface"));
            None
        }
        Owned::Carrier => {
            let message = format!("{} carries VLANs and has no addresses that sshd could answer on", quoted(&at.value));
            let diagnostic = at.place.error("admin-interface-without-address", message).help(help);
            report.push(diagnostic.related(section, "the interface"));
            None
        }
        // It has addresses, and why nobody has it was reported.
        Owned::Unclear if !link.addresses.is_empty() => None,
        Owned::Unclear => {
            let message = format!("{} has no addresses that sshd could answer on", quoted(&at.value));
            let diagnostic = at.place.error("admin-interface-without-address", message).help(help);
            report.push(diagnostic.related(section, "the interface"));
            None
        }
    }
}
