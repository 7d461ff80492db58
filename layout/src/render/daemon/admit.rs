//! Rules that let the network reach a daemon: its API from `api.from`, ports from `expose`.

use ipnet::IpNet;

use crate::plan::{Api, Daemon, Exposed, HostPlan, Isolation, PortRange, Protocol};
use crate::render::rules::{Chain, names, port_range, ports, set};

/// The API, with `verdict` for those who may connect. Nothing else has its port.
pub(in crate::render) fn api(chain: Chain, plan: &HostPlan, daemon: &Daemon, uplinks: &str, verdict: &str) -> Chain {
    let name = &daemon.name;
    let Some(api @ Api { port, addresses, from, .. }) = &daemon.api else { return chain };
    let chosen = !plan.answers_everywhere(daemon, api);
    let chain = match from {
        None => chain.note(format!("daemons.{name}.api: from any source on its interfaces")),
        Some(_) => chain.note(format!("daemons.{name}.api.from: these sources and no other, of both IP versions")),
    };
    if from.is_none() && !chosen {
        return chain.rule(format!("iifname {uplinks} tcp dport {port} {verdict}"));
    }
    let chain = chain.when(chosen, |chain| chain.note(format!("daemons.{name}.api.addresses: on these")));
    sources(from.as_deref().unwrap_or_default()).into_iter().fold(chain, |chain, (ip, sources)| {
        let targets = addresses.iter().filter(|address| address.is_ipv4() == (ip == "ip")).collect::<Vec<_>>();
        if from.is_some() && sources.is_empty() || chosen && targets.is_empty() {
            return chain;
        }
        let saddr = from.as_ref().map(|_| format!("{ip} saddr {} ", set(&sources))).unwrap_or_default();
        let daddr = if chosen { format!("{ip} daddr {} ", set(&targets)) } else { String::new() };
        chain.rule(format!("iifname {uplinks} {saddr}{daddr}tcp dport {port} {verdict}"))
    })
}

/// What a frame to a port that `expose` lists is known by, `of` being what its port is; `None` if it is absent.
pub(in crate::render) fn listed(daemon: &Daemon, of: impl Fn(Protocol) -> String) -> Option<Vec<String>> {
    entries(daemon, &["ip", "ip6"], of)
}

/// The same for some versions of IP, by their names in a rule.
fn entries(daemon: &Daemon, versions: &[&str], of: impl Fn(Protocol) -> String) -> Option<Vec<String>> {
    let expose = daemon.expose.as_deref()?;
    let open = expose.iter().filter(|exposed| exposed.from.is_none()).map(|exposed| exposed.ports).collect::<Vec<_>>();
    let open =
        Protocol::ALL.into_iter().filter_map(|protocol| Some(format!("{} {}", of(protocol), ports(&open, protocol)?)));
    let limited = limited(daemon).flat_map(|(range, from)| {
        let port = format!("{} {}", of(range.protocol), port_range(range));
        let sources = sources(from).into_iter().filter(|(ip, nets)| versions.contains(ip) && !nets.is_empty());
        sources.map(move |(ip, nets)| format!("{ip} saddr {} {port}", set(&nets)))
    });
    Some(open.chain(limited.collect::<Vec<_>>()).collect())
}

/// Ports of `expose` that not every source may reach, with those that may.
pub(in crate::render) fn limited(daemon: &Daemon) -> impl Iterator<Item = (PortRange, &[IpNet])> {
    let listed = daemon.expose.iter().flatten();
    listed.filter_map(|Exposed { ports, from }| Some((*ports, from.as_deref()?)))
}

/// Sources of each IP version, with its name in a rule.
pub(in crate::render) fn sources(from: &[IpNet]) -> [(&'static str, Vec<&IpNet>); 2] {
    [("ip", true), ("ip6", false)].map(|(ip, v4)| (ip, from.iter().filter(|net| net.addr().is_ipv4() == v4).collect()))
}

/// A rule with `verdict` for the ports of `expose`, as sockets have them; `None` if it is absent.
pub(in crate::render) fn exposed(daemon: &Daemon, uplinks: &str, verdict: &str) -> Option<Vec<String>> {
    let listed = listed(daemon, |protocol| format!("{} dport", protocol.as_str()))?;
    Some(listed.into_iter().map(|known| format!("iifname {uplinks} {known} {verdict}")).collect())
}

/// Containers that are reached by their own addresses, as `expose` says by their own ports: in a zone dockerd's own chains know besides
/// which are published. `outside`: the interfaces with a wire.
pub(in crate::render) fn routed(chain: Chain, plan: &HostPlan, daemon: &Daemon, outside: &str) -> Chain {
    let led = plan.routed_by(daemon);
    let port = |protocol: Protocol| format!("{} dport", protocol.as_str());
    let listed = entries(daemon, &["ip6"], port);
    if led.is_empty() || listed.as_ref().is_some_and(Vec::is_empty) {
        return chain;
    }
    // A port that Docker maps leads to their own address too, listed or not.
    let mapped = daemon.isolation == Isolation::Zone && daemon.expose.is_some();
    let asked = if mapped { "ct original ip6 daddr" } else { "ip6 daddr" };
    let to = format!("iifname {} oifname != {outside} {asked} {}", names(led), set(&daemon.routed));
    let chain = chain.note(format!("daemons.{}.routed: ports of its containers", daemon.name));
    match listed {
        None => chain.rule(format!("{to} accept")),
        Some(listed) => listed.into_iter().fold(chain, |chain, known| chain.rule(format!("{to} {known} accept"))),
    }
}

/// What the sockets of a daemon's own unit are known by: dockerd's and those of its docker-proxy.
///
/// A cgroup is known by its id, and a new start makes a new one: so this is loaded by the daemon's own unit.
pub(in crate::render) fn own_sockets(daemon: &Daemon) -> String {
    let name = &daemon.name;
    format!("socket cgroupv2 level 3 \"dmhost.slice/{}/{}\"", name.slice(), name.service())
}
