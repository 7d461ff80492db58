//! The host's own questions, for names and the time: a datagram to a neighbour on each of its interfaces is answered, and the answer has to
//! come in. After that the same with the addresses of others: those are not to leave, which the egress invariant holds against the plan.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::Result;
use dmhost_layout::plan::{HostPlan, Owner};
use ipnet::IpNet;

use super::{PATIENCE, answers};
use crate::bed::Testbed;
use crate::fabric::Watch;
use crate::proof::containers::PROGRAM;
use crate::proof::question::Vantage;
use crate::proof::report::Fact;
use crate::proof::stations::Stations;

/// Names are asked there.
const PORT: u16 = 53;

/// One fact for all interfaces of the host's own; none where it has none.
///
/// # Errors
/// If the machine or the fabric has ended.
pub(super) fn fact(plan: &HostPlan, bed: &Testbed, stations: &Stations) -> Result<Option<Fact>> {
    let inbox = bed.fabric.inbox(Watch::Nothing)?;
    let (mut standing, mut segments, mut sources, mut due) = (Vec::new(), BTreeSet::new(), Vec::new(), BTreeSet::new());
    let mut others = others(plan);
    for interface in plan.interfaces.values().filter(|interface| interface.owner == Owner::Host) {
        let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
        for net in &interface.addresses {
            let Some(host) = stations.beside(*net, &[]) else { continue };
            standing.push(inbox.station(segment, host.mac, &[host.ip], false)?);
            segments.insert(segment);
            sources.push(ipnet::IpNet::from(net.addr()));
            due.insert((host.ip, PORT));
            // Of nobody: where daemons share the namespace, their addresses lead to their own interfaces.
            others.extend(stations.beside(*net, &[]).map(|nobody| nobody.ip));
        }
    }
    if due.is_empty() {
        return Ok(None);
    }
    let questions: Vec<(IpAddr, u16)> = due.iter().copied().collect();
    let sheet: String = questions.iter().map(|(address, port)| format!("udp {address} {port} {port}\n")).collect();
    let (mut lies, mut asked) = (String::new(), questions.len());
    for source in others {
        lies += &format!("from {source}\n");
        for (address, port) in questions.iter().filter(|(address, _)| address.is_ipv4() == source.is_ipv4()) {
            lies += &format!("udp {address} {port}\n");
            asked += 1;
        }
    }
    let script = format!("{PROGRAM} ask <<'NAMES'\ncontrol 127.0.0.1\n{sheet}{lies}NAMES\n");
    let output = answers::given(&bed.fabric, &segments, &sources, &due, || bed.guest.run(&script, PATIENCE))?;
    let said = output.text();
    let mut offences = answers::offences(&questions, &said);
    // What was not asked to the end says nothing of what leaves.
    if !said.lines().any(|line| line == format!("asked {asked}")) {
        offences.push(format!("not all {asked} were asked: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    let holds = offences.is_empty();
    let found = if holds { format!("{} came in", questions.len()) } else { offences.join("\n") };
    Ok(Some(Fact { name: "answers to the host itself".to_owned(), holds, found }))
}

/// Addresses that are planned, and not on the host's own interfaces.
fn others(plan: &HostPlan) -> Vec<IpAddr> {
    let others = plan.interfaces.values().filter(|interface| interface.owner != Owner::Host);
    others.flat_map(|interface| interface.addresses.iter().map(IpNet::addr)).collect()
}
