//! Isolation `shared`: what daemons in the host's own namespace must have, cannot have, and cost.
//!
//! Their containers' ranges, their names and their ports are in one namespace with the host's: each is apart from all others.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Report;
use super::addresses::overlap;
use super::host::one_of;
use super::links::Link;
use super::owners::Owned;
use super::pools::outside;
use crate::Diagnostic;
use crate::engine::{Reader, Version};
use crate::plan::{DaemonName, Isolation};
use crate::spec::words::{quoted, step};
use crate::spec::{At, Daemon, Defaults, Field, HostSpec, Setting, Settings};

/// The option of Docker's bridge driver that a published port's own address comes from.
const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// The one that names the bridge of a network.
const BRIDGE: &str = "com.docker.network.bridge.name";
/// Options of every network of a daemon that a shared one cannot have: the driver, the option, and what to do.
const OPTIONS: [(&str, &str, &str); 4] = [
    ("bridge", BINDING, "leave it out: it is the first IPv4 address of the daemon's interfaces"),
    ("bridge", BRIDGE, "leave it out: each network has a bridge of its own"),
    ("macvlan", "parent", "leave it out, or leave `isolation` out"),
    ("ipvlan", "parent", "leave it out, or leave `isolation` out"),
];

/// What a shared daemon without pools is to have.
pub(super) const POOLS: &str = "write ranges of its own, such as `pools = [\"10.201.0.0/16\", \"fd00:201::/48\"]`: in one \
                                namespace no two daemons can have the default";

/// Whether a daemon asks for the host's namespace. What `isolation` says otherwise is reported by [`read`].
pub(super) fn asked(spec: &Daemon) -> bool {
    spec.isolation.given().is_some_and(|at| at.value == Isolation::Shared.as_str())
}

/// Reads `isolation`.
pub(super) fn read(field: &Field<String>, report: &mut Report) -> Option<Isolation> {
    one_of(field, Isolation::Zone, &Isolation::ALL, Isolation::as_str, "isolation", report)
}

/// Says once what the mode costs, where the first daemon asks for it.
pub(super) fn costs(spec: &HostSpec, report: &mut Report) {
    let Some(at) = spec.daemons.iter().filter(|daemon| asked(daemon)).find_map(|daemon| daemon.isolation.given())
    else {
        return;
    };
    let message = "a shared daemon has less than a zone: its containers see the address of their bridge instead of a \
                   client's, images are pulled by the host's own routes and name servers, containers with the host's \
                   network serve nobody, and there is no swarm";
    let help = "leave `isolation` out where the interface can be the daemon's own: a zone has all of that";
    report.push(at.place.error("shared-costs", message).as_warning().help(help));
}

/// Reports what one daemon lacks or has too much for the host's namespace.
pub(super) fn check(
    spec: &Daemon,
    defaults: &Defaults,
    reader: Reader<'_>,
    own: &[&Link<'_>],
    all: &[Link<'_>],
    report: &mut Report,
) {
    let Some(at) = spec.isolation.given().filter(|_| asked(spec)) else { return };
    let name = quoted(&spec.name.value);
    if spec.name.value.len() > DaemonName::MAX_SHARED && spec.name.value.len() <= DaemonName::MAX {
        let message =
            format!("{name} is too long for a shared daemon: `br-{}` cannot name its bridge", spec.name.value);
        let help = format!("use up to {} characters, or leave `isolation` out", DaemonName::MAX_SHARED);
        let diagnostic = spec.name.place.key_error("shared-daemon-name", message).help(help);
        report.push(diagnostic.related(at.place.value.clone(), "shared"));
    }
    if let Reader::Host(version, decisive) = reader
        && version < Version::V26_1
    {
        let message = format!("engine {version} publishes ports on every address of the host's namespace");
        let help = "write `base = \"debian-13\"` or `engine = \"docker-ce\"` under `host`, or leave `isolation` out";
        let diagnostic = at.place.error("shared-engine", message).help(help);
        report.push(match decisive {
            Some(place) => diagnostic.related(place.clone(), "the engine comes with it"),
            None => diagnostic,
        });
    }
    if spec.pools.is_absent() && defaults.pools.is_absent() {
        let message = format!("shared daemon {name} has no `pools`");
        report.push(at.place.error("shared-without-pools", message).help(POOLS));
    }
    let live_restore = if spec.live_restore.is_absent() { &defaults.live_restore } else { &spec.live_restore };
    if let Some(off) = live_restore.given().filter(|at| !at.value) {
        let message = "a shared daemon has no swarm, and so `live-restore = false` only stops its containers with it";
        let diagnostic = off.place.error("shared-live-restore", message);
        let diagnostic = diagnostic.help("leave it out: swarm's ports and tunnels would be all daemons' at once");
        report.push(diagnostic.related(at.place.value.clone(), "shared"));
    }
    publishing(at, own, report);
    for settings in [&defaults.settings, &spec.settings] {
        keys(at, settings, own, all, report);
    }
}

/// Ports without an address are published on one address of the daemon, of IPv4: the others must be named.
fn publishing(at: &At<String>, own: &[&Link<'_>], report: &mut Report) {
    if own.is_empty() || own.iter().any(|link| !link.complete) {
        return;
    }
    let mut addresses: Vec<&At<IpNet>> = own.iter().flat_map(|link| &link.addresses).collect();
    let Some(first) = addresses.iter().position(|at| at.value.addr().is_ipv4()) else {
        let message =
            "a shared daemon has an IPv4 address of its own: Docker would publish ports on every address of the host";
        let diagnostic = at.place.error("shared-without-ipv4", message);
        let diagnostic = own.iter().fold(diagnostic, |diagnostic, link| {
            diagnostic.related(link.spec.name.place.key.clone(), "has no IPv4 address")
        });
        report.push(diagnostic.help("write one into the `addresses` of its interface, or leave `isolation` out"));
        return;
    };
    let first = addresses.remove(first).value.addr();
    let Some(next) = addresses.first() else { return };
    let others: Vec<IpAddr> = addresses.iter().map(|at| at.value.addr()).collect();
    let named: Vec<String> = others.iter().map(ToString::to_string).collect();
    let message = format!("what a shared daemon publishes is on {first} alone, and not on {}", named.join(", "));
    let publish = others.iter().map(|address| match address {
        IpAddr::V4(v4) => format!(" -p {v4}:80:80"),
        IpAddr::V6(v6) => format!(" -p [{v6}]:80:80"),
    });
    let help = format!("publish ports there by name: `docker run -p 80:80{}`", publish.collect::<String>());
    let diagnostic = next.place.error("shared-publish", message).as_warning().help(help);
    report.push(diagnostic.related(at.place.value.clone(), "shared"));
}

/// Settings that mean something else in the host's namespace.
fn keys(at: &At<String>, settings: &Field<Settings>, own: &[&Link<'_>], all: &[Link<'_>], report: &mut Report) {
    for setting in settings.given().iter().flat_map(|settings| &settings.value.entries) {
        let message = match setting.key.value.as_str() {
            "icc" if setting.node.as_bool() == Some(false) => {
                "`icc = false` takes rules of dockerd's own, and a shared daemon makes none: it does not start"
            }
            "swarm-default-advertise-addr" => "a shared daemon has no swarm that could be joined by an address",
            "default-network-opts" => {
                options(at, setting, own, all, report);
                continue;
            }
            _ => continue,
        };
        let diagnostic = setting.key.place.error("shared-setting", message);
        let diagnostic = diagnostic.help("leave it out, or leave `isolation` out");
        report.push(diagnostic.related(at.place.value.clone(), "shared"));
    }
}

/// Options of all networks of a daemon.
fn options(at: &At<String>, setting: &Setting, own: &[&Link<'_>], all: &[Link<'_>], report: &mut Report) {
    for (driver, option, help) in OPTIONS {
        let Some(member) = setting.node.get(driver).and_then(|options| options.member(option)) else { continue };
        let address = member.node.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let has = |link: &Link<'_>| link.addresses.iter().any(|at| Some(at.value.addr()) == address);
        let other = all.iter().find(|link| has(link) && !own.iter().any(|own| std::ptr::eq(*own, *link)));
        let message = match (option, other) {
            (BINDING, Some(link)) => {
                format!("the address that ports are published on is {}'s, not this daemon's", quoted(link.text()))
            }
            (BINDING, None) => "the address that a shared daemon publishes ports on is dmhost's to set".to_owned(),
            (BRIDGE, _) => "every network of the daemon would be on one bridge, whosever it is".to_owned(),
            _ => format!("a shared daemon's networks are on bridges: one of driver `{driver}` has no way out"),
        };
        let path = format!("{}.{driver}.{}", setting.key.place.path, step(option));
        let diagnostic = Diagnostic::error("shared-setting", path, member.node.span.clone(), message).help(help);
        let diagnostic = match other {
            Some(link) => diagnostic.related(link.spec.name.place.key.clone(), "has the address"),
            None => diagnostic,
        };
        report.push(diagnostic.related(at.place.value.clone(), "shared"));
    }
}

/// Reports networks of driver `macvlan` on a NIC that carries a shared daemon's VLANs too: what leaves there has its MAC address.
pub(super) fn carriers(links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let daemons: Vec<(&Link<'_>, &Daemon)> = links
        .iter()
        .zip(owners)
        .filter_map(|(link, owner)| match owner {
            Owned::Daemon(daemon) => Some((link, *daemon)),
            Owned::Host | Owned::Carrier | Owned::Unclear => None,
        })
        .collect();
    for (link, daemon) in daemons.iter().filter(|(_, daemon)| !asked(daemon)) {
        let beside = |other: &Link<'_>| link.stands_on().iter().any(|on| other.stands_on().contains(on));
        let shared = daemons.iter().find(|(other, daemon)| asked(daemon) && beside(other));
        let Some(shared) = shared.and_then(|(_, daemon)| daemon.isolation.given()) else { continue };
        for network in daemon.networks.items() {
            let only = daemon.interfaces.items().len() == 1;
            let here = network.value.parent.given().map_or(only, |at| at.value == link.text());
            let Some(at) = network.value.driver.given().filter(|at| here && at.value == "macvlan") else { continue };
            let message = format!(
                "the NIC below {} carries a shared daemon too, and lets out no MAC address but its own",
                quoted(link.text())
            );
            let help = "write `driver = \"ipvlan\"`: its containers have the NIC's MAC address";
            let diagnostic = at.place.error("network-segment-carrier", message).help(help);
            report.push(diagnostic.related(shared.place.value.clone(), "shared"));
        }
    }
}

/// A range of a shared daemon's containers.
struct Range<'s> {
    net: IpNet,
    at: &'s At<String>,
    daemon: &'s Daemon,
}

/// Reports ranges of shared daemons that overlap, or that hide what is around the host.
pub(super) fn apart(spec: &HostSpec, links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) {
    let mut ranges: Vec<Range<'_>> = Vec::new();
    for daemon in spec.daemons.iter().filter(|daemon| asked(daemon)) {
        let pools = if daemon.pools.is_absent() { &spec.defaults.pools } else { &daemon.pools };
        let networks = daemon.networks.items().iter().flat_map(|network| network.value.subnets.items());
        for at in pools.items().iter().chain(networks) {
            let Ok(net) = at.value.parse::<IpNet>() else { continue };
            let range = Range { net, at, daemon };
            if let Some(first) =
                ranges.iter().find(|first| !std::ptr::eq(first.daemon, daemon) && overlap(first.net, net))
            {
                let message = format!(
                    "{net} of daemon {} overlaps {} of daemon {}: both are in the host's namespace",
                    quoted(&daemon.name.value),
                    first.net,
                    quoted(&first.daemon.name.value)
                );
                let diagnostic = at.place.error("pool-overlap", message);
                let diagnostic = diagnostic.help("write ranges under each daemon that are apart");
                report.push(diagnostic.related(first.at.place.value.clone(), "the first"));
            }
            // Its own interfaces, and those of a zone, are each daemon's own affair.
            for (link, owner) in links.iter().zip(owners) {
                let here = match owner {
                    Owned::Host => true,
                    Owned::Daemon(owner) => asked(owner) && !std::ptr::eq(*owner, daemon),
                    Owned::Carrier | Owned::Unclear => false,
                };
                if !here {
                    continue;
                }
                // So is a gateway, which is on a subnet of its interface.
                if let Some(own) = link.addresses.iter().find(|own| overlap(own.value.trunc(), net)) {
                    let message = format!(
                        "{net} overlaps the subnet {} of {}: both are in the host's namespace",
                        own.value.trunc(),
                        quoted(link.text())
                    );
                    let diagnostic = at.place.error("pool-overlap", message);
                    let diagnostic = diagnostic.help("write a range that no network around the host has");
                    report.push(diagnostic.related(own.place.value.clone(), "the subnet"));
                }
                if let Some(server) = outside(link, net) {
                    let message = format!(
                        "{net} holds the name server {} of {}: both are in the host's namespace",
                        server.value,
                        quoted(link.text())
                    );
                    let diagnostic = at.place.error("pool-overlap", message);
                    let diagnostic = diagnostic.help("write a range that no network around the host has");
                    report.push(diagnostic.related(server.place.value.clone(), "the name server"));
                }
            }
            ranges.push(range);
        }
    }
}
