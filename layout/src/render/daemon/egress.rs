//! What may leave on a daemon's interfaces: planned MAC, planned source address, nothing tagged within the tag, and no word of
//! an address that is not theirs.
//!
//! A netdev chain on egress sees every frame, those of a macvlan that a user put on the interface and of a container that
//! makes its own frames included. It is loaded when the link exists and before it is up.

use std::net::Ipv6Addr;

use ipnet::IpNet;

use super::segment;
use crate::layout::Layout;
use crate::plan::{Daemon, HostPlan, Interface, InterfaceKind, Isolation, MacAddress};
use crate::render::rules::{Chain, set, table};

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let why = format!("What may leave on the interfaces of daemons.{}: their own addresses alone.", daemon.name);
    let chains = plan.interfaces_of(daemon).flat_map(|interface| {
        let segment = plan.network_on(interface).map(|network| segment::chains(plan, daemon, interface, network));
        segment.into_iter().flatten().chain([chain(plan, daemon, interface)])
    });
    let text = match daemon.isolation {
        Isolation::Zone => table("netdev dmhost", &why, chains),
        // In the host's namespace each daemon has a table of its own, and users can put links of their own on its NICs.
        Isolation::Shared => {
            let mut carriers: Vec<&Interface> = Vec::new();
            for interface in plan.interfaces_of(daemon) {
                let nic = plan.nic_of(interface);
                if matches!(interface.kind, InterfaceKind::Vlan { .. }) && !carriers.contains(&nic) {
                    carriers.push(nic);
                }
            }
            let carriers = carriers.into_iter().map(|nic| carrier(plan, nic));
            table(&format!("netdev dmhost_{}", daemon.name), &why, chains.chain(carriers))
        }
    };
    layout.text(daemon.name.etc().join("egress.nft"), text);
}

/// What may leave on a NIC that carries VLANs: theirs.
fn carrier(plan: &HostPlan, nic: &Interface) -> Chain {
    let vids = set(plan.vlans_of(&nic.name).into_iter().map(|(id, _)| id));
    let chain = on_egress(nic).note(format!("the VLANs on interfaces.{}, and none of a user's own", nic.name));
    match plan.mac_of(nic) {
        Some(mac) => chain.rule(format!("ether saddr {mac} vlan id {vids} accept")),
        None => chain.rule(format!("vlan id {vids} accept")),
    }
}

fn on_egress(interface: &Interface) -> Chain {
    let name = &interface.name;
    Chain::base(
        &format!("egress_{}", name.as_str().replace('-', ".")),
        &format!("egress device \"{name}\" priority filter"),
        "drop",
    )
}

fn chain(plan: &HostPlan, daemon: &Daemon, interface: &Interface) -> Chain {
    let name = &interface.name;
    // What a program puts on a link by a packet socket has no route, and so no realm of one (`nft_meta_get_eval_rtclassid`).
    let by_route = if daemon.egress.is_some() { "meta rtclassid 0 " } else { "" };
    let v4: Vec<_> = interface.addresses.iter().filter(|net| net.addr().is_ipv4()).map(IpNet::addr).collect();
    let v6: Vec<_> = interface.addresses.iter().filter(|net| net.addr().is_ipv6()).map(IpNet::addr).collect();
    let chain = on_egress(interface);
    // `ether type` reads the frame as it will be: a tag that the NIC is to put in counts too.
    let chain = chain.note("a VLAN of a user's own below the interface").rule("ether type { 8021q, 8021ad } drop");
    let network = plan.network_on(interface);
    let chain = segment::own_mac(chain, interface, network);
    let same_mac = |chain: Chain| segment::same_mac(chain, interface, network);
    let (chain, local) = match plan.mac_of(interface) {
        Some(mac) => {
            let local = link_local(mac);
            let chain = same_mac(chain.rule(format!("ether saddr != {mac} drop")));
            let proxied: Vec<IpNet> = plan.proxied_on(interface).into_iter().map(|(range, _)| range).collect();
            (chain.when(!v6.is_empty(), |chain| told(chain, local, &v6, &proxied)), local.to_string())
        }
        None => (same_mac(chain), "fe80::/10".to_owned()),
    };
    chain
        .note(match &daemon.egress {
            None => format!("interfaces.{name}.addresses"),
            Some(_) => format!(
                "interfaces.{name}.addresses; of frames that a program made by hand, which no list of destinations sees, ARP alone"
            ),
        })
        .when(!v4.is_empty(), |chain| {
            let v4 = set(&v4);
            chain.rule(format!("ip saddr {v4} {by_route}accept")).rule(format!("arp saddr ip {v4} accept"))
        })
        .when(!v6.is_empty(), |chain| {
            chain
                .rule(format!("ip6 saddr {} {by_route}accept", set(&v6)))
                .when(!daemon.routed.is_empty(), |chain| {
                    chain
                        .note(format!("daemons.{}.routed: containers leave with their own addresses", daemon.name))
                        .rule(format!("ip6 saddr {} {by_route}accept", set(&daemon.routed)))
                })
                .note(
                    "neighbour discovery and multicast listener reports, from link-local and while an address is tried",
                )
                .rule(format!(
                    "ip6 saddr {{ ::, {local} }} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, \
                     mld-listener-report, mld2-listener-report, echo-reply }} {by_route}accept"
                ))
                .when(interface.accept_ra, |chain| {
                    chain
                        .note(format!("interfaces.{name}.accept-ra: routers are asked for (RFC 4861 section 6.3.7)"))
                        .rule(format!("ip6 saddr {{ ::, {local} }} icmpv6 type nd-router-solicit {by_route}accept"))
                })
        })
}

/// Neighbour advertisements for these addresses alone. Their target is 16 bytes from the ninth on (RFC 4861 section 4.4); nft
/// has a word for it since 1.0.8 only.
fn told(chain: Chain, local: Ipv6Addr, own: &[std::net::IpAddr], proxied: &[IpNet]) -> Chain {
    let own = own.iter().filter_map(|address| match address {
        std::net::IpAddr::V6(address) => Some(*address),
        std::net::IpAddr::V4(_) => None,
    });
    let bits = |address: Ipv6Addr| format!("{:#034x}", u128::from(address));
    let ranges = proxied.iter().filter_map(|range| match range {
        IpNet::V6(range) => Some(format!("{}-{}", bits(range.network()), bits(range.broadcast()))),
        IpNet::V4(_) => None,
    });
    let targets: Vec<String> = std::iter::once(local).chain(own).map(bits).chain(ranges).collect();
    let whose = if proxied.is_empty() { "its own addresses" } else { "its own addresses and its containers'" };
    chain
        .note(format!("neighbour advertisements, by their target: of {whose} alone"))
        .rule(format!("icmpv6 type nd-neighbor-advert @th,64,128 != {} drop", set(&targets)))
}

/// RFC 4291 appendix A: the modified EUI-64 of the MAC address behind `fe80::`, as the kernel makes it (`addr_gen_mode` 0).
fn link_local(mac: MacAddress) -> Ipv6Addr {
    let octets = mac.octets();
    let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, octets[0] ^ 2, octets[1], octets[2], 0xff, 0xfe, 0, 0, 0];
    address[13..].copy_from_slice(&octets[3..]);
    address.into()
}
