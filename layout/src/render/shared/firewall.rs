//! What the host's own rules say of the daemons in its namespace. All of it is static, but for one chain per daemon that knows the
//! sockets of its unit: only they are reached on its addresses, and only they reach its containers.
//!
//! * input: from the wire the API and published ports; from containers what their own daemon publishes; from the host nothing;
//! * forward: from a daemon's ranges to its own interfaces, and back to `routed` containers: published ports are docker-proxy's, which is
//!   input;
//! * postrouting: what leaves has an address of the interface, or of a `routed` container.
//!
//! That a source is in a daemon's ranges is no word of the container's own: what does not come from where its source is at home is
//! dropped in prerouting.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::layout::Layout;
use crate::plan::{Api, Daemon, HostPlan, Interface, Owner};
use crate::render::daemon::{admit, destinations, hints};
use crate::render::rules::{Chain, names, set};
use crate::render::unit::{UNITS, UnitFile};
use crate::render::{Program, Target};

/// The chain with the sockets of a daemon.
fn chain_of(daemon: &Daemon) -> String {
    format!("sockets_{}", daemon.name)
}

/// The chain that tells of published ports that are not listed.
fn unlisted_of(daemon: &Daemon) -> String {
    format!("unlisted_{}", daemon.name)
}

/// The chain with the destinations of a daemon whose `egress` is a list.
fn egress_of(daemon: &Daemon) -> String {
    format!("egress_{}", daemon.name)
}

/// The same for what speaks in the host's own namespace, where the name servers are the host's.
fn itself_of(daemon: &Daemon) -> String {
    format!("itself_{}", daemon.name)
}

/// The chain that knows what speaks there: the daemon, and its containers on the host's network.
fn speakers_of(daemon: &Daemon) -> String {
    format!("speakers_{}", daemon.name)
}

/// The chain that knows what runs under a daemon, on the interfaces of the others.
fn elsewhere_of(daemon: &Daemon) -> String {
    format!("elsewhere_{}", daemon.name)
}

/// What runs under a daemon: dockerd, and its containers on the host's network.
fn slice_of(daemon: &Daemon) -> String {
    format!("socket cgroupv2 level 2 \"dmhost.slice/{}\"", daemon.name.slice())
}

/// Interfaces of the other daemons in this namespace; `None` if there is none.
fn others(plan: &HostPlan, daemon: &Daemon) -> Option<String> {
    let others = plan.shared().filter(|(_, other)| other.name != daemon.name).flat_map(|(_, other)| &other.interfaces);
    let others: Vec<_> = others.collect();
    (!others.is_empty()).then(|| names(others))
}

/// A rule for each subnet of internal networks, by the IP version that it is of.
fn internal(chain: Chain, plan: &HostPlan, rule: impl Fn(&str, IpNet) -> String) -> Chain {
    let networks = plan.shared().flat_map(|(_, daemon)| &daemon.networks).filter(|network| network.internal);
    let ranges: Vec<IpNet> = networks.flat_map(|network| &network.subnets).map(|subnet| subnet.range).collect();
    ranges.iter().map(|range| rule(if range.addr().is_ipv4() { "ip" } else { "ip6" }, *range)).fold(
        chain
            .when(!ranges.is_empty(), |chain| chain.note("internal networks: their containers reach each other alone")),
        Chain::rule,
    )
}

/// Daemons whose `egress` is a list.
fn listing(plan: &HostPlan) -> impl Iterator<Item = &Daemon> {
    plan.shared().map(|(_, daemon)| daemon).filter(|daemon| daemon.egress.is_some())
}

/// What is loaded when the daemon starts.
pub(super) fn sockets(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let (name, chain) = (&daemon.name, chain_of(daemon));
    let mut text = format!(
        "# Sockets of daemons.{name}: dockerd's and those of its docker-proxy are in the daemon's cgroup.\n\
         flush chain inet dmhost {chain}\n\
         add rule inet dmhost {chain} {} accept\n\
         # What a connection leaves for a minute is in no cgroup (TIME-WAIT), and the same client may begin the next one (RFC 9293\n\
         # section 3.10.7.4): of whole sockets this asks for no more, of the others it takes what there is.\n\
         add rule inet dmhost {chain} socket wildcard {{ 0, 1 }} return\n\
         add rule inet dmhost {chain} socket transparent 0 accept\n",
        admit::own_sockets(daemon)
    );
    if daemon.expose.is_some() {
        let chain = unlisted_of(daemon);
        let _ = writeln!(text, "flush chain inet dmhost {chain}");
        for rule in hints::of_sockets(daemon, &admit::own_sockets(daemon)) {
            let _ = writeln!(text, "add rule inet dmhost {chain} {rule}");
        }
    }
    if daemon.egress.is_some() {
        let (speakers, itself) = (speakers_of(daemon), itself_of(daemon));
        let _ = write!(
            text,
            "# And those of its containers on the host's network are in its slice.\n\
             flush chain inet dmhost {speakers}\n\
             add rule inet dmhost {speakers} {} jump {itself}\n",
            slice_of(daemon)
        );
    }
    if others(plan, daemon).is_some() {
        let elsewhere = elsewhere_of(daemon);
        let _ = write!(
            text,
            "# What runs in its slice says nothing on the interfaces of other daemons.\n\
             flush chain inet dmhost {elsewhere}\n\
             add rule inet dmhost {elsewhere} {} drop\n",
            slice_of(daemon)
        );
    }
    layout.text(name.etc().join("published.nft"), text);
}

/// The host's rules loaded anew have these chains empty: they are filled again, but for daemons that are down and have no cgroup.
/// A restart needs none of it: it restarts whatever requires the rules.
pub(super) fn reload(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    if plan.shared().next().is_none() {
        return;
    }
    let nft = target.path(Program::Nft);
    let fill = plan.shared().map(|(_, daemon)| format!("-{nft} -f {}/published.nft", daemon.name.etc()));
    let dropin = UnitFile::new("Rules that are loaded anew know the sockets of the daemons in this namespace.")
        .section("Service")
        .each("ExecReload", fill);
    layout.text(format!("{UNITS}/nftables.service.d/dmhost.conf"), dropin.text());
}

/// Chains that the host's own jump to, and those of hooks that it has for these daemons alone.
pub(in crate::render) fn chains(plan: &HostPlan) -> Vec<Chain> {
    if plan.shared().next().is_none() {
        return Vec::new();
    }
    let sockets = plan.shared().flat_map(|(_, daemon)| {
        let unlisted = daemon.expose.as_ref().map(|_| unlisted_of(daemon));
        let filled = |chain: String| {
            Chain::regular(&chain).note(format!("filled when daemons.{} starts: its own sockets", daemon.name))
        };
        let elsewhere = others(plan, daemon).map(|_| elsewhere_of(daemon));
        [Some(chain_of(daemon)), unlisted, elsewhere].into_iter().flatten().map(filled)
    });
    let own = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
    let servers: Vec<IpAddr> = own.flat_map(|interface| interface.dns.iter().copied()).collect();
    let egress = listing(plan).flat_map(|daemon| {
        let egress = destinations::chain(plan, daemon, &egress_of(daemon)).map(|chain| chain.rule("drop"));
        let itself = Chain::regular(&itself_of(daemon));
        let itself = destinations::names(itself, servers.iter().copied(), "`dns` of the host's own interfaces");
        let note = format!("filled when daemons.{} starts: its own programs", daemon.name);
        let speakers = Chain::regular(&speakers_of(daemon)).note(note);
        egress.into_iter().chain([itself.rule(format!("jump {}", egress_of(daemon))), speakers])
    });
    sockets.chain(egress).chain([inside(plan), output(plan), nat(plan)]).collect()
}

/// What comes in on the loopback, on bridges and on the daemons' interfaces.
pub(in crate::render) fn local(chain: Chain, plan: &HostPlan) -> Chain {
    if plan.shared().next().is_none() {
        return chain.rule("iifname \"lo\" accept");
    }
    let own = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
    let (v4, v6) = versions(own.flat_map(|interface| &interface.addresses).map(|net| IpNet::from(net.addr())));
    let v4 = set(v4.into_iter().chain(["127.0.0.0/8".to_owned()]));
    let v6 = set(v6.into_iter().chain(["::1".to_owned()]));
    chain
        .note("the host itself reaches daemons by their networks, if at all")
        .rule(format!("iifname \"lo\" ip daddr {v4} accept"))
        .rule(format!("iifname \"lo\" ip6 daddr {v6} accept"))
        .rule("iifname \"lo\" drop")
        .rule(format!("iifname != {} jump inside", uplinks(plan)))
}

/// What the network may reach of each daemon.
pub(in crate::render) fn input(chain: Chain, plan: &HostPlan) -> Chain {
    plan.shared().fold(chain, |chain, (_, daemon)| {
        let (name, own, jump) = (&daemon.name, names(&daemon.interfaces), format!("jump {}", chain_of(daemon)));
        let limited = |api: &Api| api.from.is_some() || !plan.answers_everywhere(daemon, api);
        let chain = match &daemon.api {
            // What follows is for all sources, and dockerd's own sockets are among those.
            Some(api) if limited(api) => {
                let chain = admit::api(chain, plan, daemon, &own, &jump);
                chain.rule(format!("iifname {own} tcp dport {} drop", api.port))
            }
            Some(_) if daemon.expose.is_none() => chain.note(format!("daemons.{name}.api: from any source")),
            Some(_) | None => admit::api(chain, plan, daemon, &own, &jump),
        };
        match admit::exposed(daemon, &own, &jump) {
            None => chain
                .note(format!("daemons.{name}.expose is absent: whatever Docker publishes"))
                .rule(format!("iifname {own} {jump}")),
            Some(listed) => {
                let chain = chain.note(format!("daemons.{name}.expose, where docker-proxy serves it"));
                listed
                    .into_iter()
                    .fold(chain, Chain::rule)
                    .note("published, and not listed: the log has it")
                    .rule(format!("iifname {own} jump {}", unlisted_of(daemon)))
            }
        }
    })
}

/// What containers reach of this machine: what their own daemon publishes, and the gateways of its networks.
fn inside(plan: &HostPlan) -> Chain {
    let chain = Chain::regular("inside")
        .note("neighbour discovery on the bridges")
        .rule("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept");
    let chain = internal(chain, plan, |ip, range| format!("{ip} saddr {range} {ip} daddr != {range} drop"));
    let chain = plan.shared().fold(chain, |chain, (_, daemon)| {
        let chain = chain.note(format!("daemons.{}: its containers reach what it publishes", daemon.name));
        let (ranges4, ranges6) = versions(daemon.ranges());
        let (own4, own6) = versions(addresses(plan, daemon).map(IpNet::from));
        let sides = [("ip", "icmp", ranges4, own4), ("ip6", "icmpv6", ranges6, own6)];
        sides.into_iter().filter(|(_, _, ranges, _)| !ranges.is_empty()).fold(
            chain,
            |chain, (ip, icmp, ranges, own)| {
                let from = format!("{ip} saddr {}", set(&ranges));
                let near = set(ranges.iter().chain(&own));
                let chain = chain.rule(format!("{from} {ip} daddr {near} {icmp} type echo-request accept"));
                if own.is_empty() {
                    return chain;
                }
                let to = format!("{from} {ip} daddr {}", set(&own));
                let chain = match &daemon.api {
                    None => chain,
                    Some(api) => chain.rule(format!("{to} tcp dport {} drop", api.port)),
                };
                chain.rule(format!("{to} jump {}", chain_of(daemon)))
            },
        )
    });
    chain.rule("drop")
}

/// What leaves for a container: answers, and what its own daemon's sockets send.
fn output(plan: &HostPlan) -> Chain {
    let outside: Vec<String> =
        spoken(plan).into_iter().map(|name| format!("\"{name}\"")).chain(["\"lo\"".to_owned()]).collect();
    let chain = Chain::base("output", "output priority filter", "drop");
    let chain = plan.shared().fold(chain, |chain, (_, daemon)| match others(plan, daemon) {
        Some(others) => chain
            .note(format!("daemons.{}: nothing of it speaks on the interfaces of others", daemon.name))
            .rule(format!("oifname {others} jump {}", elsewhere_of(daemon))),
        None => chain,
    });
    let chain = chain
        .note("answers and neighbour discovery")
        .rule("ct state established,related accept")
        .rule(destinations::NEIGHBOURS);
    let all_nodes = listing(plan).any(|daemon| plan.speaks_ipv6(daemon));
    let chain = chain.when(all_nodes, |chain| chain.rule(destinations::ANSWER_OF_ALL));
    let uplinks = uplinks(plan);
    let chain = listing(plan)
        .fold(chain, |chain, daemon| {
            chain
                .note(format!("daemons.{}.egress: on its interfaces, and what it says on others", daemon.name))
                .rule(format!("oifname {uplinks} jump {}", speakers_of(daemon)))
                .rule(format!("oifname {} jump {}", names(&daemon.interfaces), egress_of(daemon)))
        })
        .note("what the host says to the network and to itself")
        .rule(format!("oifname {} accept", set(outside)))
        .note("on the bridges: what a daemon says to its own containers");
    plan.shared().fold(chain, |chain, (_, daemon)| {
        let (v4, v6) = versions(daemon.ranges());
        let jump = chain_of(daemon);
        chain
            .when(!v4.is_empty(), |chain| chain.rule(format!("ip daddr {} jump {jump}", set(&v4))))
            .when(!v6.is_empty(), |chain| chain.rule(format!("ip6 daddr {} jump {jump}", set(&v6))))
    })
}

/// The ways that containers with addresses of these ranges may take, with the daemon's own address on each.
fn ways<'p>(
    plan: &'p HostPlan,
    daemon: &'p Daemon,
    ranges: Vec<IpNet>,
) -> Vec<(&'static str, Vec<String>, &'p Interface, IpAddr)> {
    let (v4, v6) = versions(ranges);
    let sides = [("ip", v4), ("ip6", v6)];
    let of = |interface: &'p Interface| {
        sides.iter().filter_map(move |(ip, ranges)| {
            let mut own = interface.addresses.iter().map(IpNet::addr);
            let address = own.find(|address| address.is_ipv4() == (*ip == "ip"))?;
            (!ranges.is_empty()).then(|| (*ip, ranges.clone(), interface, address))
        })
    };
    plan.interfaces_of(daemon).flat_map(of).collect()
}

/// Containers leave on their own daemon's interfaces. Between its networks and between daemons nothing is routed, and from the wire what is
/// `routed` alone.
pub(in crate::render) fn forward(chain: Chain, plan: &HostPlan) -> Chain {
    if plan.shared().next().is_none() {
        return chain.note("the host routes nothing, ever");
    }
    let chain = chain.rule("ct state established,related accept").rule("ct state invalid drop");
    let uplinks = uplinks(plan);
    let chain = internal(chain, plan, |ip, range| format!("{ip} saddr {range} drop"));
    plan.shared().fold(chain, |chain, (_, daemon)| {
        let chain = admit::routed(chain, plan, daemon, &uplinks);
        let chain = chain.note(format!("daemons.{}: its containers leave on its own interfaces", daemon.name));
        let verdict = match &daemon.egress {
            None => "accept".to_owned(),
            Some(_) => format!("jump {}", egress_of(daemon)),
        };
        ways(plan, daemon, daemon.ranges()).into_iter().fold(chain, |chain, (ip, ranges, interface, _)| {
            let name = &interface.name;
            chain.rule(format!("iifname != {uplinks} {ip} saddr {} oifname \"{name}\" {verdict}", set(&ranges)))
        })
    })
}

fn nat(plan: &HostPlan) -> Chain {
    plan.shared().fold(Chain::nat("source", "postrouting priority srcnat"), |chain, (_, daemon)| {
        let (whole, part): (Vec<IpNet>, Vec<IpNet>) =
            daemon.routed.iter().partition(|range| daemon.ranges().contains(range));
        let chain = chain.when(!part.is_empty() && !plan.routed_by(daemon).is_empty(), |chain| {
            let note = format!("daemons.{}.routed: containers leave with their own addresses", daemon.name);
            chain.note(note).rule(format!("oifname {} ip6 saddr {} accept", names(plan.routed_by(daemon)), set(&part)))
        });
        let chain = chain.note(format!("daemons.{}: its containers leave with its own address", daemon.name));
        let translated = daemon.ranges().into_iter().filter(|range| !whole.contains(range)).collect();
        ways(plan, daemon, translated).into_iter().fold(chain, |chain, (ip, ranges, interface, address)| {
            let name = &interface.name;
            chain.rule(format!("oifname \"{name}\" {ip} saddr {} snat {ip} to {address}", set(&ranges)))
        })
    })
}

fn addresses<'p>(plan: &'p HostPlan, daemon: &'p Daemon) -> impl Iterator<Item = IpAddr> {
    plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).map(IpNet::addr)
}

/// The interfaces of this namespace that have a wire.
fn spoken(plan: &HostPlan) -> Vec<&crate::plan::InterfaceName> {
    let here = plan.interfaces.values().filter(|interface| plan.speaks_in_host(interface));
    here.map(|interface| &interface.name).collect()
}

fn uplinks(plan: &HostPlan) -> String {
    names(spoken(plan))
}

/// IPv4 and IPv6 apart, as nft takes them.
fn versions(nets: impl IntoIterator<Item = IpNet>) -> (Vec<String>, Vec<String>) {
    let (v4, v6): (Vec<_>, Vec<_>) = nets.into_iter().partition(|net| net.addr().is_ipv4());
    let shown =
        |net: &IpNet| if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() };
    (v4.iter().map(shown).collect(), v6.iter().map(shown).collect())
}
