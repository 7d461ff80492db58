//! Addresses, routes and neighbours of every namespace, as `ip` tells them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, DaemonName, HostPlan, Interface, Isolation, Network, Owner};
use serde_json::Value;

use super::Mark;
use crate::guest::Guest;
use crate::proof::containers::container;
use crate::proof::inside::enter;
use crate::proof::question;
use crate::proof::report::Fact;

const PATIENCE: Duration = Duration::from_secs(30);

/// One reading of all namespaces, by name; the host's own is `host`.
#[derive(Debug)]
pub(super) struct State(BTreeMap<String, Tables>);

#[derive(Debug)]
struct Tables {
    addresses: Vec<String>,
    routes: Vec<String>,
    neighbours: Vec<String>,
    /// What else a router may tell of, of interfaces that learn theirs.
    limits: Vec<String>,
}

/// What a command is put behind to run in the network namespace of the probe container on a network.
fn into_container(daemon: &DaemonName, network: &Network) -> String {
    let container = container(&question::Network::Declared(network.name.clone()));
    let docker = format!("docker -H unix://{}", daemon.socket());
    format!("nsenter --net=/proc/$({docker} inspect -f '{{{{.State.Pid}}}}' {container})/ns/net ")
}

impl State {
    pub(super) fn read(plan: &HostPlan, guest: &Guest) -> Result<Self> {
        let zones = plan.daemons.values().filter(|daemon| daemon.isolation == Isolation::Zone);
        let zones = zones.map(|daemon| {
            let learning = learning(plan.interfaces_of(daemon));
            (daemon.name.to_string(), enter(daemon), learning)
        });
        // Containers on a segment hear what is said there.
        let on_segment = |daemon: &'_ Daemon| {
            let networks = daemon.networks.iter().filter(|network| network.driver.parent().is_some());
            let name = daemon.name.clone();
            let enter = move |network: &Network| {
                (format!("{name}/{}", network.name), into_container(&name, network), String::new())
            };
            networks.map(enter).collect::<Vec<_>>()
        };
        let containers = plan.daemons.values().flat_map(on_segment);
        let own = plan.interfaces.values().filter(|interface| interface.owner == Owner::Host);
        std::thread::scope(|scope| {
            let reading: Vec<_> = [("host".to_owned(), String::new(), learning(own))]
                .into_iter()
                .chain(zones)
                .chain(containers)
                .map(|(name, enter, learning)| {
                    scope.spawn(move || anyhow::Ok((Tables::of(&name, &enter, &learning, guest)?, name)))
                })
                .collect();
            let mut all = BTreeMap::new();
            for thread in reading {
                let (tables, name) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                all.insert(name, tables);
            }
            Ok(Self(all))
        })
    }

    /// Where a mark is that ought not to be anywhere, or not there.
    pub(super) fn has(&self, plan: &HostPlan, mark: &Mark) -> Option<String> {
        let own =
            mark.but_at.as_ref().and_then(|name| plan.interfaces.get(name)).map(|interface| match &interface.owner {
                Owner::Daemon(name) if !plan.speaks_in_host(interface) => name.to_string(),
                Owner::Daemon(_) | Owner::Host | Owner::Carrier => "host".to_owned(),
            });
        self.0.iter().filter(|(name, _)| own.as_ref() != Some(*name)).find_map(|(name, tables)| {
            let Tables { addresses, routes, neighbours, limits: _ } = tables;
            // A container on a segment believes its neighbours about themselves, as any host there does.
            let neighbours = neighbours.iter().filter(|_| !name.contains('/'));
            let line = addresses.iter().chain(routes).chain(neighbours).find(|line| line.contains(&mark.text))?;
            Some(format!("{name} believes it: {line}"))
        })
    }

    /// Addresses and routes are the same after.
    pub(super) fn unchanged(&self, after: &Self) -> Fact {
        let mut changes = Vec::new();
        for (name, before) in &self.0 {
            let Some(now) = after.0.get(name) else { continue };
            for (what, before, now) in [
                ("address", &before.addresses, &now.addresses),
                ("route", &before.routes, &now.routes),
                ("limit", &before.limits, &now.limits),
            ] {
                let mut change = |sign, one: &[String], other: &[String]| {
                    let new = one.iter().filter(|line| !other.contains(line));
                    changes.extend(new.map(|line| format!("{name}: {sign} {what} {line}")));
                };
                change('-', before, now);
                change('+', now, before);
            }
        }
        let lines: usize = self.0.values().map(|tables| tables.addresses.len() + tables.routes.len()).sum();
        let holds = changes.is_empty();
        let found = if holds {
            format!("{lines} addresses and routes in {} namespaces are as before", self.0.len())
        } else {
            changes.join("\n")
        };
        Fact { name: "hostile: addresses and routes".to_owned(), holds, found }
    }
}

impl Tables {
    /// Those of the namespace that `enter` goes into.
    fn of(name: &str, enter: &str, learning: &str, guest: &Guest) -> Result<Self> {
        // Two processes for each namespace: under emulation each costs. Exceptions of IPv6 are asked for by its name.
        let script = format!(
            "printf '%s\\n' 'addr show' 'route show table all' 'route show cache' 'neigh show' | {enter}ip -j -batch -
             echo 'route show cache' | {enter}ip -6 -j -batch -"
        );
        // By `cat`: the kernel gives a key in one piece or not at all, and a shell's `read` takes a byte at a time.
        let limits = if learning.is_empty() {
            String::new()
        } else {
            format!(
                "\n{enter}sh -c 'for key in {learning}; do echo \"[\\\"$key $(cat /proc/sys/net/ipv6/conf/$key)\\\"]\"; done'"
            )
        };
        let script = script + &limits;
        let told = guest.must(&script, PATIENCE)?;
        Self::read(&told).with_context(|| format!("`ip` in {name}: {told}"))
    }

    fn read(told: &str) -> Result<Self> {
        let lists: Vec<Value> =
            serde_json::Deserializer::from_str(told).into_iter::<Value>().collect::<Result<_, _>>()?;
        let (mut addresses, mut routes, mut neighbours) = (Vec::new(), Vec::new(), Vec::new());
        let mut limits = Vec::new();
        for entry in lists.iter().filter_map(Value::as_array).flatten() {
            if let Some(limit) = entry.as_str() {
                limits.push(limit.to_owned());
            } else if let Some(list) = entry["addr_info"].as_array() {
                // Containers' own ends come and go.
                let name = entry["ifname"].as_str().unwrap_or_default();
                if !name.starts_with("veth") {
                    addresses.extend(list.iter().map(|one| format!("{name} {}/{}", one["local"], one["prefixlen"])));
                }
            } else if entry.get("lladdr").is_some() && entry.get("state").is_some() {
                neighbours.push(entry.to_string());
            } else if entry.get("type").is_some() || entry.get("dst").is_some() && entry.get("state").is_none() {
                let device = entry["dev"].as_str().unwrap_or_default();
                if !device.starts_with("veth") {
                    routes.push(route(entry));
                }
            }
        }
        Ok(Self { addresses, routes, neighbours, limits })
    }
}

/// Keys below `net.ipv6.conf` that a router may set, of interfaces that learn theirs.
fn learning<'a>(interfaces: impl Iterator<Item = &'a Interface>) -> String {
    let keys = |Interface { name, .. }: &Interface| format!("{name}/hop_limit {name}/mtu");
    interfaces.filter(|interface| interface.accept_ra).map(keys).collect::<Vec<_>>().join(" ")
}

/// A route without what counts down.
fn route(entry: &Value) -> String {
    let keys = ["type", "dst", "gateway", "via", "dev", "table", "prefsrc", "src", "metric", "flags"];
    let words = keys.iter().filter_map(|key| entry.get(key).map(|value| format!("{key} {value}")));
    words.collect::<Vec<_>>().join(" ")
}
