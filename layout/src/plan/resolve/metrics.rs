//! `metrics-addr` of `settings`: dockerd opens that socket where it runs, and does not start where it cannot.
//!
//! In a zone every address is the daemon's. In the host's namespace there are those of others too, and a socket there is one daemon's.

use std::net::{IpAddr, Ipv4Addr};

use super::links::Link;
use super::owners::Owned;
use super::{Report, shared};
use crate::plan;
use crate::spec::words::quoted;
use crate::spec::{Daemon, HostSpec, Setting};

/// The key of daemon.json.
const KEY: &str = "metrics-addr";

/// What to write for an address that is not the daemon's.
const OWN: &str = "write an address of its own, or one of loopback: `127.0.0.1:9323`";

/// Reports sockets for metrics that a daemon cannot have, or that another has. `read`: the daemons of the spec, in its order.
pub(super) fn check(
    spec: &HostSpec,
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    read: &[Option<plan::Daemon>],
    report: &mut Report,
) {
    let mut before: Vec<(IpAddr, u16, &Setting, &Daemon)> = Vec::new();
    for (daemon, read) in spec.daemons.iter().zip(read) {
        let all = [&daemon.settings, &spec.defaults.settings].into_iter().filter_map(|settings| settings.given());
        let Some(setting) = all.flat_map(|at| &at.value.entries).find(|setting| setting.key.value == KEY) else {
            continue;
        };
        let Some((text, (address, port))) = setting.node.as_str().and_then(|text| Some((text, socket(text)?))) else {
            continue;
        };
        let error = |message: String| setting.key.place.error("metrics-socket", message);
        let name = quoted(&daemon.name.value);
        let shared = shared::asked(daemon);
        if shared && address.is_unspecified() {
            let message = format!("metrics of shared daemon {name} would be on every address of the host");
            report.push(error(message).help(OWN));
            continue;
        }
        if foreign(address, daemon, links, owners) {
            let message = format!("{address} is no address of daemon {name}, and no place for its metrics");
            let has = |link: &&Link<'_>| link.addresses.iter().any(|at| at.value.addr() == address);
            let diagnostic = error(message).help(OWN);
            report.push(match links.iter().find(has) {
                Some(link) => diagnostic.related(link.spec.name.place.key.clone(), "has the address"),
                None => diagnostic,
            });
            continue;
        }
        let api = read.as_ref().and_then(|daemon| daemon.api.as_ref()).filter(|api| api.port == port);
        if api.is_some_and(|api| address.is_unspecified() || api.addresses.contains(&address)) {
            let message =
                format!("metrics on {} would take the socket of the API, and dockerd does not start", quoted(text));
            let diagnostic = error(message).help("write another port, such as 9323");
            report.push(match daemon.api.given() {
                Some(api) => diagnostic.related(api.place.key.clone(), "the API"),
                None => diagnostic,
            });
        }
        let same = |(other, number, ..): &&(IpAddr, u16, &Setting, &Daemon)| *other == address && *number == port;
        if let Some((_, _, first, of)) = before.iter().find(same).filter(|_| shared) {
            let message = format!(
                "metrics of daemon {} are on {} already: both daemons are in the host's namespace",
                quoted(&of.name.value),
                quoted(text)
            );
            let diagnostic = error(message).help("write a port for each daemon into its own `settings`");
            // One of the defaults is all daemons'.
            report.push(if std::ptr::eq(*first, setting) {
                diagnostic
            } else {
                diagnostic.related(first.key.place.value.clone(), "the first")
            });
        }
        if shared {
            before.push((address, port, setting, daemon));
        }
    }
}

/// Whether an address is none that a daemon can open a socket on, or another's that it could.
fn foreign(address: IpAddr, daemon: &Daemon, links: &[Link<'_>], owners: &[Owned<'_>]) -> bool {
    let own = || links.iter().zip(owners).filter(|(_, owner)| owner.is(daemon)).map(|(link, _)| link);
    let has = own().flat_map(|link| &link.addresses).any(|at| at.value.addr() == address);
    !address.is_loopback() && !address.is_unspecified() && !has && own().all(|link| link.complete)
}

/// The address and the port of a socket. `None` if it has none, which was reported, or a name for a host, which leads anywhere.
fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let address = match host.trim_start_matches('[').trim_end_matches(']') {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        host => host.parse().ok()?,
    };
    Some((address, port.parse().ok()?))
}
