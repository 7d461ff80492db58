//! Containers on the segment of an interface: what of them may leave, and what of routers does not come to them.
//!
//! Their links are below the interface's, so that the hooks of that see their frames, and no other rule of the namespace does.

use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::plan::{Daemon, Driver, HostPlan, Interface, MacAddress, Network};
use crate::render::rules::{Chain, set};

/// What the engine's own MAC addresses begin with (moby, `netutils.GenerateMACFromIP`).
const ENGINES_MAC: &str = "ether saddr & ff:ff:00:00:00:00 == 02:42:00:00:00:00";

/// The chains of a network on an interface, beside that of the interface itself.
pub(super) fn chains(plan: &HostPlan, daemon: &Daemon, interface: &Interface, network: &Network) -> [Chain; 2] {
    [containers(plan, daemon, interface, network), learnt(interface, network)]
}

/// To the chain of what leaves on an interface: where frames of its containers go. With a MAC address of their own they are none of
/// the daemon's.
pub(super) fn own_mac(chain: Chain, interface: &Interface, network: Option<&Network>) -> Chain {
    let Some(Network { name: network, driver: Driver::Macvlan { .. }, .. }) = network else { return chain };
    chain
        .note(format!("containers of the network {network}, by the MAC addresses that Docker gives them"))
        .rule(format!("{ENGINES_MAC} goto {}", name(interface)))
}

/// The same where frames with another MAC address than the interface's are gone: with that they may be the daemon's.
pub(super) fn same_mac(chain: Chain, interface: &Interface, network: Option<&Network>) -> Chain {
    let Some(Network { name: network, driver: Driver::Ipvlan { .. }, .. }) = network else { return chain };
    chain
        .note(format!("containers of the network {network} have the interface's MAC address"))
        .rule(format!("jump {}", name(interface)))
}

fn name(interface: &Interface) -> String {
    format!("segment_{}", interface.name.as_str().replace('-', "."))
}

fn containers(plan: &HostPlan, daemon: &Daemon, interface: &Interface, network: &Network) -> Chain {
    // Before it has an address, a link with the interface's MAC address says what the interface itself may say.
    let sources = match network.driver {
        Driver::Macvlan { .. } => vec!["ip6 saddr ::".to_owned(), LINK_LOCAL_OF_MACVLAN.to_owned()],
        Driver::Bridge | Driver::Ipvlan { .. } => {
            plan.mac_of(interface).map(link_local_of_ipvlan).into_iter().collect()
        }
    };
    let why = format!("daemons.{}.networks, {}: its `ip-range`", daemon.name, network.name);
    network.on_segment().into_iter().fold(Chain::regular(&name(interface)).note(why), |chain, range| match range {
        IpNet::V4(range) => {
            chain.rule(format!("ip saddr {range} accept")).rule(format!("arp saddr ip {range} accept"))
        }
        IpNet::V6(range) => {
            let [first, last] = [range.network(), range.broadcast()].map(|end| format!("{:#034x}", u128::from(end)));
            let chain = chain
                .note("neighbour advertisements, by their target; questions and listener reports before there is an address and from link-local")
                .rule(format!("ip6 saddr {range} icmpv6 type nd-neighbor-advert @th,64,128 != {first}-{last} drop"))
                .rule(format!("ip6 saddr {range} accept"));
            let asks = set(["nd-neighbor-solicit", "mld-listener-report", "mld2-listener-report"]);
            sources.iter().fold(chain, |chain, source| chain.rule(format!("{source} icmpv6 type {asks} accept")))
        }
    })
}

/// Link-local addresses of the engine's MAC addresses (RFC 4291 appendix A): nobody else's, who would be believed.
const LINK_LOCAL_OF_MACVLAN: &str = "ip6 saddr & ffff:ffff:ffff:ffff:ffff:ff:ff00:0 == fe80::42:ff:fe00:0";

/// The same of links with one MAC address: the number of each is where others have `ff:fe` (Linux, `addrconf_ifid_eui48`).
fn link_local_of_ipvlan(mac: MacAddress) -> String {
    let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    octets[8..11].copy_from_slice(&mac.octets()[..3]);
    octets[13..].copy_from_slice(&mac.octets()[3..]);
    let address = Ipv6Addr::from(octets);
    let mask = Ipv6Addr::from([255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 255, 255, 255]);
    format!("ip6 saddr & {mask} == {address}")
}

/// A container's kernel believes redirects, and routers that say that they are.
fn learnt(interface: &Interface, network: &Network) -> Chain {
    let hook = format!("ingress device \"{}\" priority filter", interface.name);
    let chain = name(interface).replacen("segment", "learnt", 1);
    Chain::base(&chain, &hook, "accept")
        .note("routes are the spec's, for containers too")
        .rule("icmp type redirect drop")
        .when(network.ipv6, |chain| chain.rule("icmpv6 type { nd-router-advert, nd-redirect } drop"))
}
