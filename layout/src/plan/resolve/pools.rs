//! `pools`: where Docker takes its networks' subnets from, apart from all that a daemon must reach.

use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::overlap;
use super::links::Link;
use super::{Report, addresses, shared};
use crate::plan::{DEFAULT_POOL_V4, DEFAULT_POOL_V6, Pool};
use crate::spec::words::quoted;
use crate::spec::{At, Daemon, Field, List};

/// The bits of a pool that number its networks: the engine makes a list of all of them when it starts.
const MOST_BITS: u8 = 16;

/// Reads `pools`; `None` if part of it cannot be read.
pub(super) fn read(
    field: &Field<List<String>>,
    daemon: &Daemon,
    links: &[&Link<'_>],
    report: &mut Report,
) -> Option<Vec<Pool>> {
    match field {
        Field::Absent => {
            if !shared::asked(daemon) {
                defaults(daemon, links, report);
            }
            return Some(vec![DEFAULT_POOL_V4, DEFAULT_POOL_V6]);
        }
        Field::Bad => return None,
        Field::Given(at) if shared::asked(daemon) && at.value.items.is_empty() && at.value.complete => {
            report.push(at.place.error("no-effect", "an empty `pools` has no effect").help(shared::POOLS));
        }
        Field::Given(_) => addresses::not_empty(field, "pools", report),
    }
    let mut good: Vec<At<Pool>> = Vec::new();
    let mut complete = field.is_complete();
    for at in field.items() {
        match addresses::range(at, "172.20.0.0/14", report).and_then(|base| pool(&at.with(base), report)) {
            Some(pool) => {
                apart(&at.with(pool), &good, links, report);
                good.push(at.with(pool));
            }
            None => complete = false,
        }
    }
    let no_v4 = !good.is_empty() && good.iter().all(|at| !at.value.base.addr().is_ipv4());
    if let Some(list) = field.given().filter(|_| no_v4 && complete) {
        let message = "dockerd does not start without an IPv4 pool: its first network takes a subnet of one";
        report.push(list.place.error("pools-without-ipv4", message).help("write one too, for example `172.20.0.0/14`"));
    }
    complete.then(|| good.into_iter().map(|at| at.value).collect())
}

/// The size of a pool's networks. IPv6: 64. IPv4: 24, and in a pool too small for 16 of those as long as it takes for
/// 16 networks, at most 28.
fn pool(at: &At<IpNet>, report: &mut Report) -> Option<Pool> {
    let base = at.value;
    let prefix = base.prefix_len();
    if let Some(why) = addresses::special(base.addr()) {
        let message = format!("{base} begins with {why}, and no network of containers can have it");
        report.push(
            at.place.error("address-special", message).help("write a private range, for example `172.20.0.0/14`"),
        );
        return None;
    }
    let (size, longest) = if base.addr().is_ipv4() { ((prefix.saturating_add(4)).clamp(24, 28), 28) } else { (64, 64) };
    if prefix > longest {
        let message = format!("{base} is too small: networks are taken from it with prefix length {size}");
        report.push(
            at.place.error("pool-too-small", message).help(format!("write a prefix length of at most {longest}")),
        );
        None
    } else if size - prefix > MOST_BITS {
        let least = size - MOST_BITS;
        let message = format!("{base} is too large: dockerd makes a list of all its /{size} networks when it starts");
        report.push(
            at.place.error("pool-too-large", message).help(format!("write a prefix length from {least} to {longest}")),
        );
        None
    } else {
        Some(Pool { base, size })
    }
}

/// Reports what a pool would hide from the daemon and its containers.
fn apart(pool: &At<Pool>, before: &[At<Pool>], links: &[&Link<'_>], report: &mut Report) {
    let base = pool.value.base;
    if let Some(first) = before.iter().find(|other| overlap(other.value.base, base)) {
        let message = format!("the pool {base} overlaps the pool {}", first.value.base);
        let diagnostic =
            pool.place.error("pool-overlap", message).help("leave one out, or write ranges that are apart");
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
    }
    for link in links {
        if let Some(net) = link.addresses.iter().find(|net| overlap(net.value.trunc(), base)) {
            let message =
                format!("the pool {base} overlaps the subnet {} of {}", net.value.trunc(), quoted(link.text()));
            let diagnostic =
                pool.place.error("pool-overlap", message).help("write a range that no network around the host has");
            report.push(diagnostic.related(net.place.value.clone(), "the subnet"));
        }
        if let Some(server) = outside(link, base) {
            let message =
                format!("the pool {base} holds the name server {}, which the daemon could not reach", server.value);
            let diagnostic =
                pool.place.error("pool-overlap", message).help("write a range that no network around the host has");
            report.push(diagnostic.related(server.place.value.clone(), "the name server"));
        }
    }
}

/// Reports interfaces that lie in the default pools: that is the interface's to know, since nothing else is written.
fn defaults(daemon: &Daemon, links: &[&Link<'_>], report: &mut Report) {
    for (link, pool) in links.iter().flat_map(|link| [(link, DEFAULT_POOL_V4), (link, DEFAULT_POOL_V6)]) {
        let section = daemon.name.place.key.clone();
        let help = format!(
            "write `pools = [\"10.200.0.0/16\", \"fd00:200::/48\"]` under `{}`, with ranges that are free here",
            daemon.name.place.path
        );
        if let Some(net) = link.addresses.iter().find(|net| overlap(net.value.trunc(), pool.base)) {
            let message = format!(
                "{} overlaps {}, where Docker takes its networks from by default",
                net.value.trunc(),
                pool.base
            );
            let diagnostic = net.place.error("default-pool-overlap", message).help(help);
            report.push(diagnostic.related(section, "has the default pools"));
        } else if let Some(server) = outside(link, pool.base) {
            let message =
                format!("{} is in {}, where Docker takes its networks from by default", server.value, pool.base);
            let diagnostic = server.place.error("default-pool-overlap", message).help(help);
            report.push(diagnostic.related(section, "has the default pools"));
        }
    }
}

/// A name server beyond the interface's subnets that lies in a pool.
pub(super) fn outside<'l>(link: &'l Link<'_>, base: IpNet) -> Option<&'l At<IpAddr>> {
    let near = |server: &At<IpAddr>| link.addresses.iter().any(|net| net.value.contains(&server.value));
    link.dns.iter().find(|server| base.contains(&server.value) && !near(server))
}
