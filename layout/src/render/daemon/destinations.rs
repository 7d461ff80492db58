//! Rules that say where a daemon and its containers may go: its name servers, and what `egress` lists.
//!
//! They decide on first packets alone: answers are let out before. What is refused is dropped, and the kernel's log tells some of it.

use std::net::IpAddr;

use crate::plan::{Daemon, Destination, HostPlan, PortRange};
use crate::render::rules::{Chain, port_range, set};

/// What a namespace says on a link so that it can say anything there.
pub(in crate::render) const NEIGHBOURS: &str =
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report } accept";

/// An answer to what all nodes of a link were asked (RFC 4443 section 4.2): connection tracking does not know it, for it comes from
/// another address than was asked.
pub(in crate::render) const ANSWER_OF_ALL: &str = "ip6 daddr fe80::/10 icmpv6 type echo-reply accept";

/// A chain that accepts the destinations of a daemon and tells of others; `None` if all may leave.
pub(in crate::render) fn chain(plan: &HostPlan, daemon: &Daemon, chain: &str) -> Option<Chain> {
    let destinations = daemon.egress.as_deref()?;
    let name = &daemon.name;
    let servers = plan.interfaces_of(daemon).flat_map(|interface| interface.dns.iter().copied());
    let chain = names(Chain::regular(chain), servers, "`dns` of its interfaces");
    let chain = destinations.iter().map(to).fold(chain.note(format!("daemons.{name}.egress")), Chain::rule);
    let prefix = format!("dmhost: not in egress of daemons.{name}: ");
    Some(chain.rule(format!("limit rate 6/minute burst 6 packets log prefix \"{prefix}\" level info")))
}

/// Accepts questions to name servers.
pub(in crate::render) fn names(chain: Chain, servers: impl IntoIterator<Item = IpAddr>, whose: &str) -> Chain {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = servers.into_iter().partition(IpAddr::is_ipv4);
    let sides = [("ip", v4), ("ip6", v6)].into_iter().filter(|(_, servers)| !servers.is_empty());
    let rules: Vec<String> = sides
        .map(|(ip, servers)| format!("{ip} daddr {} meta l4proto {{ tcp, udp }} th dport 53 accept", set(servers)))
        .collect();
    chain.when(!rules.is_empty(), |chain| rules.iter().fold(chain.note(whose), Chain::rule))
}

fn to(Destination { net, ports }: &Destination) -> String {
    let ip = if net.addr().is_ipv4() { "ip" } else { "ip6" };
    match ports {
        None => format!("{ip} daddr {net} accept"),
        Some(ports @ PortRange { protocol, .. }) => {
            format!("{ip} daddr {net} {} dport {} accept", protocol.as_str(), port_range(*ports))
        }
    }
}
