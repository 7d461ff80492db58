//! The egress invariant: every frame that leaves the host has a planned VID and no other tag, its NIC's MAC and a source
//! address of the interface's owner, and tells of no other address. Watched from the first probe to the last, on every port.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dmhost_layout::plan::{Driver, HostPlan, Owner};
use ipnet::IpNet;
use smoltcp::wire::IpProtocol;

use super::late::Late;
use super::report::Fact;
use super::topology::{Topology, Wire, link_local, mac};
use crate::fabric::packet::{self, Packet};
use crate::fabric::{Event, Fabric, Inbox, Mac, Seen, Segment, Watch, tag};
use crate::raised::Raised;

/// What the MAC addresses begin with that Docker gives to containers.
const ENGINES_MAC: [u8; 2] = [0x02, 0x42];
/// How many offences are told.
const MOST: usize = 8;
/// How often the end of the watch is looked for while no frame comes.
const LOOK: Duration = Duration::from_millis(100);

/// What one segment may carry.
#[derive(Debug)]
struct Allowed {
    interface: String,
    carrier: bool,
    mac: Mac,
    addresses: Vec<IpAddr>,
    /// Whether routers are asked for.
    learns: bool,
    /// Ranges whose containers speak for themselves.
    routed: Vec<IpNet>,
    /// Of those what neighbours ask for.
    proxied: Vec<IpNet>,
    /// Containers on the segment itself: their ranges, and whether they have MAC addresses of their own.
    containers: Option<(Vec<IpNet>, bool)>,
}

/// Runs `work` while every frame of the guest is held against the plan, and told to `late`; gives what was found beside the work's
/// own result.
///
/// # Errors
/// Those of `work`, or if the fabric has stopped.
pub fn watched<T>(
    plan: &HostPlan,
    fabric: &Fabric,
    topology: &Topology,
    late: &Late,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, [Fact; 2])> {
    let allowed: BTreeMap<Segment, Allowed> =
        topology.wires(plan).into_iter().map(|(segment, wire)| (segment, Allowed::on(plan, &wire))).collect();
    let inbox = fabric.inbox(Watch::FromGuest)?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (allowed, done) = (&allowed, &done);
        let watch = scope.spawn(move || hold(&inbox, allowed, late, done));
        let raised = Raised(done);
        let result = work();
        drop(raised);
        let fact = watch.join().map_err(|_| anyhow!("the watch of the egress invariant panicked"))??;
        Ok((result?, [fact, late.fact()]))
    })
}

fn hold(inbox: &Inbox, allowed: &BTreeMap<Segment, Allowed>, late: &Late, done: &AtomicBool) -> Result<Fact> {
    let (mut frames, mut offences, mut told) = (0_u64, 0_u64, Vec::new());
    loop {
        // Read before the wait: what came until then is in the inbox.
        let last = done.load(Ordering::Acquire);
        let events = inbox.wait(Instant::now() + LOOK)?;
        if events.is_empty() && last {
            break;
        }
        for event in events {
            let Event::Seen(seen) = event else { continue };
            frames += 1;
            late.hear(&seen);
            if let Some(offence) = offence(&seen, allowed) {
                offences += 1;
                if told.len() < MOST {
                    told.push(format!("frame {}: {offence}", seen.number));
                }
            }
        }
    }
    let found = if offences == 0 {
        format!("{frames} frames left the host, each with a planned VID, MAC and source")
    } else {
        format!("{offences} of {frames} frames that left the host:\n{}", told.join("\n"))
    };
    Ok(Fact { name: "egress invariant".to_owned(), holds: offences == 0, found })
}

impl Allowed {
    fn on(plan: &HostPlan, wire: &Wire<'_>) -> Self {
        Self {
            interface: wire.interface.name.to_string(),
            carrier: wire.interface.owner == Owner::Carrier,
            mac: mac(wire.nic.mac),
            addresses: wire.interface.addresses.iter().map(IpNet::addr).collect(),
            learns: wire.interface.accept_ra,
            routed: plan.routed_on(wire.interface).to_vec(),
            proxied: plan.proxied_on(wire.interface).into_iter().map(|(range, _)| range).collect(),
            containers: plan
                .network_on(wire.interface)
                .map(|network| (network.on_segment(), matches!(network.driver, Driver::Macvlan { .. }))),
        }
    }
}

/// Whether a frame has a tag that its port did not put there: a priority tag, or one behind the planned one.
fn nested(frame: &[u8]) -> bool {
    tag::outer(frame).is_none_or(|(tag, rest)| {
        let priority = tag.is_some_and(|tag| tag.vid.is_none());
        priority || matches!(frame.get(rest..rest + 2), Some([0x81, 0x00] | [0x88, 0xa8]))
    })
}

/// Whether an address is the link-local one of a container on an ipvlan: the number of its link is where others have `ff:fe`
/// (Linux, `addrconf_ifid_eui48`).
fn of_ipvlan(mac: [u8; 6], address: IpAddr) -> bool {
    let IpAddr::V6(address) = address else { return false };
    let octets = address.octets();
    address.is_unicast_link_local() && octets[8..11] == mac[..3] && octets[13..] == mac[3..]
}

/// What is wrong with a frame that left the host.
fn offence(seen: &Seen, allowed: &BTreeMap<Segment, Allowed>) -> Option<String> {
    let Some(wire) = seen.segment.and_then(|segment| allowed.get(&segment)) else {
        return Some("a VID that nobody planned".to_owned());
    };
    let Allowed { interface, carrier, mac, addresses, learns, routed, proxied, containers } = wire;
    if *carrier {
        return Some(format!("an untagged frame on {interface}, which carries tagged ones only"));
    }
    // Of containers with MAC addresses of their own it tells which of the addresses are theirs, and which are not.
    let theirs = |ranges: &Vec<IpNet>, ip: &IpAddr| ranges.iter().any(|range| range.contains(ip));
    let containers = containers.as_ref();
    let of_container = containers.is_some_and(|(_, own)| *own && seen.frame.get(6..8) == Some(&ENGINES_MAC));
    if !of_container && seen.frame.get(6..12) != Some(mac.as_bytes()) {
        return Some(format!("a source MAC on {interface} that is not its NIC's"));
    }
    if nested(&seen.frame) {
        return Some(format!("a tag on {interface} besides the planned one"));
    }
    let beside = |ip: &IpAddr| containers.is_some_and(|(ranges, own)| *own == of_container && theirs(ranges, ip));
    let own = |ip: &IpAddr| {
        beside(ip)
            || !of_container
                && (theirs(proxied, ip) || addresses.contains(ip) || *ip == IpAddr::from(link_local(mac.0)))
    };
    if let Some((who, _)) = packet::answer(&seen.frame).filter(|(who, _)| !own(&who.ip)) {
        return Some(format!("told on {interface} that {} were here", who.ip));
    }
    let source = match Packet::of(&seen.frame) {
        Packet::Arp { source, .. } => source.ip,
        Packet::Ip(ip) => {
            // Router solicitations, router advertisements, redirects (RFC 4861).
            if ip.protocol == IpProtocol::Icmpv6
                && matches!(ip.icmp(), Some((kind @ (133 | 134 | 137), ..)) if !(kind == 133 && *learns))
            {
                return Some(format!("a word to routers or of one on {interface}"));
            }
            // Neighbour discovery and multicast listener reports speak from link-local, and from nowhere before an address
            // is settled (RFC 4862 section 5.4.2, RFC 3810 section 5.2.13).
            let speaker = seen.frame.get(6..12).and_then(|mac| <[u8; 6]>::try_from(mac).ok()).unwrap_or_default();
            let local = ip.source == IpAddr::from(link_local(speaker))
                || ip.source == IpAddr::from(Ipv6Addr::UNSPECIFIED)
                || containers.is_some_and(|(_, own)| !own) && of_ipvlan(speaker, ip.source);
            if local && ip.protocol == IpProtocol::Icmpv6 {
                return None;
            }
            ip.source
        }
        Packet::Other => return Some(format!("neither ARP nor IP on {interface}")),
    };
    let planned = beside(&source)
        || !of_container && (addresses.contains(&source) || routed.iter().any(|range| range.contains(&source)));
    (!planned).then(|| format!("the source address {source} on {interface}"))
}
