//! What may leave on a daemon's interfaces: planned MAC, planned source address, nothing tagged within the tag.
//!
//! A netdev chain on egress sees every frame, those of a macvlan that a user put on the interface and of a container that
//! makes its own frames included. It is loaded when the link exists and before it is up.

use ipnet::IpNet;

use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Interface};
use crate::render::rules::{Chain, set, table};

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let why = format!("What may leave on the interfaces of daemons.{}: their own addresses alone.", daemon.name);
    let chains = plan.interfaces_of(daemon).map(|interface| chain(plan, interface));
    layout.text(daemon.name.etc().join("egress.nft"), table("netdev", &why, chains));
}

fn chain(plan: &HostPlan, interface: &Interface) -> Chain {
    let name = &interface.name;
    let v4: Vec<_> = interface.addresses.iter().filter(|net| net.addr().is_ipv4()).map(IpNet::addr).collect();
    let v6: Vec<_> = interface.addresses.iter().filter(|net| net.addr().is_ipv6()).map(IpNet::addr).collect();
    let chain = Chain::base(
        &format!("egress_{}", name.as_str().replace('-', ".")),
        &format!("egress device \"{name}\" priority filter"),
        "drop",
    );
    let chain = match plan.mac_of(interface) {
        Some(mac) => chain.rule(format!("ether saddr != {mac} drop")),
        None => chain,
    };
    chain
        .note(format!("interfaces.{name}.addresses"))
        .when(!v4.is_empty(), |chain| {
            let v4 = set(&v4);
            chain.rule(format!("ip saddr {v4} accept")).rule(format!("arp saddr ip {v4} accept"))
        })
        .when(!v6.is_empty(), |chain| {
            chain
                .rule(format!("ip6 saddr {} accept", set(&v6)))
                .note(
                    "neighbour discovery and multicast listener reports, from link-local and while an address is tried",
                )
                .rule(
                    "ip6 saddr { ::, fe80::/10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, \
                     mld-listener-report, mld2-listener-report, echo-reply } accept",
                )
        })
}
