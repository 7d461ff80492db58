//! Mutants that nothing outside can tell from the layout.

use dmhost_layout::plan::HostPlan;

use super::make::Mutant;

/// How their names begin, a part of them, and why.
const EQUIVALENT: &[(&str, &str, &str)] = &[
    (
        "/etc/dmhost/",
        "meta nfproto ipv4 fib saddr . iif oif missing drop",
        "two more layers hold it: egress.nft lets only the zone's own addresses out, and those come from nowhere but the zone itself \
         (the kernel's check for martians)",
    ),
    (
        "/etc/",
        "net.ipv4.conf.*.rp_filter the other way",
        "it is loose: what it drops has a source that no route leads to, and nothing would be answered there",
    ),
    (
        "/etc/dmhost/",
        "net.ipv4.conf.*.arp_announce the other way",
        "dockerd's masquerading leaves nothing on a link that has the source of another, and egress.nft no ARP of one",
    ),
    (
        "/etc/sysctl.d/",
        "net.ipv4.conf.*.arp_announce the other way",
        "postrouting lets nothing get to a link that has another's source, so nobody is asked for by ARP on behalf of it",
    ),
    (
        "/etc/",
        "net.ipv6.conf.*.autoconf the other way",
        "it makes addresses from prefixes of router advertisements, and none is taken in",
    ),
    (
        "/etc/dmhost/",
        "without \"icmp type redirect drop\"",
        "containers' kernels begin with what the host's own has (`net.core.devconf_inherit_init_net`), so they take no redirects of IPv4; \
         a container may turn that on",
    ),
    (
        "/etc/",
        ".proxy_delay the other way",
        "what is answered for a container is the same up to 0.8 s later: neighbours wait for longer, and so does the proof",
    ),
    (
        "/etc/systemd/system/dmhost-grow.service",
        "RequiresMountsFor=/",
        "the root is mounted before anything is started",
    ),
    (
        "/etc/dmhost/",
        "net.ipv4.ip_forward the other way",
        "a zone's dockerd turns it on itself; off before that, it sees to it that dockerd's FORWARD begins with drop, as ours does",
    ),
    (
        "/etc/dmhost/",
        "net.ipv6.conf.*.forwarding the other way",
        "a zone's dockerd turns it on itself; off before that, it sees to it that dockerd's FORWARD begins with drop, as ours does",
    ),
];

/// Why a mutant is no different from the layout, if it is known to be so.
pub fn equivalent(plan: &HostPlan, mutant: &Mutant) -> Option<&'static str> {
    let known = |(path, part, _): &&(&str, &str, &str)| mutant.name.starts_with(path) && mutant.name.contains(part);
    let listed = EQUIVALENT.iter().find(known).map(|(.., why)| *why);
    let invalid = mutant.name == "/etc/nftables.conf: forward without \"ct state invalid drop\"";
    let routed = plan.shared().any(|(_, daemon)| !daemon.routed.is_empty());
    listed.or((invalid && !routed).then_some(
        "two more layers hold it: what is invalid is not translated, and postrouting and egress.nft let only the interface's own addresses out",
    ))
}
