//! Rules that let the network reach a daemon: its API from `api.from`, ports from `expose`.

use crate::plan::{Api, Daemon, HostPlan, Protocol};
use crate::render::rules::{Chain, ports, set};

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
    [("ip", true), ("ip6", false)].into_iter().fold(chain, |chain, (ip, v4)| {
        let sources = from.iter().flatten().filter(|net| net.addr().is_ipv4() == v4).collect::<Vec<_>>();
        let targets = addresses.iter().filter(|address| address.is_ipv4() == v4).collect::<Vec<_>>();
        if from.is_some() && sources.is_empty() || chosen && targets.is_empty() {
            return chain;
        }
        let saddr = from.as_ref().map(|_| format!("{ip} saddr {} ", set(&sources))).unwrap_or_default();
        let daddr = if chosen { format!("{ip} daddr {} ", set(&targets)) } else { String::new() };
        chain.rule(format!("iifname {uplinks} {saddr}{daddr}tcp dport {port} {verdict}"))
    })
}

/// A rule with `verdict` for the ports of `expose` of each protocol; `None` if it is absent.
pub(in crate::render) fn exposed(daemon: &Daemon, uplinks: &str, verdict: &str) -> Option<Vec<String>> {
    let expose = daemon.expose.as_deref()?;
    let rule = |protocol: Protocol| {
        Some(format!("iifname {uplinks} {} dport {} {verdict}", protocol.as_str(), ports(expose, protocol)?))
    };
    Some([Protocol::Tcp, Protocol::Udp].into_iter().filter_map(rule).collect())
}

/// What the sockets of a daemon's own unit are known by: dockerd's and those of its docker-proxy.
///
/// A cgroup is known by its id, and a new start makes a new one: so this is loaded by the daemon's own unit.
pub(in crate::render) fn own_sockets(daemon: &Daemon) -> String {
    let name = &daemon.name;
    format!("socket cgroupv2 level 3 \"dmhost.slice/{}/{}\"", name.slice(), name.service())
}
