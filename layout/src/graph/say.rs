//! What stands in a box: a plan's words, one fact a line, long ones broken.

use crate::plan::{Admin, Daemon, Exposed, HostPlan, Interface, InterfaceKind, Isolation, NicMatch, Owner};

/// The longest line of a box, in characters: an IPv6 network fits.
const LONGEST: usize = 44;

/// A NIC: how it is told, and what goes over it.
pub(super) fn nic(interface: &Interface, by: &NicMatch) -> Vec<String> {
    let mut text = vec![interface.name.to_string()];
    match by {
        NicMatch::Mac(mac) => text.push(mac.to_string()),
        NicMatch::Path(path) => text.push(path.clone()),
        NicMatch::Name(name) => text.push(format!("NIC {name}")),
    }
    match interface.owner {
        Owner::Carrier => text.push("tagged frames only".to_owned()),
        Owner::Host | Owner::Daemon(_) => text.extend(addresses(interface)),
    }
    broken(text)
}

/// A VLAN: its VID and addresses.
pub(super) fn vlan(interface: &Interface, id: u16) -> Vec<String> {
    let mut text = vec![interface.name.to_string(), format!("VLAN {id}")];
    text.extend(addresses(interface));
    broken(text)
}

fn addresses(interface: &Interface) -> impl Iterator<Item = String> {
    let gateways = interface.gateways.iter().map(|gateway| format!("via {gateway}"));
    let learnt = interface.accept_ra.then(|| "via an IPv6 router that is learnt".to_owned());
    interface.addresses.iter().map(ToString::to_string).chain(gateways).chain(learnt)
}

/// A daemon and where it is, with its budget.
pub(super) fn daemon(daemon: &Daemon) -> Vec<String> {
    let home = match daemon.isolation {
        Isolation::Zone => format!("zone {}", daemon.name.netns()),
        Isolation::Shared => format!("shared, on {}", daemon.name.bridge()),
    };
    let mut text = vec![format!("daemon {}", daemon.name), home];
    if let Some(bytes) = daemon.resources.memory_max {
        text.push(format!("memory {}", size(bytes)));
    }
    if let Some(bytes) = daemon.quota {
        text.push(format!("storage {}", size(bytes)));
    }
    broken(text)
}

/// Where a daemon is reached: its API, then its published ports.
pub(super) fn endpoint(plan: &HostPlan, daemon: &Daemon) -> Vec<String> {
    let mut text = Vec::new();
    match &daemon.api {
        None => text.push("API on its unix socket only".to_owned()),
        Some(api) => {
            let how = if api.tls { "mutual TLS" } else { "PLAIN TEXT" };
            text.push(format!("API {}/tcp, {how}", api.port));
            if !plan.answers_everywhere(daemon, api) {
                text.extend(api.addresses.iter().map(|address| format!("on {address}")));
            }
            text.extend(api.names.iter().cloned());
            match &api.from {
                None => text.push("from anywhere on its networks".to_owned()),
                Some(from) => text.extend(from.iter().map(|net| format!("from {net}"))),
            }
        }
    }
    match daemon.expose.as_deref() {
        None => text.push("ports: all that are published".to_owned()),
        Some([]) => text.push("ports: none".to_owned()),
        Some(listed) => {
            let (open, limited): (Vec<_>, Vec<_>) = listed.iter().partition(|exposed| exposed.from.is_none());
            let open: Vec<String> = open.iter().map(|exposed| exposed.ports.to_string()).collect();
            text.extend((!open.is_empty()).then(|| format!("ports: {}", open.join(" "))));
            text.extend(limited.iter().map(|Exposed { ports, from }| {
                let from: Vec<String> = from.iter().flatten().map(ToString::to_string).collect();
                format!("{ports} from {}", from.join(" "))
            }));
        }
    }
    broken(text)
}

/// The host itself.
pub(super) fn host(plan: &HostPlan) -> Vec<String> {
    broken(vec![format!("host {}", plan.host.name), "its own network".to_owned()])
}

/// The way in, if an administrator has one.
pub(super) fn way_in(admin: &Admin) -> Vec<String> {
    broken(vec!["ssh 22/tcp, keys only".to_owned(), format!("user {}", admin.user)])
}

/// What a VLAN or a NIC is.
pub(super) fn interface(interface: &Interface) -> Vec<String> {
    match &interface.kind {
        InterfaceKind::Nic(by) => nic(interface, by),
        InterfaceKind::Vlan { parent: _, id } => vlan(interface, *id),
    }
}

fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.iter().find(|(bits, _)| bytes >= 1 << bits && bytes.trailing_zeros() >= *bits);
    whole.map_or(format!("{bytes} bytes"), |(bits, unit)| format!("{} {unit}", bytes >> bits))
}

/// Lines of at most [`LONGEST`] characters: broken at a space or after a dot where there is one.
fn broken(text: Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > LONGEST {
            let at = rest[..LONGEST].iter().rposition(|c| matches!(c, ' ' | '.')).map_or(LONGEST, |at| at + 1);
            let tail = rest.split_off(at);
            lines.push(rest.iter().collect::<String>().trim_end().to_owned());
            rest = "  ".chars().chain(tail).collect();
        }
        lines.push(rest.into_iter().collect());
    }
    lines
}
