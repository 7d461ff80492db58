//! The matrix of the vantages inside: containers of each daemon on two kinds of network, and the host itself.
//!
//! A container reaches what its own daemon publishes, on the daemon's addresses and in a zone on the gateways of its networks; its
//! daemon's API is for the network. Nobody inside reaches another daemon or the host; dockerd keeps its own networks apart.

use std::net::IpAddr;

use dmhost_layout::plan::{Admin, DaemonName, Driver, HostPlan, Isolation, Owner, Protocol};

use super::target::free;
use super::{Ask, Inner, Network, Place, Ports, Question, Subject, Target, Vantage, Verdict};
use super::{bound, probe_ports, targets};

/// The questions of one vantage inside. Of a silent address all of [`Ports`] are asked.
pub fn questions_within(plan: &HostPlan, inner: &[Inner], ports: &Ports, vantage: &Vantage) -> Vec<Question> {
    let mut questions = Vec::new();
    for target in targets(plan).into_iter().chain(behind(plan, inner, vantage)) {
        let asks = match vantage {
            Vantage::Container(name, network) => container(plan, inner, (name, network), &target, ports),
            Vantage::Host => host(plan, &target, ports),
            Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) => Vec::new(),
        };
        let question = |(ask, expected)| Question { vantage: vantage.clone(), target: target.clone(), ask, expected };
        questions.extend(asks.into_iter().map(question));
    }
    // What is nobody's is asked for what is used somewhere. Link-local addresses and groups of a link mean another link here.
    let mut twins = Vec::new();
    for target in free(plan).1 {
        if twins.contains(&target.address) {
            continue;
        }
        twins.push(target.address);
        let asks = [
            (Ask::Echo, Verdict::Silent),
            (Ask::SomePorts { ports: ports.used.clone() }, Verdict::Silent),
            (Ask::OtherDatagrams { ports: ports.udp.clone() }, Verdict::Silent),
        ];
        let question = |(ask, expected)| Question { vantage: vantage.clone(), target: target.clone(), ask, expected };
        questions.extend(asks.into_iter().map(question));
    }
    questions
}

/// Addresses behind daemons that mean the same thing at this vantage: zones may have the same pools.
fn behind(plan: &HostPlan, inner: &[Inner], vantage: &Vantage) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for Inner { daemon, network, place, address, mac: _ } in inner {
        let asked = match vantage {
            Vantage::Container(name, on) if name == daemon => network != on || *place == Place::Bridge,
            Vantage::Container(name, _) => !plan.daemons[name].pools.iter().any(|pool| pool.base.contains(address)),
            Vantage::Host | Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) => true,
        };
        let Some(interface) = plan.daemons[daemon].interfaces.first().filter(|_| asked) else { continue };
        if targets.iter().all(|target| target.address != *address) {
            let subject = Subject::Daemon(daemon.clone());
            targets.push(Target { subject, place: *place, interface: interface.clone(), address: *address, mac: None });
        }
    }
    targets
}

fn container(
    plan: &HostPlan,
    inner: &[Inner],
    (name, network): (&DaemonName, &Network),
    target: &Target,
    ports: &Ports,
) -> Vec<(Ask, Verdict)> {
    // Without an address of this IP version there is no way at all.
    let speaks = inner.iter().any(|own| {
        own.daemon == *name
            && own.network == *network
            && own.place == Place::Container
            && own.address.is_ipv4() == target.address.is_ipv4()
    });
    let bridge = || {
        let here = |own: &Inner| own.daemon == *name && own.network == *network && own.address == target.address;
        inner.iter().any(|own| own.place == Place::Bridge && here(own))
    };
    // On a segment the kernel keeps apart what shares an interface; and from an internal network nothing leads beyond its bridge.
    let declared = network.of(&plan.daemons[name]);
    let internal = declared.is_some_and(|of| of.internal);
    let leads = declared.is_none_or(|of| of.driver == Driver::Bridge && (!of.internal || bridge()));
    let own = target.subject == Subject::Daemon(name.clone()) && speaks && leads;
    match target.place {
        Place::Planned | Place::Bridge if own => {
            let probed = probe_ports(&plan.daemons[name]);
            let (mut tcp, udp) = (probed.of(Protocol::Tcp), probed.of(Protocol::Udp));
            let here = bound(plan, &plan.daemons[name]).filter(|(address, _)| *address == target.address);
            tcp.extend(here.map(|(_, port)| port));
            let mut asks = vec![(Ask::Echo, Verdict::Serves)];
            // docker-proxy of a zone listens on every address; of a shared daemon on the daemon's own, and not on a bridge. From an internal
            // network dockerd's rules lead to the container that is published, and there nothing is let through.
            let shared = plan.daemons[name].isolation == Isolation::Shared;
            let hidden = internal || shared && target.place == Place::Bridge;
            let serves = if hidden { Verdict::Silent } else { Verdict::Serves };
            asks.extend(tcp.iter().map(|port| (Ask::Published { port: *port }, serves)));
            // From a socket on the wildcard address docker-proxy answers a datagram from the address of the bridge that it leaves by,
            // whichever was asked (moby, `cmd/docker-proxy/udp_proxy.go`): only there is it an answer.
            let near = control(plan, inner, &Vantage::Container(name.clone(), network.clone())) == Some(target.address);
            asks.extend(udp.iter().filter(|_| shared || near).map(|port| (Ask::Datagram { port: *port }, serves)));
            asks.extend(rest(ports, &tcp, &udp));
            asks
        }
        Place::Planned
        | Place::LinkLocal
        | Place::AllNodes
        | Place::Broadcast
        | Place::Unplanned
        | Place::Container
        | Place::Bridge => silent(ports),
    }
}

fn host(plan: &HostPlan, target: &Target, ports: &Ports) -> Vec<(Ask, Verdict)> {
    let own = target.place == Place::Planned && plan.interfaces[&target.interface].owner == Owner::Host;
    if !own {
        return silent(ports);
    }
    // What else the host says to itself is nobody's affair.
    let ssh = match &plan.host.admin {
        Some(Admin { interface, .. }) if *interface == target.interface => {
            Some((Ask::Port { port: 22 }, Verdict::Serves))
        }
        Some(_) | None => None,
    };
    [(Ask::Echo, Verdict::Serves)].into_iter().chain(ssh).collect()
}

fn silent(ports: &Ports) -> Vec<(Ask, Verdict)> {
    [(Ask::Echo, Verdict::Silent)].into_iter().chain(rest(ports, &[], &[])).collect()
}

fn rest(ports: &Ports, tcp: &[u16], udp: &[u16]) -> [(Ask, Verdict); 2] {
    let but = |all: &[u16], some: &[u16]| all.iter().filter(|port| !some.contains(port)).copied().collect();
    [
        (Ask::SomePorts { ports: but(&ports.tcp, tcp) }, Verdict::Silent),
        (Ask::OtherDatagrams { ports: but(&ports.udp, udp) }, Verdict::Silent),
    ]
}

/// The address that closes a vantage's windows: it answers an echo as long as the vantage lives.
pub fn control(plan: &HostPlan, inner: &[Inner], vantage: &Vantage) -> Option<IpAddr> {
    match vantage {
        Vantage::Container(name, network) => {
            let here = || inner.iter().filter(|own| own.daemon == *name && own.network == *network);
            let bridge = here().find(|own| own.place == Place::Bridge).map(|own| own.address);
            // On a segment nobody of the host answers its containers: that they live is shown by what leaves, where they may go.
            let loopback = || here().find_map(|own| own.parent(plan)).map(|_| std::net::Ipv4Addr::LOCALHOST.into());
            bridge.or_else(loopback)
        }
        Vantage::Host => {
            let own = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
            let own = own.flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr).next();
            Some(own.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()))
        }
        Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) => None,
    }
}
