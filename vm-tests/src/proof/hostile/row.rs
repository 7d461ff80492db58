//! What came of hostile frames: a row of the report.

use std::net::IpAddr;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use ipnet::IpNet;

use super::state::State;
use super::{Due, Mark, PATIENCE, Round};
use crate::bed::Testbed;
use crate::fabric::judge::{Flow, Identity};
use crate::fabric::packet::Packet;
use crate::fabric::provoke::Provocation;
use crate::fabric::{Host, Mac, Seen, Segment, packet};
use crate::proof::canaries::Canaries;
use crate::proof::question::{Vantage, targets};
use crate::proof::report::Fact;
use crate::proof::stations::Stations;

/// What came of a row.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) frames: usize,
    /// What is told if there are no offences.
    pub(super) good: String,
    pub(super) offences: Vec<String>,
    pub(super) marks: Vec<Mark>,
}

impl Row {
    pub(super) fn of(
        name: &str,
        rounds: Vec<Round>,
        plan: &HostPlan,
        bed: &Testbed,
        canaries: &Canaries,
    ) -> Result<Self> {
        let mut row = Self { name: name.to_owned(), ..Self::default() };
        let mut rounds = rounds;
        rounds.sort_by(|one, next| one.vantage.cmp(&next.vantage));
        for group in rounds.chunk_by(|one, next| one.vantage == next.vantage && one.due == next.due) {
            row.frames += group.iter().map(|round| round.frames.len()).sum::<usize>();
            row.offences.extend(offence(group, plan, bed, canaries, || Ok(()))?);
        }
        row.good = match row.frames {
            0 => "this host has no place for it".to_owned(),
            frames => format!("{frames} frames, none answered where none is due"),
        };
        row.marks = rounds.into_iter().flat_map(|round| round.marks).collect();
        Ok(row)
    }

    pub(super) fn fact(self, plan: &HostPlan, after: &State) -> Fact {
        let Self { name, frames: _, good, mut offences, marks } = self;
        offences.extend(marks.iter().filter_map(|mark| after.has(plan, mark)));
        let found = if offences.is_empty() { good } else { offences.join("\n") };
        Fact { name: format!("hostile: {name}"), holds: offences.is_empty(), found }
    }
}

/// Sends rounds of one vantage and does what `act` does besides; what is wrong with what came of them.
pub(super) fn offence(
    rounds: &[Round],
    plan: &HostPlan,
    bed: &Testbed,
    canaries: &Canaries,
    act: impl FnOnce() -> Result<()>,
) -> Result<Option<String>> {
    let Some(Round { vantage, due, .. }) = rounds.first() else { return Ok(None) };
    let Some(name) = vantage.interface() else { return Ok(None) };
    let nic = bed.topology.nic(plan, name)?;
    let segment = bed.topology.segment(vantage)?;
    let Some(terms) = canaries.terms(nic.port, bed, PATIENCE) else {
        return Ok(Some(format!("nothing answers through {}, so that its silence says nothing", nic.name)));
    };
    let sources: Vec<Host> = rounds.iter().map(|round| round.source).collect();
    let frames = rounds.iter().flat_map(|round| round.frames.iter().cloned()).collect();
    let provocation = Provocation { segment, sources: sources.clone(), frames, terms };
    let borrowed = |ip: IpAddr| {
        targets(plan).iter().any(|target| target.address == ip)
            || plan.interfaces.values().any(|interface| interface.gateways.contains(&ip))
    };
    // An address that nothing else uses tells all that belongs to a round; a borrowed one does not.
    let identity = |source: &Host| {
        let (ip, exclusive) = (source.ip, !borrowed(source.ip));
        Identity { source: ip, target: ip, flow: Flow::Neighbour, exclusive }
    };
    let identities: Vec<Identity> = sources.iter().map(identity).collect();
    let gateways = gateways(plan, bed)?;
    // Whether its gateway is still there is asked at any time, and answered: what would be sent there then is seen too.
    let anyway = |seen: &Seen| {
        packet::question(&seen.frame).is_some_and(|(asked, by)| {
            let to = seen.frame.get(..6);
            let own = |at: &Gateway| {
                let near = matches!(by.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
                // Of all, or of the gateway itself; of whoever lied, no.
                let whom = to.is_some_and(|to| to[0] & 1 == 1 || at.mac.is_some_and(|mac| to == mac.as_bytes()));
                whom && asked == at.address && seen.segment == Some(at.segment) && (by.ip == at.asker || near)
            };
            gateways.iter().any(own)
        })
    };
    let caused = |seen: &Seen| {
        if anyway(seen) {
            return false;
        }
        let to = seen.frame.get(..6);
        sources.iter().any(|source| to == Some(source.mac.as_bytes()))
            || identities.iter().any(|identity| identity.judge(&seen.frame).is_some())
    };
    let passed_on = |seen: &Seen| match Packet::of(&seen.frame) {
        Packet::Ip(ip) => identities.iter().any(|identity| identity.exclusive && identity.source == ip.source),
        Packet::Arp { .. } | Packet::Other => false,
    };
    let wrong = |seen: &Seen| match due {
        Due::Nothing => caused(seen),
        Due::SameWire => caused(seen) && (seen.port != nic.port || seen.segment != Some(segment) || passed_on(seen)),
    };
    match bed.fabric.provoke(&provocation, act, wrong) {
        Ok(answers) => Ok(answers.first().map(|first| {
            let packet = Packet::of(&first.frame);
            let more = answers.len();
            format!("{vantage}: {more} frames came of it, the first is {}: {}", first.number, said(&packet))
        })),
        Err(error) => {
            bed.alive()?;
            Ok(Some(format!("{vantage}: no verdict: {error}")))
        }
    }
}

/// A gateway, and one that may ask for it.
struct Gateway {
    address: IpAddr,
    mac: Option<Mac>,
    segment: Segment,
    asker: IpAddr,
}

fn gateways(plan: &HostPlan, bed: &Testbed) -> Result<Vec<Gateway>> {
    let stations = Stations::new(plan);
    let mut all = Vec::new();
    for interface in plan.interfaces.values().filter(|interface| !interface.gateways.is_empty()) {
        let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
        let mac = stations.gateway(&interface.name);
        for address in interface.gateways.iter().copied() {
            let askers = interface.addresses.iter().map(IpNet::addr);
            all.extend(askers.map(|asker| Gateway { address, mac, segment, asker }));
        }
    }
    Ok(all)
}

/// A packet in a few words.
fn said(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Arp { request, source, target } => {
            format!("ARP {} from {} for {}", if *request { "question" } else { "answer" }, source.ip, target.ip)
        }
        Packet::Ip(ip) => format!("{} from {} to {}", ip.protocol, ip.source, ip.target),
        Packet::Other => "neither ARP nor IP".to_owned(),
    }
}
