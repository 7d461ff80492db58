//! What the kernel's log tells of ports that are published and not in `expose`: who wonders why nobody answers finds it there.
//!
//! Where dockerd's own rules map a port, forwarding sees the container's port, and no rule knows before that there is a mapping. So
//! the port that was asked for is remembered for an hour, and what follows is told before it is mapped. A port that is listed for
//! some sources is told of by its number to all others, whether it is published or not.

use super::admit;
use crate::plan::{Daemon, DaemonName, PortRange, Protocol};
use crate::render::rules::{Chain, port_range, ports, set};

/// The set of a zone's table with ports that are published, not listed, and were asked for.
fn unlisted(protocol: Protocol) -> String {
    format!("unlisted_{}", protocol.as_str())
}

/// The end of a rule that tells.
fn tell(name: &DaemonName) -> String {
    told_as(&format!("published, not in expose of daemons.{name}"))
}

fn told_as(what: &str) -> String {
    let prefix = format!("dmhost: {what}: ");
    format!("limit rate 6/minute burst 6 packets log prefix \"{prefix}\" level info")
}

/// What a zone remembers, if its daemon has a list.
pub(in crate::render) fn sets(daemon: &Daemon) -> Vec<Chain> {
    let set = |protocol| {
        Chain::set(&unlisted(protocol), &["type inet_service", "size 1024", "flags dynamic,timeout", "timeout 1h"])
    };
    if daemon.expose.is_some() { Protocol::ALL.map(set).into() } else { Vec::new() }
}

/// Where frames come in, before they are mapped.
pub(in crate::render) fn told(chain: Chain, daemon: &Daemon, uplinks: &str) -> Chain {
    let name = &daemon.name;
    let rule = |protocol: Protocol| {
        format!("iifname {uplinks} {} dport @{} {}", protocol.as_str(), unlisted(protocol), tell(name))
    };
    chain.when(daemon.expose.is_some(), |chain| {
        let chain = chain.note(format!("published, and not in daemons.{name}.expose: the log has it"));
        Protocol::ALL.map(rule).iter().fold(chain, Chain::rule)
    })
}

/// Where connections are known and not mapped yet: whoever is not among the sources of a port.
pub(in crate::render) fn unlisted_sources(daemon: &Daemon, uplinks: &str) -> Option<Chain> {
    let name = &daemon.name;
    let mut rules = Vec::new();
    for (range, from) in admit::limited(daemon) {
        let tell = told_as(&format!("source not in expose of daemons.{name}"));
        let port = format!("{} dport {} {tell}", range.protocol.as_str(), port_range(range));
        rules.extend(admit::sources(from).map(|(ip, nets)| {
            let other = match (ip, nets.is_empty()) {
                (_, false) => format!("{ip} saddr != {}", set(&nets)),
                ("ip", true) => "meta nfproto ipv4".to_owned(),
                (_, true) => "meta nfproto ipv6".to_owned(),
            };
            format!("iifname {uplinks} ct state new {other} {port}")
        }));
    }
    let chain = Chain::base("sources", "prerouting priority mangle", "accept")
        .note(format!("not in daemons.{name}.expose from there: the log has it"));
    (!rules.is_empty()).then(|| rules.iter().fold(chain, Chain::rule))
}

/// Where they are forwarded, after those that are listed.
pub(in crate::render) fn remembered(chain: Chain, daemon: &Daemon, uplinks: &str) -> Chain {
    let limited: Vec<PortRange> = admit::limited(daemon).map(|(range, _)| range).collect();
    let rule = |protocol: Protocol| {
        let but =
            ports(&limited, protocol).map(|ports| format!("ct original proto-dst != {ports} ")).unwrap_or_default();
        let (set, protocol) = (unlisted(protocol), protocol.as_str());
        format!("iifname {uplinks} ct status dnat meta l4proto {protocol} {but}add @{set} {{ ct original proto-dst }}")
    };
    Protocol::ALL.map(rule).iter().fold(chain.note("published by Docker, and not listed"), Chain::rule)
}

/// Rules that tell of what reaches sockets, `sockets` being what they are known by: of ports that are listed for some sources as such.
pub(in crate::render) fn of_sockets(daemon: &Daemon, sockets: &str) -> Vec<String> {
    let name = &daemon.name;
    let limited: Vec<PortRange> = admit::limited(daemon).map(|(range, _)| range).collect();
    let sources = told_as(&format!("source not in expose of daemons.{name}"));
    let of = |protocol: Protocol| {
        let (kind, listed) = (protocol.as_str(), ports(&limited, protocol));
        let others = listed.as_ref().map(|ports| format!("{kind} dport != {ports} ")).unwrap_or_default();
        let others = format!("{sockets} meta l4proto {kind} {others}{}", tell(name));
        listed.map(|ports| format!("{sockets} {kind} dport {ports} {sources}")).into_iter().chain([others])
    };
    Protocol::ALL.into_iter().flat_map(of).collect()
}
