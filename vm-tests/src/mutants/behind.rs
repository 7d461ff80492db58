//! Lines that a proof of a host that is well cannot see: they stand behind another layer, or are there for a misfortune. Each is tried
//! with the other layer opened, or in the misfortune. What shows it has to be green without the mutant, and red with it.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan, Interface, Protocol};
use dmhost_pki::Pki;

use super::make::Mutant;
use crate::bed::Testbed;
use crate::guest::Guest;
use crate::proof::inside::enter;
use crate::proof::question::{Ask, Place, Vantage, Verdict};
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
    /// A script in the guest, which fails if something is not as it ought to be. It has the daemon's `name`, its `nic`, and the `other`
    /// unit beside the mutant's, by what comes after the name.
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

const FORWARDS: &str = "sysctl -qw net.ipv4.ip_forward=1";
const NO_PREROUTING: &str = "nft flush chain inet dmhost prerouting";
const PREROUTING_OF_IPV4: &str = "nft insert rule inet dmhost prerouting meta nfproto ipv4 accept";
const NO_POSTROUTING: &str = "nft flush chain inet dmhost postrouting 2>/dev/null || true";
const FORWARD: &str = "nft flush chain inet dmhost forward
nft chain inet dmhost forward '{ policy accept; }'
iptables -I FORWARD -j ACCEPT 2>/dev/null || true";
/// What comes in on an interface without an address is dropped by it (the kernel's `__fib_validate_source`).
const NO_FILTER_BY_SOURCE: &str = "for key in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$key; done";
/// dockerd's own chains, for both IP versions.
const DOCKERS_FORWARD: &str =
    "for tables in iptables ip6tables; do $tables -I DOCKER-USER -j ACCEPT || $tables -I FORWARD -j ACCEPT; done";
/// IPv6 on NICs that carry VLANs, whose names that file has, and a question that leaves there.
const TRUNKS_ASK: &str = "
for trunk in $(sed -n 's/^-net.ipv6.conf.\\(.*\\).disable_ipv6 = 1$/\\1/p' /etc/sysctl.d/90-dmhost.conf); do
    sysctl -qw net.ipv6.conf.$trunk.disable_ipv6=0
    ip -6 address replace fe80::d057/64 dev $trunk nodad
    ip -6 route replace 2001:db8:ffff::/64 dev $trunk
    bash -c 'echo question >/dev/udp/2001:db8:ffff::1/53' || true
done";
const ARP_OF_ALL: &str = "for key in /proc/sys/net/ipv4/conf/*/arp_ignore; do echo 0 >$key; done";
/// What dockerd maps is served by docker-proxy then.
const NO_MAPPING: &str = "for tables in iptables ip6tables; do $tables -t nat -F DOCKER || true; done";
const NO_EGRESS: &str = "nft delete table netdev dmhost 2>/dev/null || true";

const ZONE_STOPS: &str = include_str!("misfortunes/zone-stops.sh");
const LATE_ZONE: &str = include_str!("misfortunes/late-zone.sh");
const LATE_MOUNT: &str = include_str!("misfortunes/late-mount.sh");
const NIC_GONE: &str = include_str!("misfortunes/nic-gone.sh");
const OTHER_CONTAINERD: &str = include_str!("misfortunes/other-containerd.sh");
const NO_MOUNT: &str = include_str!("misfortunes/no-mount.sh");

const ECHO_TO_ALL: Shows = Shows::Part(Part::Cells(|question| {
    matches!((&question.ask, question.target.place), (Ask::Echo, Place::Broadcast))
}));

const ECHO_TO_CONTAINERS: Shows = Shows::Part(Part::Cells(|question| {
    let near = matches!(question.vantage, Vantage::Vlan(_));
    near && matches!((&question.ask, question.target.place), (Ask::Echo, Place::Container))
}));

const TRUNKS: Shows = Shows::Part(Part::Cells(|question| {
    matches!((&question.vantage, &question.ask), (Vantage::Trunk(_), Ask::Neighbour))
}));

const fn hostile(row: &'static str) -> Shows {
    Shows::Part(Part::Hostile(row))
}

/// A line of a unit, and the misfortune that it is there for.
const fn unit(key: &'static str, script: &'static str) -> Behind {
    Behind { key, open: &[], shows: Shows::Misfortune(script), needs: &[] }
}

/// A switch of what is taken from a router's advertisements, which stands behind nothing: one row tells, and all else would take minutes.
const fn taught(key: &'static str) -> Behind {
    Behind { key, open: &[], shows: Shows::Part(Part::Routes("rogue router advertisement")), needs: &[] }
}

const BEHIND: &[Behind] = &[
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_pinfo"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_rt_info_max_plen"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_mtu"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_min_hop_limit"),
    unit("dmhost-NAME-link.service: without \"BindsTo=dmhost-NAME-zone.service\"", ZONE_STOPS),
    unit("dmhost-NAME.service: without \"BindsTo=dmhost-NAME-zone.service\"", ZONE_STOPS),
    unit("dmhost-NAME.service: without \"Wants=dmhost-NAME-link.service\"", LATE_ZONE),
    unit("dmhost-NAME.service: without \"After=dmhost-NAME-zone.service dmhost-NAME-link.service\"", LATE_ZONE),
    unit("dmhost-NAME-link.service: without \"After=dmhost-NAME-zone.service\"", LATE_ZONE),
    unit("dmhost-NAME-zone.service: without \"Requires=run-dmhost_ns.mount\"", LATE_MOUNT),
    unit("dmhost-NAME-zone.service: without \"After=run-dmhost_ns.mount", LATE_MOUNT),
    unit("dmhost-NAME-link.service: without \"BindsTo=sys-subsystem-net-devices-", NIC_GONE),
    unit("dmhost-NAME-link.service: without \"After=sys-subsystem-net-devices-", NIC_GONE),
    unit("dmhost-NAME.service: without \"AssertPathExists=", OTHER_CONTAINERD),
    unit("dmhost-NAME.service: without \"RequiresMountsFor=", NO_MOUNT),
    unit("dmhost-NAME-zone.service: without \"RequiresMountsFor=", NO_MOUNT),
    Behind {
        key: "net.ipv4.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmp type redirect accept"],
        shows: hostile("ICMP redirect"),
        needs: &[(Needs::Gateway4, "a redirect is believed of a route by a gateway, and there is none")],
    },
    Behind {
        key: "net.ipv6.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-redirect accept"],
        shows: hostile("ICMP redirect"),
        needs: &[(
            Needs::LinkLocalGateway,
            "a redirect is believed from the link-local address of a gateway (RFC 4861 section 8.1), and there is none",
        )],
    },
    Behind {
        key: "net.ipv4.conf.*.send_redirects the other way",
        open: &[PREROUTING_OF_IPV4, FORWARDS],
        shows: hostile("an address elsewhere, through this host"),
        needs: &[
            (Needs::Gateway4, "a redirect names a gateway, and there is none"),
            (
                Needs::NoNat,
                "where sources are translated the kernel drops a redirect about what is not translated yet \
                 (nf_nat_icmp_reply_translation), and sends it before that; what forwarding drops never is",
            ),
        ],
    },
    Behind {
        key: "net.ipv4.conf.*.accept_source_route the other way",
        open: &[FORWARD, PREROUTING_OF_IPV4, NO_POSTROUTING, NO_EGRESS, FORWARDS],
        shows: hostile("source route"),
        needs: &[(Needs::Gateway4, "there is no route to where the packet is to go")],
    },
    Behind {
        key: "/etc/dmhost/NAME/nftables.conf: forward with \"policy accept\"",
        open: &[NO_PREROUTING, NO_EGRESS, DOCKERS_FORWARD],
        shows: ECHO_TO_CONTAINERS,
        needs: &[],
    },
    Behind {
        key: "/etc/dmhost/NAME/nftables.conf: input without \"iifname { …udp dport ",
        open: &[NO_MAPPING],
        shows: Shows::Part(Part::Cells(|question| {
            let near = matches!(question.vantage, Vantage::Vlan(_));
            let datagram = matches!(question.ask, Ask::Datagram { .. } | Ask::Listed { protocol: Protocol::Udp, .. });
            near && datagram && question.expected == Verdict::Serves
        })),
        needs: &[],
    },
    Behind {
        // All that comes untagged on a NIC that carries VLANs.
        key: "prerouting without \"iifname { …\" } drop\"",
        open: &[NO_FILTER_BY_SOURCE],
        shows: Shows::Part(Part::Cells(|question| {
            let trunk = matches!(question.vantage, Vantage::Trunk(_));
            trunk && matches!((&question.ask, question.target.place), (Ask::Echo, Place::Planned))
        })),
        needs: &[],
    },
    Behind {
        key: "/etc/nftables.conf: postrouting without \"oifname { …\" } drop\"",
        open: &[TRUNKS_ASK],
        shows: TRUNKS,
        needs: &[],
    },
    Behind {
        key: "/etc/nftables.conf: input without \"iifname { …\" } drop\"",
        open: &["nft flush chain arp dmhost output", ARP_OF_ALL, NO_FILTER_BY_SOURCE],
        shows: TRUNKS,
        needs: &[],
    },
    Behind {
        key: "/etc/nftables.conf: output without \"oifname { …\" } drop\"",
        open: &["nft flush chain arp dmhost input", ARP_OF_ALL, NO_FILTER_BY_SOURCE],
        shows: TRUNKS,
        needs: &[],
    },
    Behind {
        key: "/etc/nftables.conf: forward with \"policy accept\"",
        open: &[PREROUTING_OF_IPV4, NO_POSTROUTING, FORWARDS],
        shows: hostile("an address elsewhere, through this host"),
        needs: &[(Needs::Elsewhere4, "there is no route to where a packet would go")],
    },
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv4.ip_forward the other way",
        open: &[FORWARD, PREROUTING_OF_IPV4, NO_POSTROUTING],
        shows: hostile("an address elsewhere, through this host"),
        needs: &[(Needs::Elsewhere4, "there is no route to where a packet would go")],
    },
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv6.conf.*.forwarding the other way",
        open: &[FORWARD, NO_PREROUTING, NO_POSTROUTING],
        shows: hostile("an address elsewhere, through this host"),
        needs: &[(Needs::Elsewhere6, "there is no route to where a packet would go")],
    },
    Behind {
        key: "net.ipv4.conf.*.arp_ignore the other way",
        open: &[NO_EGRESS],
        shows: Shows::Part(Part::Cells(|question| question.ask == Ask::Neighbour)),
        needs: &[(Needs::OtherAddresses, "one interface has all addresses of the namespace")],
    },
    Behind {
        key: "net.ipv4.icmp_echo_ignore_broadcasts the other way",
        open: &[NO_PREROUTING],
        shows: ECHO_TO_ALL,
        needs: &[],
    },
    Behind {
        key: "fib daddr . iif type { broadcast, multicast } meta l4proto != ipv6-icmp drop\"",
        open: &["sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0"],
        shows: ECHO_TO_ALL,
        needs: &[],
    },
    Behind {
        key: "net.ipv6.conf.*.accept_ra the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-router-advert accept"],
        shows: Shows::Part(Part::Routes("rogue router advertisement")),
        needs: &[(Needs::WrittenRouter, "each interface of the namespace learns its router")],
    },
    Behind {
        key: "disable_ipv6 the other way",
        open: &[NO_PREROUTING, NO_POSTROUTING],
        shows: Shows::Part(Part::Cells(|question| {
            matches!((&question.vantage, &question.ask), (Vantage::Trunk(_), Ask::Neighbour | Ask::Echo))
        })),
        needs: &[],
    },
];

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
    forwards && plan.shared().next().is_some() || answers
}

/// The daemon whose zone or units a mutant is in.
fn of<'p>(plan: &'p HostPlan, mutant: &Mutant) -> Option<&'p Daemon> {
    let own = |daemon: &&Daemon| {
        let units = [daemon.name.service(), daemon.name.zone_service(), daemon.name.link_service()];
        mutant.files.keys().any(|path| {
            let unit = path.file_name().is_some_and(|name| units.iter().any(|unit| unit == name));
            path.starts_with(daemon.name.etc()) || unit
        })
    };
    plan.daemons.values().find(own)
}

impl Behind {
    /// Opens the other layer.
    fn open(&self, plan: &HostPlan, guest: &Guest, mutant: &Mutant) -> Result<()> {
        let enter = of(plan, mutant).map(enter).unwrap_or_default();
        let script = self.open.join("\n");
        guest.must(&format!("{enter}sh -eu <<'OPEN'\n{script}\nOPEN\n"), PATIENCE).map(drop)
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
        let zone = daemon.name.zone_service();
        let other = if mutant.files.keys().any(|path| path.file_name() == Some(&zone)) { "" } else { "-zone" };
        let (name, nic) = (&daemon.name, nic.unwrap_or_default());
        let script = format!("name={name} nic={nic} other={other} sh -eux <<'MISFORTUNE'\n{script}MISFORTUNE\n");
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
        // One that learns its router.
        all.extend(of_example("ipv6-only").1);
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
