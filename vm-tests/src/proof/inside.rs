//! What the guest says of itself: units, and the listening sockets of every namespace, held against the plan.
//!
//! Frames cannot see a wildcard bind behind a filter, so sockets are compared as a set.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Admin, Api, Daemon, DaemonName, HostPlan, Isolation, Protocol};

use super::containers;
use super::question::{borrowed, bound, inner_port, probe_ports};
use super::report::Fact;
use crate::guest::Guest;
use crate::vm::Verdict;

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the boot is done and looks at units and sockets.
///
/// # Errors
/// If the machine ended or its agent does not answer; what is merely not as planned is a red fact.
pub fn facts(plan: &HostPlan, guest: &Guest) -> Result<Vec<Fact>> {
    let probed = containers::are_started(guest)?;
    let settled = guest.wait_settled();
    if let Some(verdict) = guest.watch().ended() {
        return Err(verdict.into());
    }
    let found = match Verdict::of(&settled) {
        Verdict::Pass => "every unit is up, none failed".to_owned(),
        verdict => verdict.to_string(),
    };
    let mut facts = vec![Fact { name: "units".to_owned(), holds: settled.is_ok(), found }];
    // dockerd gives its containerd 15 s (moby, libcontainerd/supervisor) and is started anew after that: on a slow machine
    // the boot is done before. What does not come up at all is told by the states.
    let daemons: Vec<String> = plan.daemons.keys().map(DaemonName::service).collect();
    if let Err(error) = guest.wait_for_units(&daemons.iter().map(String::as_str).collect::<Vec<_>>())
        && let Some(verdict) = guest.watch().ended()
    {
        return Err(anyhow::Error::new(verdict).context(error));
    }
    facts.push(units(plan, guest)?);
    facts.push(sockets("the host", &planned_by_host(plan, probed), &guest.must("ss -Htuln", PATIENCE)?));
    for daemon in plan.daemons.values().filter(|daemon| daemon.isolation == Isolation::Zone) {
        let name = &daemon.name;
        let output = guest.run(&format!("{}ss -Htuln", enter(daemon)), PATIENCE)?;
        facts.push(if output.status == Some(0) {
            sockets(&format!("the zone of {name}"), &planned_by(plan, daemon, probed), &output.text())
        } else {
            Fact {
                name: format!("sockets of the zone of {name}"),
                holds: false,
                found: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        });
    }
    Ok(facts)
}

/// What a command is put behind to run in the network namespace that a daemon's links are in: the host's own, or its zone's.
pub(crate) fn enter(daemon: &Daemon) -> String {
    match daemon.isolation {
        Isolation::Zone => format!("/usr/bin/nsenter --net=/run/netns/{} ", daemon.name.netns()),
        Isolation::Shared => String::new(),
    }
}

/// The units of every daemon are active: `none failed` alone would hold if they had never been started.
fn units(plan: &HostPlan, guest: &Guest) -> Result<Fact> {
    let units: Vec<String> = plan
        .daemons
        .values()
        .flat_map(|daemon| [daemon.home_service(), daemon.name.link_service(), daemon.name.service()])
        .chain(["nftables.service".to_owned(), "systemd-networkd.service".to_owned()])
        .collect();
    let output = guest.run(&format!("systemctl is-active {}", units.join(" ")), PATIENCE)?;
    let states = output.text();
    let red: Vec<String> = units
        .iter()
        .zip(states.lines())
        .filter(|(_, state)| *state != "active")
        .map(|(unit, state)| format!("{unit}: {state}"))
        .collect();
    let holds = red.is_empty() && states.lines().count() == units.len();
    let found = if holds { format!("{} units are active", units.len()) } else { red.join("\n") };
    Ok(Fact { name: "units of the daemons".to_owned(), holds, found })
}

fn planned_by_host(plan: &HostPlan, probed: bool) -> BTreeSet<String> {
    let ssh = plan.host.admin.iter().flat_map(|Admin { interface, .. }| {
        let addresses = plan.interfaces[interface].addresses.iter().map(ipnet::IpNet::addr);
        addresses.map(move |address| match address {
            IpAddr::V4(address) => format!("tcp {address}%{interface}:22"),
            IpAddr::V6(address) => format!("tcp [{address}]%{interface}:22"),
        })
    });
    ssh.chain(plan.shared().flat_map(|(_, daemon)| planned_by(plan, daemon, probed))).collect()
}

/// The API's sockets, and docker-proxy's where probe containers run.
fn planned_by(plan: &HostPlan, daemon: &Daemon, probed: bool) -> BTreeSet<String> {
    let mut planned = BTreeSet::new();
    if let Some(Api { port, addresses, .. }) = &daemon.api {
        planned.extend(addresses.iter().map(|address| format!("tcp {}", SocketAddr::new(*address, *port))));
    }
    // dockerd opens it where it runs; all addresses of both IP versions are one socket.
    if let Some(text) = daemon.settings.get("metrics-addr").and_then(serde_json::Value::as_str) {
        planned.insert(match text.parse::<SocketAddr>() {
            Ok(socket) if !socket.ip().is_unspecified() => format!("tcp {socket}"),
            Ok(socket) => format!("tcp *:{}", socket.port()),
            Err(_) => format!("tcp {text}"),
        });
    }
    if probed {
        let ports = probe_ports(daemon);
        let places: Vec<IpAddr> = match daemon.isolation {
            Isolation::Zone => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Isolation::Shared => {
                plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr).collect()
            }
        };
        for protocol in Protocol::ALL {
            let on = |port: u16| places.iter().map(move |place| SocketAddr::new(*place, port));
            let sockets = ports.of(protocol).into_iter().flat_map(on);
            planned.extend(sockets.map(|socket| format!("{} {socket}", protocol.as_str())));
        }
        let bound = bound(plan, daemon).map(|(address, port)| SocketAddr::new(address, port));
        planned.extend(bound.map(|socket| format!("tcp {socket}")));
        planned.extend(borrowed(plan, daemon).iter().map(|(protocol, place)| format!("{} {place}", protocol.as_str())));
        let inner = daemon.networks.iter().filter_map(|network| inner_port(daemon, network));
        planned
            .extend(inner.flat_map(|port| Protocol::ALL.map(|protocol| format!("{} [::1]:{port}", protocol.as_str()))));
    }
    planned
}

/// Compares lines of `ss -Htuln` with what is planned.
fn sockets(whose: &str, planned: &BTreeSet<String>, listing: &str) -> Fact {
    let seen: BTreeSet<String> = listing
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let protocol = words.next()?;
            // State, Recv-Q, Send-Q, then the local address.
            Some(format!("{protocol} {}", words.nth(3)?))
        })
        .collect();
    let more: Vec<_> = seen.difference(planned).map(|socket| format!("not planned: {socket}")).collect();
    let less: Vec<_> = planned.difference(&seen).map(|socket| format!("planned, not there: {socket}")).collect();
    let found = if more.is_empty() && less.is_empty() {
        format!("{} listening, as planned", seen.len())
    } else {
        [more, less].concat().join("\n")
    };
    Fact { name: format!("sockets of {whose}"), holds: seen == *planned, found }
}

#[cfg(test)]
mod tests {
    use super::sockets;

    #[test]
    fn a_socket_too_many_and_one_too_few_are_both_named() {
        let planned = ["tcp 192.0.2.1:2376".to_owned(), "tcp [2001:db8::1]:2376".to_owned()].into();
        let listing = "tcp LISTEN 0 4096 192.0.2.1:2376 0.0.0.0:*\nudp UNCONN 0 0 0.0.0.0:68 0.0.0.0:*\n";
        let fact = sockets("x", &planned, listing);
        assert!(!fact.holds);
        assert_eq!(fact.found, "not planned: udp 0.0.0.0:68\nplanned, not there: tcp [2001:db8::1]:2376");
    }
}
