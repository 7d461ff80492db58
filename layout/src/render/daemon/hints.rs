//! What the kernel's log tells of ports that are published and not in `expose`: who wonders why nobody answers finds it there.
//!
//! Where dockerd's own rules map a port, forwarding sees the container's port, and no rule knows before that there is a mapping. So
//! the port that was asked for is remembered for an hour, and what follows is told before it is mapped.

use crate::plan::{Daemon, DaemonName, Protocol};
use crate::render::rules::Chain;

const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

/// The set of a zone's table with ports that are published, not listed, and were asked for.
fn unlisted(protocol: Protocol) -> String {
    format!("unlisted_{}", protocol.as_str())
}

/// The end of a rule that tells.
fn tell(name: &DaemonName) -> String {
    let prefix = format!("dmhost: published, not in expose of daemons.{name}: ");
    format!("limit rate 6/minute burst 6 packets log prefix \"{prefix}\" level info")
}

/// What a zone remembers, if its daemon has a list.
pub(in crate::render) fn sets(daemon: &Daemon) -> Vec<Chain> {
    let set = |protocol| {
        Chain::set(&unlisted(protocol), &["type inet_service", "size 1024", "flags dynamic,timeout", "timeout 1h"])
    };
    if daemon.expose.is_some() { PROTOCOLS.map(set).into() } else { Vec::new() }
}

/// Where frames come in, before they are mapped.
pub(in crate::render) fn told(chain: Chain, daemon: &Daemon, uplinks: &str) -> Chain {
    let name = &daemon.name;
    let rule = |protocol: Protocol| {
        format!("iifname {uplinks} {} dport @{} {}", protocol.as_str(), unlisted(protocol), tell(name))
    };
    chain.when(daemon.expose.is_some(), |chain| {
        let chain = chain.note(format!("published, and not in daemons.{name}.expose: the log has it"));
        PROTOCOLS.map(rule).iter().fold(chain, Chain::rule)
    })
}

/// Where they are forwarded, after those that are listed.
pub(in crate::render) fn remembered(chain: Chain, uplinks: &str) -> Chain {
    let rule = |protocol: Protocol| {
        let (set, protocol) = (unlisted(protocol), protocol.as_str());
        format!("iifname {uplinks} ct status dnat meta l4proto {protocol} add @{set} {{ ct original proto-dst }}")
    };
    PROTOCOLS.map(rule).iter().fold(chain.note("published by Docker, and not listed"), Chain::rule)
}

/// Rules that tell of what reaches sockets, `sockets` being what they are known by.
pub(in crate::render) fn of_sockets(name: &DaemonName, sockets: &str) -> [String; 2] {
    PROTOCOLS.map(|protocol| format!("{sockets} meta l4proto {} {}", protocol.as_str(), tell(name)))
}
