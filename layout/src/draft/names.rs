//! Names for what a machine calls otherwise: those of the kernel may be taken, too long or not a spec's.

use crate::plan::{DaemonName, InterfaceName};

/// An interface's name for each link, each once.
pub(super) fn interfaces<'l>(links: impl Iterator<Item = (&'l str, Option<u16>)>) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for (name, vid) in links {
        let good = name.parse::<InterfaceName>().is_ok() && !kernels(name) && !taken.iter().any(|one| one == name);
        let chosen = match vid {
            _ if good => name.to_owned(),
            Some(vid) => free(&taken, &format!("vlan{vid}"), "vlan"),
            None => free(&taken, &format!("nic{}", taken.len()), "nic"),
        };
        taken.push(chosen);
    }
    taken
}

/// A name that the kernel gives by order of discovery: a NIC that was renamed to it would clash with the next one found.
fn kernels(name: &str) -> bool {
    ["eth", "wlan"].into_iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn free(taken: &[String], first: &str, kind: &str) -> String {
    let more = (taken.len()..).map(|number| format!("{kind}-{number}"));
    let mut names = std::iter::once(first.to_owned()).chain(more);
    // The numbers do not end before the names that are taken.
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// A daemon's name from an interface's, not among those that are taken.
pub(super) fn daemon(interface: &str, taken: &[String]) -> String {
    let plain: String =
        interface.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(12).collect();
    let plain = if plain.parse::<DaemonName>().is_ok() { plain } else { format!("d{plain}") };
    let more = (2..).map(|number| format!("{plain}{number}"));
    std::iter::once(plain.clone()).chain(more).find(|name| !taken.contains(name)).unwrap_or_default()
}

/// A host name from what the machine is called: its first label in lower case.
pub(super) fn host(name: &str) -> String {
    let label = name.split('.').next().unwrap_or_default().to_lowercase();
    let plain: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    plain.trim_matches('-').to_owned()
}
