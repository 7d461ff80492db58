//! The matrix of wire vantages, with its promises: whoever may reach an address is on its own segment, or beyond that
//! segment's gateway, and reaches the ports the spec names there.

use dmhost_layout::plan::{Admin, Api, Daemon, Exposed, HostPlan, Interface, Isolation, Protocol};

use super::sources::{by_source, can_stand, listed_by, listed_source, listed_sources, unlisted_source};
use super::target::{places, version_of_gateway};
use super::{Ask, Credential, Inner, Network, Place, Ports, ProbePorts, Question, Subject, Target, Vantage, Verdict};
use super::{CONTAINER_PORT, bound, probe_ports, targets};

/// The whole matrix of wire vantages. `inner`: what Docker told of the probe containers.
pub fn questions(plan: &HostPlan, inner: &[Inner], ports: &Ports) -> Vec<Question> {
    let mut questions = Vec::new();
    for vantage in Vantage::wires(plan) {
        let Some(over) = vantage.interface().map(|name| &plan.interfaces[name]) else { continue };
        let beyond = matches!(vantage, Vantage::Beyond(_));
        for target in targets(plan) {
            if beyond && !version_of_gateway(over, target.address) {
                continue;
            }
            let asks = planned(plan, &vantage, &target, ports);
            let question =
                |(ask, expected)| Question { vantage: vantage.clone(), target: target.clone(), ask, expected };
            questions.extend(asks.into_iter().map(question));
        }
        for target in places(plan, inner, &vantage, over) {
            let asks = match by_itself(plan, inner, over, &target) {
                _ if target.mac.is_some() && is_answered(plan, inner, &vantage, &target) => neighbour(&vantage, ports),
                Some(daemon) => routed(plan, daemon, &vantage, &target, ports),
                None => unplanned(plan, &vantage, over, &target, ports),
            };
            let question =
                |(ask, expected)| Question { vantage: vantage.clone(), target: target.clone(), ask, expected };
            questions.extend(asks.into_iter().map(question));
        }
    }
    questions
}

/// What is asked of an address of the plan.
fn planned(plan: &HostPlan, vantage: &Vantage, target: &Target, ports: &Ports) -> Vec<(Ask, Verdict)> {
    let near = match vantage {
        Vantage::Vlan(name) | Vantage::Beyond(name) => *name == target.interface,
        Vantage::Trunk(_) | Vantage::Container(..) | Vantage::Host => false,
    };
    let beyond = matches!(vantage, Vantage::Beyond(_));
    let asks = match &target.subject {
        Subject::Host => host_asks(plan, target),
        Subject::Daemon(name) => daemon_asks(plan, &plan.daemons[name], vantage, target, near),
    };
    // Of a range that some sources reach its ends are asked, by those and by others; what is between is no silence to all here.
    let limited = |protocol| if near { limited(plan, target, protocol) } else { Vec::new() };
    let tcp: Vec<u16> = asks.iter().flat_map(|(ask, _)| ports_of(ask)).chain(limited(Protocol::Tcp)).collect();
    let udp: Vec<u16> = asks.iter().flat_map(|(ask, _)| datagrams_of(ask)).chain(limited(Protocol::Udp)).collect();
    // From beyond a gateway, as far as another network goes, what a station on the segment has asked in full.
    let rest = if !ports.every || beyond && !near {
        Ask::SomePorts { ports: ports.tcp.iter().filter(|port| !tcp.contains(port)).copied().collect() }
    } else {
        Ask::OtherPorts { but: deduplicated(tcp) }
    };
    let datagrams =
        Ask::OtherDatagrams { ports: ports.udp.iter().filter(|port| !udp.contains(port)).copied().collect() };
    let neighbour = (!beyond).then_some((Ask::Neighbour, Verdict::Serves));
    let rest = [(rest, Verdict::Silent), (datagrams, Verdict::Silent)];
    let all = neighbour.into_iter().chain([(Ask::Echo, Verdict::Serves)]).chain(asks).chain(rest);
    all.map(|(ask, promise)| (ask, if near { promise } else { Verdict::Silent })).collect()
}

/// What is asked of an address that nobody planned to answer.
fn unplanned(
    plan: &HostPlan,
    vantage: &Vantage,
    over: &Interface,
    target: &Target,
    ports: &Ports,
) -> Vec<(Ask, Verdict)> {
    // IPv6 itself lives on link-local addresses: where it is planned they have neighbours and echo, and nothing else.
    let speaks = over.addresses.iter().any(|net| net.addr().is_ipv6());
    let lives = speaks
        && matches!(vantage, Vantage::Vlan(_))
        && match target.place {
            Place::LinkLocal => plan.mac_of(over).is_some_and(|mac| target.is_link_local_of(mac)),
            Place::AllNodes => true,
            Place::Planned | Place::Broadcast | Place::Unplanned | Place::Container | Place::Bridge => false,
        };
    let promise = if lives { Verdict::Serves } else { Verdict::Silent };
    let group = matches!(target.place, Place::AllNodes | Place::Broadcast);
    let neighbour = (!group && !matches!(vantage, Vantage::Beyond(_))).then_some((Ask::Neighbour, promise));
    // What is sent to all is sent to a container on the segment too, and its program may answer.
    let beside = plan.network_on(over).is_some();
    let udp = ports.udp.iter().copied().filter(|port| !(group && beside && *port == CONTAINER_PORT)).collect();
    let rest = [
        (Ask::Echo, promise),
        (Ask::SomePorts { ports: ports.tcp.clone() }, Verdict::Silent),
        (Ask::OtherDatagrams { ports: udp }, Verdict::Silent),
    ];
    neighbour.into_iter().chain(rest).collect()
}

/// Whether a container on the segment has a way back: to its neighbours, and through a gateway of its own subnet.
fn is_answered(plan: &HostPlan, inner: &[Inner], vantage: &Vantage, target: &Target) -> bool {
    let subnets = inner.iter().filter(|own| own.address == target.address).filter_map(|own| {
        let network = own.network.of(&plan.daemons[&own.daemon])?;
        network.subnets.iter().find(|subnet| subnet.range.contains(&target.address))
    });
    !matches!(vantage, Vantage::Beyond(_)) || subnets.into_iter().any(|subnet| subnet.gateway.is_some())
}

/// What is asked of a container on the segment itself: it answers as any host does, on the ports that its programs listen on.
fn neighbour(vantage: &Vantage, ports: &Ports) -> Vec<(Ask, Verdict)> {
    let but = |all: &[u16]| all.iter().copied().filter(|port| *port != CONTAINER_PORT).collect::<Vec<_>>();
    let near = matches!(vantage, Vantage::Vlan(_)).then_some((Ask::Neighbour, Verdict::Serves));
    let all = [
        (Ask::Echo, Verdict::Serves),
        (Ask::Published { port: CONTAINER_PORT }, Verdict::Serves),
        (Ask::Datagram { port: CONTAINER_PORT }, Verdict::Serves),
        (Ask::Vacant { ports: but(&ports.tcp) }, Verdict::Refuses),
        (Ask::VacantDatagrams { ports: but(&ports.udp).into_iter().take(3).collect() }, Verdict::Refuses),
    ];
    near.into_iter().chain(all).collect()
}

/// The daemon whose container is reached by its own address over an interface.
fn by_itself<'p>(plan: &'p HostPlan, inner: &[Inner], over: &Interface, target: &Target) -> Option<&'p Daemon> {
    let Subject::Daemon(name) = &target.subject else { return None };
    let daemon = &plan.daemons[name];
    // The container on a user's network publishes nothing.
    let own = |own: &Inner| own.daemon == *name && own.address == target.address && own.network != Network::User;
    let here = daemon.interfaces.contains(&over.name)
        && plan.routed_on(over).iter().any(|range| range.contains(&target.address));
    (here && target.place == Place::Container && inner.iter().any(own)).then_some(daemon)
}

/// What is asked of a container by its own address: the port that it listens on, as `expose` says. Other ports that only some sources
/// reach are not asked.
fn routed(plan: &HostPlan, daemon: &Daemon, vantage: &Vantage, target: &Target, ports: &Ports) -> Vec<(Ask, Verdict)> {
    let listens = |protocol| {
        let by_all = match protocol {
            Protocol::Tcp => Ask::Published { port: CONTAINER_PORT },
            Protocol::Udp => Ask::Datagram { port: CONTAINER_PORT },
        };
        match (&daemon.expose, daemon.exposed(protocol, CONTAINER_PORT)) {
            (None, _) | (Some(_), Some(Exposed { from: None, .. })) => vec![(by_all, Verdict::Serves)],
            (Some(_), Some(Exposed { from: Some(from), .. })) => {
                by_source(plan, vantage, target, (protocol, CONTAINER_PORT), from)
            }
            (Some(_), None) => vec![(by_all, Verdict::Silent)],
        }
    };
    // What is published dockerd's own rules know, and no rule of a shared daemon: there the container itself refuses.
    let vacant = |protocol| match daemon.isolation {
        Isolation::Zone => Vec::new(),
        Isolation::Shared => unserved(daemon, protocol, &[Some(CONTAINER_PORT)]),
    };
    let (tcp, udp) = (vacant(Protocol::Tcp), vacant(Protocol::Udp));
    let but = |protocol, all: &[u16], some: &[u16]| {
        let limited = |port| daemon.exposed(protocol, port).is_some_and(|exposed| exposed.from.is_some());
        let rest = |port: &u16| *port != CONTAINER_PORT && !some.contains(port) && !limited(*port);
        all.iter().copied().filter(rest).collect()
    };
    // A router leads there, or neighbours ask for it.
    let proxied = plan.proxied_on(&plan.interfaces[&target.interface]);
    let near = proxied.iter().any(|(range, _)| range.contains(&target.address));
    let near = if near { Verdict::Serves } else { Verdict::Silent };
    let neighbour = matches!(vantage, Vantage::Vlan(_)).then_some((Ask::Neighbour, near));
    let rest = [
        (Ask::Echo, Verdict::Silent),
        (Ask::SomePorts { ports: but(Protocol::Tcp, &ports.tcp, &tcp) }, Verdict::Silent),
        (Ask::OtherDatagrams { ports: but(Protocol::Udp, &ports.udp, &udp) }, Verdict::Silent),
    ];
    let vacant = (!tcp.is_empty()).then_some((Ask::Vacant { ports: tcp }, Verdict::Refuses));
    let udp = udp.into_iter().take(3).collect::<Vec<_>>();
    let vacant_udp = (!udp.is_empty()).then_some((Ask::VacantDatagrams { ports: udp }, Verdict::Refuses));
    let listed = Protocol::ALL.into_iter().flat_map(listens).chain(vacant).chain(vacant_udp);
    neighbour.into_iter().chain(listed).chain(rest).collect()
}

fn host_asks(plan: &HostPlan, target: &Target) -> Vec<(Ask, Verdict)> {
    match &plan.host.admin {
        Some(Admin { interface, .. }) if *interface == target.interface => {
            vec![(Ask::Port { port: 22 }, Verdict::Serves)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// What is asked of a daemon. Credentials matter only where a connection can be made at all.
fn daemon_asks(
    plan: &HostPlan,
    daemon: &Daemon,
    vantage: &Vantage,
    target: &Target,
    near: bool,
) -> Vec<(Ask, Verdict)> {
    let mut asks = Vec::new();
    // Where the API does not answer, its port is one of all others.
    let here = |api: &&Api| api.addresses.contains(&target.address);
    if let Some(Api { port, from, tls, .. }) = daemon.api.as_ref().filter(here) {
        let api = |credential| Ask::Api { port: *port, credential };
        // A list is exhaustive over both IP versions: where nobody on the segment, or beyond it, is in it, nobody may connect.
        let listed = listed_sources(plan, vantage, target, from.as_deref());
        let reached = from.is_none() || !listed.is_empty();
        let asked = !near || !reached || from.is_none() || can_stand(plan, vantage, target, &listed);
        // In plain text whoever reaches it is served, by the spec's own word.
        let own = if *tls { Credential::Own } else { Credential::Plaintext };
        asks.extend(asked.then(|| (api(own), if reached { Verdict::Serves } else { Verdict::Silent })));
        if near && reached && asked {
            if *tls {
                asks.push((api(Credential::Absent), Verdict::Denies));
                asks.push((api(Credential::Plaintext), Verdict::Denies));
                let other = plan.daemons.values().find(|other| other.name != daemon.name && other.tls_api().is_some());
                let other = other.map(|other| Credential::Other(other.name.clone()));
                asks.extend(other.map(|other| (api(other), Verdict::Denies)));
            }
            if let Some(from) = from.as_deref().and_then(|from| unlisted_source(plan, vantage, target, from)) {
                asks.push((Ask::Unlisted { protocol: Protocol::Tcp, port: *port, from }, Verdict::Silent));
            }
        }
    }
    let ProbePorts { open, closed, open_udp, closed_udp, limited } = probe_ports(daemon);
    asks.extend(open.map(|port| (Ask::Published { port }, Verdict::Serves)));
    asks.extend(closed.map(|port| (Ask::Published { port }, Verdict::Silent)));
    for (protocol, port) in limited {
        let Some(from) = listed_by(daemon, protocol, port) else { continue };
        if !near {
            asks.push((Ask::Listed { protocol, port }, Verdict::Silent));
            continue;
        }
        asks.extend(by_source(plan, vantage, target, (protocol, port), from));
        let last = daemon.exposed(protocol, port).map_or(port, |exposed| exposed.ports.last);
        if let Some(from) = unlisted_source(plan, vantage, target, from).filter(|_| last != port) {
            asks.push((Ask::Unlisted { protocol, port: last, from }, Verdict::Silent));
        }
        // Who is listed for one port reaches no other, though Docker maps both to the same port of a container.
        let shut = match protocol {
            Protocol::Tcp => closed,
            Protocol::Udp => closed_udp,
        };
        if let (Some(port), Some(from)) = (shut, listed_source(plan, vantage, target, from)) {
            let ask = (Ask::Unlisted { protocol, port, from }, Verdict::Silent);
            asks.extend((!asks.contains(&ask)).then_some(ask));
        }
    }
    // Rules of a shared daemon know its sockets: where none is, none of its neighbours' is reached either.
    let nobody = match daemon.isolation {
        Isolation::Zone => Verdict::Refuses,
        Isolation::Shared => Verdict::Silent,
    };
    let bound = bound(plan, daemon).filter(|(address, _)| *address == target.address).map(|(_, port)| port);
    asks.extend(bound.map(|port| (Ask::Published { port }, Verdict::Serves)));
    let vacant = unserved(daemon, Protocol::Tcp, &[open, bound]);
    if !vacant.is_empty() {
        asks.push((Ask::Vacant { ports: vacant }, nobody));
    }
    asks.extend(open_udp.map(|port| (Ask::Datagram { port }, Verdict::Serves)));
    asks.extend(closed_udp.map(|port| (Ask::Datagram { port }, Verdict::Silent)));
    // ICMP errors are rationed (`icmp_ratelimit`): some of a long range say enough.
    let vacant: Vec<u16> = unserved(daemon, Protocol::Udp, &[open_udp]).into_iter().take(3).collect();
    if !vacant.is_empty() {
        asks.push((Ask::VacantDatagrams { ports: vacant }, nobody));
    }
    asks
}

/// Ports of `expose` that any source reaches and nobody serves.
fn unserved(daemon: &Daemon, protocol: Protocol, served: &[Option<u16>]) -> Vec<u16> {
    let open = daemon.expose.iter().flatten().filter(|exposed| exposed.from.is_none());
    let ports = open.flat_map(|exposed| exposed.all_of(protocol)).filter(|port| !served.contains(&Some(*port)));
    deduplicated(ports.collect())
}

/// Ports of `expose` that some sources reach.
fn limited(plan: &HostPlan, target: &Target, protocol: Protocol) -> Vec<u16> {
    let Subject::Daemon(name) = &target.subject else { return Vec::new() };
    let limited = plan.daemons[name].expose.iter().flatten().filter(|exposed| exposed.from.is_some());
    limited.flat_map(|exposed| exposed.all_of(protocol)).collect()
}

/// The TCP ports a question is about, if it is about some by name.
pub fn ports_of(ask: &Ask) -> Vec<u16> {
    match ask {
        Ask::Api { port, .. }
        | Ask::Unlisted { protocol: Protocol::Tcp, port, .. }
        | Ask::Listed { protocol: Protocol::Tcp, port }
        | Ask::Published { port }
        | Ask::Port { port } => {
            vec![*port]
        }
        Ask::Vacant { ports } | Ask::SomePorts { ports } => ports.clone(),
        Ask::Neighbour
        | Ask::Echo
        | Ask::OtherPorts { .. }
        | Ask::Unlisted { protocol: Protocol::Udp, .. }
        | Ask::Listed { protocol: Protocol::Udp, .. }
        | Ask::Datagram { .. }
        | Ask::VacantDatagrams { .. }
        | Ask::OtherDatagrams { .. } => Vec::new(),
    }
}

/// The UDP ports a question is about.
pub fn datagrams_of(ask: &Ask) -> Vec<u16> {
    match ask {
        Ask::Datagram { port }
        | Ask::Unlisted { protocol: Protocol::Udp, port, .. }
        | Ask::Listed { protocol: Protocol::Udp, port } => vec![*port],
        Ask::VacantDatagrams { ports } | Ask::OtherDatagrams { ports } => ports.clone(),
        Ask::Neighbour
        | Ask::Echo
        | Ask::Api { .. }
        | Ask::Unlisted { protocol: Protocol::Tcp, .. }
        | Ask::Listed { protocol: Protocol::Tcp, .. }
        | Ask::Published { .. }
        | Ask::Port { .. }
        | Ask::Vacant { .. }
        | Ask::SomePorts { .. }
        | Ask::OtherPorts { .. } => Vec::new(),
    }
}

fn deduplicated(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports.dedup();
    ports
}
