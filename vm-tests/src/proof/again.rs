//! A client that comes back: the next connection from the port of one that has just ended, which the server closed first. Its end of that
//! waits for a minute (TIME-WAIT), and a SYN that is newer ends the wait (RFC 9293 section 3.10.7.4): busy clients, and networks behind one
//! address, meet that all the time.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{HostPlan, Interface};
use smoltcp::wire::TcpControl;

use super::canaries::Canaries;
use super::question::{Vantage, probe_ports};
use super::report::Fact;
use super::stations::Stations;
use super::topology::mac;
use crate::bed::Testbed;
use crate::fabric::packet::{self, Packet};
use crate::fabric::provoke::Provocation;
use crate::fabric::{Host, Outcome, Seen};

/// For one client, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a client asks: a SYN that comes while the server's kernel is busy with the end of the last connection is lost, as any may be
/// (RFC 6298 section 5.7).
const TRIES: usize = 3;
/// How much later than the last connection the next one begins, in sequence numbers: more than that has sent.
const LATER: u32 = 1 << 20;

/// One fact for all published ports; none where nobody reaches any.
///
/// # Errors
/// If the machine or the fabric has ended.
pub(super) fn fact(
    plan: &HostPlan,
    bed: &Testbed,
    (stations, canaries): (&Stations, &Canaries),
) -> Result<Option<Fact>> {
    let (mut asked, mut offences) = (0, Vec::new());
    for daemon in plan.daemons.values() {
        let Some(port) = probe_ports(daemon).open else { continue };
        for interface in plan.interfaces_of(daemon) {
            for net in &interface.addresses {
                let Some(client) = stations.beside(*net, &[]) else { continue };
                asked += 1;
                let wrong = offence(plan, bed, canaries, (interface, client, net.addr()), port)?;
                offences.extend(wrong.map(|wrong| format!("{} {port}/tcp of {}: {wrong}", net.addr(), daemon.name)));
            }
        }
    }
    let holds = offences.is_empty();
    let found = if holds { format!("{asked} are served again from the same port") } else { offences.join("\n") };
    Ok((asked > 0).then(|| Fact { name: "clients that come back".to_owned(), holds, found }))
}

/// What is wrong with how one is served.
fn offence(
    plan: &HostPlan,
    bed: &Testbed,
    canaries: &Canaries,
    (interface, client, address): (&Interface, Host, IpAddr),
    port: u16,
) -> Result<Option<String>> {
    let nic = bed.topology.nic(plan, &interface.name)?;
    let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
    let Some(terms) = canaries.terms(nic.port, bed, PATIENCE) else {
        return Ok(Some(format!("nothing answers through {}", nic.name)));
    };
    let server = Host { mac: mac(nic.mac), ip: address };
    let first = bed.fabric.vantage(segment, client.mac, &[client.ip])?.http_get_until_closed(server, port, "/", &terms);
    let opened = match first {
        Ok((finding, opened)) if matches!(finding.outcome, Outcome::Serves(_)) => opened,
        Ok((finding, _)) => return Ok(Some(format!("the first time: {:?}", finding.outcome))),
        Err(error) => {
            bed.alive()?;
            return Ok(Some(format!("the first time: {error:#}")));
        }
    };
    let ports = (opened.port, port);
    let sequence = opened.sequence.wrapping_add(LATER);
    let sent = |control, sequence| packet::tcp(client, server, ports, control, sequence).into_iter().collect();
    let begins = |frames| Provocation { segment, sources: vec![client], frames, terms: terms.clone() };
    let accepted = |seen: &Seen| match Packet::of(&seen.frame) {
        Packet::Ip(ip) if (ip.source, ip.target) == (server.ip, client.ip) => ip.tcp().is_some_and(|tcp| {
            let next = tcp.ack_number().0.cast_unsigned() == sequence.wrapping_add(1);
            tcp.syn() && tcp.ack() && next && (tcp.dst_port(), tcp.src_port()) == ports
        }),
        Packet::Ip(_) | Packet::Arp { .. } | Packet::Other => false,
    };
    let mut found = Ok(Vec::new());
    for _ in 0..TRIES {
        found = bed.fabric.provoke(&begins(sent(TcpControl::Syn, sequence)), || Ok(()), accepted);
        if !matches!(&found, Ok(answers) if answers.is_empty()) {
            break;
        }
    }
    // Nobody waits for it any longer.
    let _ = bed.fabric.provoke(&begins(sent(TcpControl::Rst, sequence.wrapping_add(1))), || Ok(()), |_| false);
    bed.alive()?;
    Ok(match found {
        Ok(answers) if answers.is_empty() => Some("nobody answers the next connection from the same port".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("{error:#}")),
    })
}
