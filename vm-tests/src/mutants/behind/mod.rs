//! Lines that a proof of a host that is well cannot see: they stand behind another layer, or are there for a misfortune. Each is tried
//! with the other layer opened, or in the misfortune: [`layers`] has them all. What shows it has to be green without the mutant, and red
//! with it.

mod layers;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan, Interface, Isolation, Owner, Protocol};
use dmhost_pki::Pki;

use self::layers::BEHIND;
use super::make::Mutant;
use crate::bed::Testbed;
use crate::guest::Guest;
use crate::proof::inside::enter;
use crate::proof::{self, Part};

/// For rules to be opened, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a misfortune and what comes of it.
const MISFORTUNE: Duration = Duration::from_secs(240);

/// What shows a mutant.
#[derive(Debug, Clone, Copy)]
enum Shows {
    /// A part of the proof.
    Part(Part),
    /// A script in the guest, which fails if something is not as it ought to be. It has the daemon's `name`, its `nic`, the unit that it
    /// lives in, `home`, and the `other` one beside the mutant's.
    Misfortune(&'static str),
}

/// A line, what stands before it, and what shows it once that is gone.
#[derive(Debug)]
pub(super) struct Behind {
    /// A part of the mutant's name; `NAME` in it is a daemon's name, `…` whatever stands there.
    key: &'static str,
    /// Scripts that open the other layer, in the namespace that the line is for.
    open: &'static [&'static str],
    /// What is red then.
    shows: Shows,
    /// What a namespace must have for it to make a difference, and what is to be said where it has not.
    needs: &'static [(Needs, &'static str)],
}

/// What a namespace may have.
#[derive(Debug, Clone, Copy)]
enum Needs {
    /// A gateway of IPv4.
    Gateway4,
    /// A gateway of IPv4, or IPv4 on more than one interface.
    Elsewhere4,
    /// A gateway of IPv6, or IPv6 on more than one interface.
    Elsewhere6,
    /// A link-local gateway.
    LinkLocalGateway,
    /// An interface that learns no router.
    WrittenRouter,
    /// Addresses on more than one interface, bridges included.
    OtherAddresses,
    /// No translation of sources: neither dockerd's nor that for shared daemons.
    NoNat,
}

/// Whether a mutant's name has a key in it.
fn has(name: &str, key: &str) -> bool {
    let mut rest = Some(name);
    for part in key.split('…') {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

/// What a mutant stands behind, if it is known to. `Err`: in this namespace it makes no difference, for this reason.
pub(super) fn behind(plan: &HostPlan, mutant: &Mutant) -> Option<Result<&'static Behind, &'static str>> {
    let daemon = of(plan, mutant);
    let is_known = |known: &&Behind| match daemon {
        Some(daemon) => has(&mutant.name, &known.key.replace("NAME", daemon.name.as_str())),
        None => has(&mutant.name, known.key),
    };
    let known = BEHIND.iter().find(|known| is_known(known) && !is_seen(plan, daemon, mutant))?;
    let interfaces: Vec<&Interface> = match daemon {
        Some(daemon) => plan.interfaces_of(daemon).collect(),
        None => plan.interfaces.values().filter(|interface| plan.speaks_in_host(interface)).collect(),
    };
    let gateways = || interfaces.iter().flat_map(|interface| &interface.gateways);
    let learnt = || interfaces.iter().any(|interface| interface.accept_ra);
    let gateway = |v4: bool| gateways().any(|gateway| gateway.is_ipv4() == v4) || !v4 && learnt();
    let nets = |interface: &&&Interface, v4: bool| interface.addresses.iter().any(|net| net.addr().is_ipv4() == v4);
    let several = |v4: bool| interfaces.iter().filter(|interface| nets(interface, v4)).count() > 1;
    let met = |needs: Needs| match needs {
        Needs::Gateway4 => gateway(true),
        Needs::Elsewhere4 => gateway(true) || several(true),
        Needs::Elsewhere6 => gateway(false) || several(false),
        Needs::LinkLocalGateway => {
            let local = |gateway: &IpAddr| matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            gateways().any(local) || learnt()
        }
        Needs::WrittenRouter => interfaces.iter().any(|interface| !interface.accept_ra),
        Needs::OtherAddresses => daemon.is_some() || interfaces.len() > 1,
        Needs::NoNat => daemon.is_none() && plan.shared().next().is_none(),
    };
    let missing = known.needs.iter().find(|(needs, _)| !met(*needs));
    Some(missing.map_or(Ok(known), |(_, why)| Err(*why)))
}

/// Whether the proof sees here what it does not see elsewhere.
fn is_seen(plan: &HostPlan, daemon: Option<&Daemon>, mutant: &Mutant) -> bool {
    // A host with shared daemons forwards; the other way it does not.
    let forwards = mutant.name.contains("forward the other way") || mutant.name.contains("forwarding the other way");
    // docker-proxy answers what is sent to all where its port is open by its number.
    let open = |daemon: &Daemon| daemon.expose.iter().flatten().any(|exposed| exposed.ports.protocol == Protocol::Udp);
    let answers = mutant.name.contains("{ broadcast, multicast }") && daemon.is_some_and(open);
    // The host's own programs try what leaves on its own interfaces, and containers what leaves on their daemon's.
    let leaves = plan.interfaces.values().any(|Interface { name, owner, .. }| match owner {
        Owner::Host => mutant.name.contains(&format!("postrouting without \"oifname \"{name}\" ip")),
        Owner::Daemon(_) => mutant.name.contains(&format!("egress_{name} with \"")),
        Owner::Carrier => false,
    });
    // In a zone nothing else is on its way.
    let alone = mutant.name.contains("without \"ether saddr != ")
        && daemon.is_some_and(|daemon| daemon.isolation == Isolation::Zone);
    alone || forwards && plan.shared().next().is_some() || answers || leaves
}

/// The daemon whose zone or units a mutant is in.
fn of<'p>(plan: &'p HostPlan, mutant: &Mutant) -> Option<&'p Daemon> {
    let own = |daemon: &&Daemon| {
        let units = [daemon.name.service(), home(daemon), daemon.name.link_service()];
        mutant.files.keys().any(|path| {
            let unit = path.file_name().is_some_and(|name| units.iter().any(|unit| unit == name));
            path.starts_with(daemon.name.etc()) || unit
        })
    };
    plan.daemons.values().find(own)
}

/// The unit that a daemon lives in.
fn home(daemon: &Daemon) -> String {
    match daemon.isolation {
        Isolation::Zone => daemon.name.zone_service(),
        Isolation::Shared => daemon.name.bridge_service(),
    }
}

impl Behind {
    /// Opens the other layer.
    fn open(&self, plan: &HostPlan, guest: &Guest, mutant: &Mutant) -> Result<()> {
        let daemon = of(plan, mutant);
        let (enter, name) = (daemon.map(enter).unwrap_or_default(), daemon.map_or("", |daemon| daemon.name.as_str()));
        let script = self.open.join("\n");
        guest.must(&format!("{enter}env name={name} sh -eu <<'OPEN'\n{script}\nOPEN\n"), PATIENCE).map(drop)
    }

    /// What is not as it ought to be once the other layer is open.
    pub(super) fn red(&self, plan: &HostPlan, bed: &Testbed, pki: &Pki, mutant: &Mutant) -> Result<Option<String>> {
        let script = match self.shows {
            Shows::Part(part) => {
                return proof::prove_part(plan, bed, pki, part, || self.open(plan, &bed.guest, mutant));
            }
            Shows::Misfortune(script) => script,
        };
        let daemon = of(plan, mutant).context("a unit is a daemon's")?;
        let nic = plan.interfaces_of(daemon).next().map(|interface| plan.nic_of(interface).name.as_str());
        let (name, nic, home, unit) = (&daemon.name, nic.unwrap_or_default(), home(daemon), daemon.name.service());
        let other = if mutant.files.keys().any(|path| path.file_name() == Some(&home)) { &unit } else { &home };
        let script =
            format!("name={name} nic={nic} home={home} other={other} sh -eux <<'MISFORTUNE'\n{script}MISFORTUNE\n");
        let output = bed.guest.run(&script, MISFORTUNE)?;
        let said = String::from_utf8_lossy(&output.stderr);
        Ok((output.status != Some(0)).then(|| said.lines().last().unwrap_or("it took too long").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use dmhost_layout::render;

    use super::*;
    use crate::mutants::mutants;

    #[test]
    fn each_is_of_a_mutant() {
        let of_example = |name: &str| {
            let plan = crate::example(name);
            let all = mutants(&plan, &render(&plan));
            (plan, all)
        };
        let (plan, mut all) = of_example("two-vlans");
        // One that learns its router, and daemons in one namespace.
        all.extend(of_example("ipv6-only").1);
        all.extend(of_example("classic-shared").1);
        for known in BEHIND {
            let one =
                |mutant: &Mutant| ["web", "lab"].iter().any(|name| has(&mutant.name, &known.key.replace("NAME", name)));
            assert!(all.iter().any(one), "{}", known.key);
        }
        let of = |name: &str| behind(&plan, all.iter().find(|mutant| mutant.name.starts_with(name)).unwrap());
        assert!(matches!(of("/etc/dmhost/web/sysctl.conf: net.ipv4.conf.*.accept_redirects"), Some(Ok(_))));
        assert!(matches!(of("/etc/dmhost/lab/sysctl.conf: net.ipv4.conf.*.accept_redirects"), Some(Err(_))));
        assert!(of("/etc/dmhost/lab/nftables.conf").is_none());
        let to_all = |name: &str| {
            let of =
                |mutant: &&Mutant| mutant.name.starts_with(name) && mutant.name.contains("{ broadcast, multicast }");
            behind(&plan, all.iter().find(of).unwrap())
        };
        assert!(matches!(to_all("/etc/dmhost/lab/nftables.conf"), Some(Ok(_))));
        assert!(to_all("/etc/dmhost/web/nftables.conf").is_none(), "late frames tell it");
    }
}
