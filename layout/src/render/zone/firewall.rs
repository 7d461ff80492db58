//! The rules inside a zone, beside the ones dockerd makes there itself.
//!
//! * prerouting: nothing but the interface's own addresses and `routed` containers (no ICMP errors for others' addresses), and
//!   from containers nothing but their own sources;
//! * input: the API from `api.from`, docker-proxy's ports, ICMP and neighbour discovery;
//! * forward: published ports as `expose` says, matched on the port before DNAT; containers out, with their own addresses where they are
//!   `routed`; nothing between uplinks;
//! * output, where `egress` is a list: answers, and what containers may ask for too.

use crate::layout::Layout;
use crate::plan::{Api, Daemon, HostPlan, Interface, Protocol};
use crate::render::daemon::{admit, destinations, hints};
use crate::render::rules::{Chain, at_home, icmp, names, strong_host, table, to_routed};

/// The chain of what may leave.
const EGRESS: &str = "egress";

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let name = &daemon.name;
    let uplinks = names(&daemon.interfaces);
    let why = format!("The zone of daemons.{name}. dockerd's own tables stand beside this one.");
    let prerouting = to_routed(Chain::base("prerouting", "prerouting priority raw", "accept"), plan, daemon);
    let prerouting = strong_host(prerouting, &uplinks);
    let mut chains = hints::sets(daemon);
    chains.push(hints::told(at_home(prerouting, &daemon.interfaces), daemon, &uplinks));
    chains.extend(replies(plan, daemon, &uplinks));
    chains.extend(hints::unlisted_sources(daemon, &uplinks));
    chains.extend(unchanged(plan, daemon));
    chains.extend([
        input(plan, daemon, &uplinks),
        Chain::regular("published").note("filled when the daemon starts: what its docker-proxy listens on"),
        forward(plan, daemon, &uplinks),
    ]);
    if let Some(egress) = destinations::chain(plan, daemon, EGRESS) {
        chains.extend([egress, output(plan, daemon, &uplinks)]);
    }
    let text = table("inet dmhost", &why, chains);
    layout.text(name.etc().join("nftables.conf"), text);

    layout.text(
        name.etc().join("published.nft"),
        format!(
            "# Ports that docker-proxy of daemons.{name} listens on: its sockets are in the daemon's cgroup.\n\
             flush chain inet dmhost published\n\
             add rule inet dmhost published {} accept\n",
            admit::own_sockets(daemon)
        ),
    );
}

/// What a container answers leaves by the interface that it was asked on: when its route is chosen it has the container's
/// address still, so it is known by its connection.
fn replies(plan: &HostPlan, daemon: &Daemon, uplinks: &str) -> Option<Chain> {
    let tables = plan.routing_tables(daemon);
    if tables.is_empty() {
        return None;
    }
    let chain = Chain::base("replies", "prerouting priority mangle", "accept")
        .note("what was asked through an interface is answered through it: each has a routing table of its own");
    let marked = |chain: Chain, (table, interface): &(u32, &Interface)| {
        chain.rule(format!("iifname \"{}\" ct state new ct mark set {table}", interface.name))
    };
    let chain = tables.iter().fold(chain, marked);
    Some(chain.rule(format!("iifname != {uplinks} ct direction reply meta mark set ct mark")))
}

/// Before dockerd's own rules, which give what leaves the zone's address: a connection has one source, and here it gets the one that it has.
fn unchanged(plan: &HostPlan, daemon: &Daemon) -> Option<Chain> {
    let led = plan.routed_by(daemon);
    (!led.is_empty()).then(|| {
        let led = names(led);
        daemon.routed.iter().fold(
            Chain::nat("unchanged", "postrouting priority srcnat - 1")
                .note(format!("daemons.{}.routed: containers leave with their own addresses", daemon.name)),
            |chain, range| {
                let same = format!("snat ip6 prefix to ip6 saddr map {{ {range} : {range} }}");
                chain.rule(format!("oifname {led} ip6 saddr {range} {same}"))
            },
        )
    })
}

fn input(plan: &HostPlan, daemon: &Daemon, uplinks: &str) -> Chain {
    let name = &daemon.name;
    let chain = Chain::base("input", "input priority filter", "drop")
        .rule("ct state established,related accept")
        .rule("ct state invalid drop");
    let chain = match &daemon.api {
        // A container on the host's network is no source of `api.from`, and has no certificate to show.
        Some(Api { port, tls: false, .. }) => chain
            .note(format!("daemons.{name}.api is in plain text: not for programs of the zone"))
            .rule(format!("iifname \"lo\" tcp dport {port} drop")),
        Some(_) | None => chain,
    };
    let chain = chain.rule("iifname \"lo\" accept");
    let chain = admit::api(icmp(chain, plan.interfaces_of(daemon)), plan, daemon, uplinks, "accept");
    let chain = match &daemon.api {
        None => chain,
        // dockerd's own sockets are in the same cgroup as docker-proxy's.
        Some(Api { port, .. }) => chain.rule(format!("tcp dport {port} drop")),
    };
    match admit::exposed(daemon, uplinks, "accept") {
        None => {
            chain.note(format!("daemons.{name}.expose is absent: whatever Docker publishes")).rule("jump published")
        }
        Some(listed) => {
            let chain = chain.note(format!("daemons.{name}.expose, where docker-proxy serves it"));
            listed
                .into_iter()
                .fold(chain, Chain::rule)
                .note("containers reach what their own daemon publishes")
                .rule(format!("iifname != {uplinks} jump published"))
        }
    }
}

fn forward(plan: &HostPlan, daemon: &Daemon, uplinks: &str) -> Chain {
    let name = &daemon.name;
    let chain = Chain::base("forward", "forward priority filter", "drop").rule("ct state established,related accept");
    let before =
        |protocol: Protocol| format!("ct status dnat meta l4proto {} ct original proto-dst", protocol.as_str());
    let chain = match admit::listed(daemon, before) {
        None => chain
            .note(format!("daemons.{name}.expose is absent: whatever Docker publishes"))
            .rule(format!("iifname {uplinks} oifname != {uplinks} ct status dnat accept")),
        Some(listed) => {
            let rules =
                listed.into_iter().map(|known| format!("iifname {uplinks} oifname != {uplinks} {known} accept"));
            let chain = chain.note(format!("daemons.{name}.expose, by the port before DNAT"));
            hints::remembered(rules.fold(chain, Chain::rule), daemon, uplinks)
        }
    };
    let chain = admit::routed(chain, plan, daemon, uplinks);
    match &daemon.egress {
        None => chain
            .note("containers out and among themselves: dockerd's own chains tell its networks apart")
            .rule(format!("iifname != {uplinks} accept")),
        Some(_) => chain
            .note("containers among themselves: dockerd's own chains tell its networks apart")
            .rule(format!("iifname != {uplinks} oifname != {uplinks} accept"))
            .note(format!("daemons.{name}.egress: containers out"))
            .rule(format!("iifname != {uplinks} jump {EGRESS}")),
    }
}

/// What the daemon itself says, and containers on the host's network, which is the zone's.
fn output(plan: &HostPlan, daemon: &Daemon, uplinks: &str) -> Chain {
    let chain = Chain::base("output", "output priority filter", "drop")
        .rule("ct state established,related accept")
        .rule(format!("oifname != {uplinks} accept"))
        .when(plan.speaks_ipv6(daemon), |chain| {
            let chain = chain.note("neighbour discovery, and answers to what all nodes were asked");
            chain.rule(destinations::NEIGHBOURS).rule(destinations::ANSWER_OF_ALL)
        });
    plan.interfaces_of(daemon)
        .filter(|interface| interface.accept_ra)
        .fold(chain, |chain, Interface { name, .. }| {
            let chain = chain.note(format!("interfaces.{name}.accept-ra: routers are asked for"));
            chain.rule(format!("oifname \"{name}\" icmpv6 type nd-router-solicit accept"))
        })
        .note(format!("daemons.{}.egress: pulls, and containers on the host's network", daemon.name))
        .rule(format!("jump {EGRESS}"))
}
