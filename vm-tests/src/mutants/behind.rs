//! Lines that stand behind another layer: alone they change nothing that can be seen. Each is tried with the other layer opened. A part
//! of the proof has to be green with that alone, and red with both.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Daemon, HostPlan, Interface, Owner};

use super::make::Mutant;
use crate::guest::Guest;
use crate::proof::Part;
use crate::proof::inside::enter;
use crate::proof::question::{Ask, Place, Vantage};

/// For rules to be opened, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A line, what stands before it, and what shows it once that is gone.
pub(super) struct Behind {
    /// The end of the mutant's name.
    key: &'static str,
    /// Commands that open the other layer, in the namespace that the line is for.
    open: &'static [&'static str],
    /// What is red then.
    pub(super) part: Part,
    /// What a namespace must have for it to make a difference, and what is to be said where it has not.
    needs: Option<(Needs, &'static str)>,
}

/// What a namespace may have.
#[derive(Debug, Clone, Copy)]
enum Needs {
    /// A gateway of IPv4, or of IPv6.
    Gateway(bool),
    /// A link-local gateway.
    LinkLocalGateway,
    /// Addresses on bridges of its own.
    Bridges,
}

const FORWARDS: &str = "sysctl -qw net.ipv4.ip_forward=1";
const NO_PREROUTING: &str = "nft flush chain inet dmhost prerouting";
const PREROUTING_OF_IPV4: &str = "nft insert rule inet dmhost prerouting meta nfproto ipv4 accept";
const NO_POSTROUTING: &str = "nft flush chain inet dmhost postrouting 2>/dev/null || true";
const FORWARD: [&str; 3] = [
    "nft flush chain inet dmhost forward",
    "nft chain inet dmhost forward '{ policy accept; }'",
    "iptables -I FORWARD -j ACCEPT 2>/dev/null || true",
];
const NO_EGRESS: &str = "nft delete table netdev dmhost 2>/dev/null || true";

const BEHIND: &[Behind] = &[
    Behind {
        key: "net.ipv4.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmp type redirect accept"],
        part: Part::Hostile("ICMP redirect"),
        needs: Some((Needs::Gateway(true), "a redirect is believed of a route by a gateway, and there is none")),
    },
    Behind {
        key: "net.ipv6.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-redirect accept"],
        part: Part::Hostile("ICMP redirect"),
        needs: Some((
            Needs::LinkLocalGateway,
            "a redirect is believed from the link-local address of a gateway (RFC 4861 section 8.1), and there is none",
        )),
    },
    Behind {
        key: "net.ipv4.conf.*.send_redirects the other way",
        open: &[PREROUTING_OF_IPV4, FORWARDS],
        part: Part::Hostile("an address beyond, through this host"),
        needs: Some((Needs::Gateway(true), "a redirect names a gateway, and there is none")),
    },
    Behind {
        key: "net.ipv4.conf.*.accept_source_route the other way",
        open: &[FORWARD[0], FORWARD[1], FORWARD[2], PREROUTING_OF_IPV4, NO_POSTROUTING, NO_EGRESS, FORWARDS],
        part: Part::Hostile("source route"),
        needs: Some((Needs::Gateway(true), "there is no route to where the packet is to go")),
    },
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv4.ip_forward the other way",
        open: &[FORWARD[0], FORWARD[1], FORWARD[2], PREROUTING_OF_IPV4, NO_POSTROUTING],
        part: Part::Hostile("an address beyond, through this host"),
        needs: Some((Needs::Gateway(true), "there is no route to where a packet would go")),
    },
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv6.conf.*.forwarding the other way",
        open: &[FORWARD[0], FORWARD[1], FORWARD[2], NO_PREROUTING, NO_POSTROUTING],
        part: Part::Hostile("an address beyond, through this host"),
        needs: Some((Needs::Gateway(false), "there is no route to where a packet would go")),
    },
    Behind {
        key: "net.ipv4.conf.*.arp_ignore the other way",
        open: &[NO_EGRESS],
        part: Part::Cells(|question| matches!((&question.ask, question.target.place), (Ask::Neighbour, Place::Bridge))),
        needs: Some((Needs::Bridges, "one interface has all addresses of the namespace")),
    },
    Behind {
        key: "net.ipv4.icmp_echo_ignore_broadcasts the other way",
        open: &[NO_PREROUTING],
        part: Part::Cells(|question| matches!((&question.ask, question.target.place), (Ask::Echo, Place::Broadcast))),
        needs: None,
    },
    Behind {
        key: "fib daddr . iif type { broadcast, multicast } meta l4proto != ipv6-icmp drop\"",
        open: &["sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0"],
        part: Part::Cells(|question| matches!((&question.ask, question.target.place), (Ask::Echo, Place::Broadcast))),
        needs: None,
    },
    Behind {
        key: "net.ipv6.conf.*.accept_ra the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-router-advert accept"],
        part: Part::Routes("rogue router advertisement"),
        needs: None,
    },
    Behind {
        key: "disable_ipv6 the other way",
        open: &[NO_PREROUTING, NO_POSTROUTING],
        part: Part::Cells(|question| {
            matches!((&question.vantage, &question.ask), (Vantage::Trunk(_), Ask::Neighbour | Ask::Echo))
        }),
        needs: None,
    },
];

/// What a mutant stands behind, if it is known to. `Err`: in this namespace it makes no difference, for this reason.
pub(super) fn behind(plan: &HostPlan, mutant: &Mutant) -> Option<Result<&'static Behind, &'static str>> {
    // A host with shared daemons forwards; the other way it does not, and that is seen.
    let forwards = mutant.name.contains("forward") && plan.shared().next().is_some();
    let known = BEHIND.iter().find(|known| mutant.name.ends_with(known.key) && !forwards)?;
    let daemon = of(plan, mutant);
    let interfaces: Vec<&Interface> = match daemon {
        Some(daemon) => plan.interfaces_of(daemon).collect(),
        None => plan.interfaces.values().filter(|interface| interface.owner == Owner::Host).collect(),
    };
    let mut gateways = interfaces.iter().flat_map(|interface| &interface.gateways);
    let has = |needs: Needs| match needs {
        Needs::Gateway(v4) => gateways.any(|gateway| gateway.is_ipv4() == v4),
        Needs::LinkLocalGateway => {
            gateways.any(|gateway| matches!(gateway, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local()))
        }
        Needs::Bridges => daemon.is_some() || plan.shared().next().is_some(),
    };
    Some(match known.needs {
        Some((needs, why)) if !{ has }(needs) => Err(why),
        Some(_) | None => Ok(known),
    })
}

/// The daemon whose zone a mutant is in.
fn of<'p>(plan: &'p HostPlan, mutant: &Mutant) -> Option<&'p Daemon> {
    plan.daemons.values().find(|daemon| mutant.files.keys().any(|path| path.starts_with(daemon.name.etc())))
}

impl Behind {
    /// Opens the other layer.
    pub(super) fn open(&self, plan: &HostPlan, guest: &Guest, mutant: &Mutant) -> Result<()> {
        let enter = of(plan, mutant).map(enter).unwrap_or_default();
        let mut script = String::from("set -eu\n");
        for command in self.open {
            let _ = writeln!(script, "{enter}{command}");
        }
        guest.must(&script, PATIENCE).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use dmhost_layout::{plan_from_toml, render};

    use super::*;
    use crate::mutants::mutants;

    #[test]
    fn each_is_of_a_mutant() {
        let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/two-vlans.toml");
        let (plan, _) = plan_from_toml(spec, &fs_err::read_to_string(spec).unwrap());
        let plan = plan.unwrap();
        let all = mutants(&plan, &render(&plan));
        for known in BEHIND {
            assert!(all.iter().any(|mutant| mutant.name.ends_with(known.key)), "{}", known.key);
        }
        let of = |name: &str| behind(&plan, all.iter().find(|mutant| mutant.name.starts_with(name)).unwrap());
        assert!(matches!(of("/etc/dmhost/web/sysctl.conf: net.ipv4.conf.*.accept_redirects"), Some(Ok(_))));
        assert!(matches!(of("/etc/dmhost/lab/sysctl.conf: net.ipv4.conf.*.accept_redirects"), Some(Err(_))));
        assert!(of("/etc/dmhost/lab/nftables.conf").is_none());
    }
}
