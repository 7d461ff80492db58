//! `api`: where a daemon answers over TCP, under which names, and for whom.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::links::Link;
use super::{Report, Reported, addresses, dns_name, sources};
use crate::plan::{Api, DEFAULT_API_PORT, DEFAULT_PLAIN_PORT};
use crate::spec::words::quoted;
use crate::spec::{self, At, Daemon, Field, List};

/// The names seen so far on this host: where, and whose.
pub(super) type Names<'s> = HashMap<String, &'s At<String>>;

/// Reads `api`; `None` if part of it cannot be read.
pub(super) fn read<'s>(
    spec: &'s spec::Api,
    daemon: &Daemon,
    links: &[&Link<'_>],
    seen: &mut Names<'s>,
    report: &mut Report,
) -> Option<Api> {
    let tls = match &spec.plain_text_and_anyone_is_root {
        Field::Absent => Some(true),
        Field::Bad => None,
        Field::Given(at) => Some(!at.value),
    };
    let port = match &spec.port {
        Field::Absent => Some(if tls == Some(false) { DEFAULT_PLAIN_PORT } else { DEFAULT_API_PORT }),
        Field::Bad => None,
        Field::Given(at) => port(at, report),
    };
    let all: Vec<_> = links.iter().flat_map(|link| &link.addresses).map(|at| at.value.addr()).collect();
    let chosen = chosen(spec, links, report);
    if all.is_empty() && !links.is_empty() && links.iter().all(|link| link.complete) {
        let message = format!("daemon {} has no address that its API could answer on", quoted(&daemon.name.value));
        let mut diagnostic = spec.place.key_error("api-without-address", message);
        for link in links {
            diagnostic = diagnostic.related(link.spec.name.place.key.clone(), "has no `addresses`");
        }
        report.push(diagnostic.help("write `addresses` there, or leave `api` out: the unix socket is always there"));
    }
    let names = names(spec, seen, report);
    let answers = |at: &IpNet| match &chosen {
        Ok(Some(chosen)) => chosen.contains(&at.addr()),
        Ok(None) => true,
        // Where it answers is not known.
        Err(Reported) => false,
    };
    let from = from(spec, links, answers, report);
    plain_text(spec, daemon, report);
    let addresses = chosen.ok()?.unwrap_or(all);
    Some(Api { port: port?, addresses, names: names?, from: from.ok()?, tls: tls? })
}

/// Says what an API in plain text is, and what has no effect on it.
fn plain_text(spec: &spec::Api, daemon: &Daemon, report: &mut Report) {
    let Some(at) = spec.plain_text_and_anyone_is_root.given().filter(|at| at.value) else { return };
    if let Some(names) = spec.names.given() {
        let message = "names without a certificate that they would stand in have no effect";
        let diagnostic = names.place.error("no-effect", message).help("leave `names` out: clients connect by any name");
        report.push(diagnostic.related(at.place.value.clone(), "no TLS"));
    }
    let (who, help) = if spec.from.is_absent() {
        ("who reaches it", "leave the key out for mutual TLS, or write the few clients that need it into `from`")
    } else {
        (
            "with an address in `from`, or a forged one,",
            "leave the key out for mutual TLS: certificates cannot be forged",
        )
    };
    let message = format!(
        "anyone {who} is root on this host: the API of daemon {} is in plain text and asks for no certificate",
        quoted(&daemon.name.value)
    );
    report.push(at.place.error("api-plain-text", message).as_warning().help(help));
}

/// `addresses`, each of which is one of the daemon's own.
fn chosen(spec: &spec::Api, links: &[&Link<'_>], report: &mut Report) -> Result<Option<Vec<IpAddr>>, Reported> {
    if spec.addresses.is_absent() {
        return Ok(None);
    }
    let hosts = addresses::hosts(&spec.addresses, "addresses", "daemon's API", report);
    let mut complete = spec.addresses.is_complete() && hosts.len() == spec.addresses.items().len() && !hosts.is_empty();
    for at in hosts.iter().filter(|_| links.iter().all(|link| link.complete)) {
        let own = || links.iter().flat_map(|link| &link.addresses);
        if !own().any(|own| own.value.addr() == at.value) {
            let message = format!("{} is no address of the daemon's interfaces", at.value);
            let diagnostic = at.place.error("api-address-foreign", message);
            let diagnostic = own().fold(diagnostic, |diagnostic, own| {
                diagnostic.related(own.place.value.clone(), "one of its addresses")
            });
            report.push(diagnostic.help("write some of these, or leave `addresses` out for all"));
            complete = false;
        }
    }
    if complete { Ok(Some(hosts.into_iter().map(|at| at.value).collect())) } else { Err(Reported) }
}

fn port(at: &At<i64>, report: &mut Report) -> Option<u16> {
    let port = u16::try_from(at.value).ok().filter(|port| *port != 0);
    if port.is_none() {
        let message = format!("{} is no TCP port", at.value);
        report.push(
            at.place.error("port-out-of-range", message).help("write a port from 1 to 65535; 2376 is the usual one"),
        );
    }
    port
}

fn names<'s>(spec: &'s spec::Api, seen: &mut Names<'s>, report: &mut Report) -> Option<Vec<String>> {
    addresses::not_empty(&spec.names, "names", report);
    let mut good = Vec::new();
    let mut complete = spec.names.is_complete();
    for at in spec.names.items() {
        match dns_name::check(&at.value) {
            Ok(name) => {
                if let Some(first) = seen.get(&name) {
                    let message = format!("the name {} is there twice", quoted(&name));
                    let help = "a name leads to one daemon: clients would trust either with the other's name";
                    let diagnostic = at.place.error("api-name-duplicate", message).help(help);
                    report.push(diagnostic.related(first.place.value.clone(), "the first"));
                } else {
                    seen.insert(name.clone(), at);
                    good.push(name);
                }
            }
            Err((why, help)) => {
                report.push(at.place.error("api-name", format!("{} {why}", quoted(&at.value))).help(help));
                complete = false;
            }
        }
    }
    complete.then_some(good)
}

fn from(
    spec: &spec::Api,
    links: &[&Link<'_>],
    answers: impl Fn(&IpNet) -> bool,
    report: &mut Report,
) -> Result<Option<Vec<IpNet>>, Reported> {
    let list = match &spec.from {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(Reported),
        Field::Given(list) => list,
    };
    if list.value.items.is_empty() && list.value.complete {
        let message = "nobody may connect from an empty `from`";
        report.push(list.place.error("from-empty", message).help("leave `api` out, or `from` for any source"));
        return Err(Reported);
    }
    let good = sources::read(&list.value.items, links, report).filter(|_| list.value.complete).ok_or(Reported)?;
    one_family(list, &good, links, answers, report);
    Ok(Some(good.into_iter().map(|at| at.value).collect()))
}

/// Warns of a list for one IP version where the API answers in both: it is exhaustive over both, so the other is shut. Where it
/// answers in the other alone, that is an error. `answers`: on which addresses.
fn one_family(
    list: &At<List<String>>,
    from: &[At<IpNet>],
    links: &[&Link<'_>],
    answers: impl Fn(&IpNet) -> bool,
    report: &mut Report,
) {
    let own = |v4: bool| {
        let mut all = links.iter().flat_map(|link| &link.addresses).filter(|own| answers(&own.value));
        all.find(|own| own.value.addr().is_ipv4() == v4)
    };
    let has = |v4: bool| from.iter().any(|range| range.value.addr().is_ipv4() == v4);
    for (v4, version, example) in [(true, "IPv4", "0.0.0.0/0"), (false, "IPv6", "::/0")] {
        let Some(address) = own(v4).filter(|_| !has(v4) && has(!v4)) else { continue };
        let help = format!(
            "write {version} ranges too, such as `{}` for the subnet or `{example}` for any",
            address.value.trunc()
        );
        let diagnostic = if own(!v4).is_none() && links.iter().all(|link| link.complete) {
            let message =
                format!("nobody reaches the API: it answers over {version} alone, and `from` has no {version} range");
            list.place.error("from-one-family", message)
        } else {
            let message = format!(
                "nobody reaches the API over {version}: `from` counts for both IP versions, and has no {version} range"
            );
            list.place.error("from-one-family", message).as_warning()
        };
        let diagnostic = diagnostic.help(help);
        report.push(diagnostic.related(address.place.value.clone(), format!("an {version} address of the daemon")));
    }
}
