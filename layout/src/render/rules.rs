//! The one writer of nftables text: tables of chains of rules.
//!
//! Source of the syntax: nft(8). Interface names are quoted, sets are written out, and each rule may carry a comment line
//! above it that says which key of the spec asked for it.

use std::fmt::{Display, Write};

use crate::plan::{Daemon, HostPlan, Interface, InterfaceName, PortRange, Protocol};

/// A base or regular chain under construction, or a set.
#[derive(Debug)]
pub(super) struct Chain {
    text: String,
}

impl Chain {
    /// A chain that hangs on a hook: `hook` is all that stands between `type filter hook` and the policy.
    pub(super) fn base(name: &str, hook: &str, policy: &str) -> Self {
        Self { text: format!("\tchain {name} {{\n\t\ttype filter hook {hook}; policy {policy};\n") }
    }

    /// A chain that gives the first frame of a connection another address.
    pub(super) fn nat(name: &str, hook: &str) -> Self {
        Self { text: format!("\tchain {name} {{\n\t\ttype nat hook {hook}; policy accept;\n") }
    }

    /// A chain that others jump to.
    pub(super) fn regular(name: &str) -> Self {
        Self { text: format!("\tchain {name} {{\n") }
    }

    /// A named set, which stands beside the chains: lines that say what is in it.
    pub(super) fn set(name: &str, lines: &[&str]) -> Self {
        let lines: String = lines.iter().map(|line| format!("\t\t{line}\n")).collect();
        Self { text: format!("\tset {name} {{\n{lines}") }
    }

    /// The reason of the rules that follow.
    pub(super) fn note(mut self, why: impl Display) -> Self {
        let _ = writeln!(self.text, "\t\t# {why}");
        self
    }

    /// One rule.
    pub(super) fn rule(mut self, rule: impl AsRef<str>) -> Self {
        let rule = rule.as_ref();
        assert!(!rule.contains(['\n', '\r', ';', '#']), "a rule is one line of its own: {rule:?}");
        let _ = writeln!(self.text, "\t\t{rule}");
        self
    }

    /// Rules that depend on a condition.
    pub(super) fn when(self, condition: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if condition { more(self) } else { self }
    }

    fn close(mut self) -> String {
        self.text.push_str("\t}\n");
        self.text
    }
}

/// A whole table, `FAMILY NAME`. Loading it twice leaves one.
pub(super) fn table(name: &str, why: &str, chains: impl IntoIterator<Item = Chain>) -> String {
    let mut text = String::new();
    for line in why.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "table {name}");
    let _ = writeln!(text, "delete table {name}");
    let _ = writeln!(text, "table {name} {{");
    let chains: Vec<_> = chains.into_iter().map(Chain::close).collect();
    text.push_str(&chains.join("\n"));
    text.push_str("}\n");
    text
}

/// An anonymous set: `{ a, b }`.
pub(super) fn set<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("{{ {} }}", items.join(", "))
}

/// A set of interface names, quoted.
pub(super) fn names<'a>(interfaces: impl IntoIterator<Item = &'a InterfaceName>) -> String {
    set(interfaces.into_iter().map(|name| format!("\"{name}\"")))
}

/// The ports of one protocol as a set; `None` if there are none.
pub(super) fn ports(expose: &[PortRange], protocol: Protocol) -> Option<String> {
    let ports: Vec<_> = expose.iter().filter(|range| range.protocol == protocol).copied().map(port_range).collect();
    (!ports.is_empty()).then(|| set(ports))
}

/// A range of ports, or the one that it is.
pub(super) fn port_range(PortRange { protocol: _, first, last }: PortRange) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// ICMP that an address answers or needs: echo, errors, neighbour discovery. No redirects, and router advertisements where these
/// interfaces learn from them alone: routes are the spec's.
pub(super) fn icmp<'a>(chain: Chain, interfaces: impl IntoIterator<Item = &'a Interface>) -> Chain {
    let chain = chain
        .note("echo, errors and neighbour discovery; no redirects and no router advertisements")
        .rule("icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept")
        .rule(
            "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem, \
             nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept",
        );
    interfaces.into_iter().filter(|interface| interface.accept_ra).fold(chain, |chain, Interface { name, .. }| {
        let local = "ip6 saddr fe80::/10 ip6 hoplimit 255";
        chain
            .note(format!(
                "interfaces.{name}.accept-ra: a router of the segment tells of itself (RFC 4861 section 6.1.2)"
            ))
            .rule(format!("iifname \"{name}\" {local} icmpv6 type nd-router-advert accept"))
    })
}

/// Where frames come in: nothing but an interface's own addresses, and link-local ones for ICMP alone.
///
/// `ip_forward()` answers with redirects and time-exceeded before the forward hook, so what is not local is dropped here.
pub(super) fn strong_host(chain: Chain, interfaces: &str) -> Chain {
    chain
        .note("an address is answered on its own interface alone, and nothing else is routed")
        .rule(format!("iifname {interfaces} fib daddr . iif type != {{ local, broadcast, multicast }} drop"))
        .note("what is sent to all is neighbour discovery: docker-proxy's sockets would answer a broadcast, each host of the network at once")
        .rule(format!("iifname {interfaces} fib daddr . iif type {{ broadcast, multicast }} meta l4proto != ipv6-icmp drop"))
        .note("link-local addresses serve neighbour discovery and ICMP alone")
        .rule(format!("iifname {interfaces} ip6 daddr fe80::/10 meta l4proto != ipv6-icmp drop"))
}

/// Before [`strong_host`]: containers' own addresses. Those of their bridges are the host's own, and what has come to its last hop would be
/// answered before the forward hook. None of the range is a neighbour on the wire.
pub(super) fn to_routed(chain: Chain, plan: &HostPlan, daemon: &Daemon) -> Chain {
    let (led, ranges) = (plan.routed_by(daemon), set(&daemon.routed));
    if led.is_empty() {
        return chain;
    }
    let led = names(led);
    chain
        .note(format!("daemons.{}.routed: its containers are reached by their own addresses", daemon.name))
        .rule(format!("iifname {led} ip6 saddr {ranges} drop"))
        .rule(format!("iifname {led} ip6 daddr {ranges} fib daddr type unicast ip6 hoplimit > 1 accept"))
}

/// What comes from within: a source that is at home where it comes from. A container is neither its neighbour nor its host.
pub(super) fn at_home<'a>(chain: Chain, interfaces: impl IntoIterator<Item = &'a InterfaceName>) -> Chain {
    let outside = interfaces.into_iter().map(InterfaceName::as_str).chain(["lo"]);
    let inside = format!("iifname != {}", set(outside.map(|name| format!("\"{name}\""))));
    chain
        .note("a container's source is an address of the network that it is on; `::` looks for a double (RFC 4862)")
        .rule(format!("{inside} meta nfproto ipv4 fib saddr . iif oif missing drop"))
        .rule(format!("{inside} ip6 saddr != :: fib saddr . iif oif missing drop"))
}
