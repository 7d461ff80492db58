//! Asks every question of the matrix and judges the answers by the frames that were seen.
//!
//! For each vantage and address: neighbour and echo, then one scan of all 65,535 TCP ports, then sessions with what serves.
//! From afar a probe goes to the NIC's own MAC: that is how a host that routes, or answers for others, would be reached.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan};
use dmhost_pki::Pki;
use ipnet::IpNet;

use super::canaries::Canaries;
use super::clients::Clients;
use super::containers::page;
use super::question::{Ask, Credential, Question, Subject, Target, Vantage, Verdict, ports_of};
use super::report::Cell;
use super::stations::Stations;
use super::topology::{Nic, mac, subnet_of};
use crate::bed::Outside;
use crate::fabric::judge::Evidence;
use crate::fabric::scan::{PortState, Scan, ScanReport};
use crate::fabric::{self, Finding, Host, HttpReply, Outcome, Peer, Terms};

/// The end of all patience for one scan, on the reference machine.
const SCAN: Duration = Duration::from_secs(60);
/// The same for one session.
const SESSION: Duration = Duration::from_secs(20);

/// Everything it takes to ask.
#[derive(Debug)]
pub struct Observer<'a> {
    plan: &'a HostPlan,
    bed: &'a Outside,
    clients: Clients,
    stations: Stations,
    canaries: Canaries,
    probes: u64,
}

/// What was seen of one question.
#[derive(Debug)]
struct Seen {
    observed: Verdict,
    frames: Vec<u64>,
    note: String,
}

impl<'a> Observer<'a> {
    /// Makes ready: clients, and a canary through each NIC.
    ///
    /// # Errors
    /// If the PKI lacks a client, or the fabric has stopped.
    pub fn new(plan: &'a HostPlan, bed: &'a Outside, pki: &Pki) -> Result<Self> {
        let clients = Clients::of(plan, pki)?;
        let mut stations = Stations::new(plan);
        let canaries = Canaries::find(plan, bed, &mut stations)?;
        Ok(Self { plan, bed, clients, stations, canaries, probes: 0 })
    }

    /// Probes sent so far, each TCP port counted.
    pub fn probes(&self) -> u64 {
        self.probes
    }

    /// Asks everything that `questions` ask from one vantage of one address.
    ///
    /// # Errors
    /// If the machine or the fabric has ended; a question without an answer is a cell.
    pub fn ask(&mut self, questions: &[Question]) -> Result<Vec<Cell>> {
        let Some(Question { vantage, target, .. }) = questions.first() else { return Ok(Vec::new()) };
        let nic = self.bed.topology.nic(self.plan, vantage.interface())?.clone();
        let subnet = subnet_of(&self.plan.interfaces[&target.interface], target.address)
            .with_context(|| format!("{target} is on no subnet of the plan"))?;
        let scan = self.scan(questions, vantage, target, &nic, subnet)?;
        let mut cells = Vec::with_capacity(questions.len());
        for question in questions {
            let seen = match &scan {
                Ok(scan) => self.answer(question, &nic, subnet, scan)?,
                Err(why) => Seen { observed: Verdict::Unproven, frames: Vec::new(), note: why.clone() },
            };
            self.bed.alive()?;
            let Seen { observed, frames, note } = seen;
            cells.push(Cell { question: question.clone(), observed, frames, note });
        }
        Ok(cells)
    }

    /// All TCP ports of the address. The source is an address that the target would answer on-link, also from afar: the
    /// easiest case for a leak. `Err`: why nothing can be said.
    fn scan(
        &mut self,
        questions: &[Question],
        vantage: &Vantage,
        target: &Target,
        nic: &Nic,
        subnet: IpNet,
    ) -> Result<Result<ScanReport, String>> {
        let Some(terms) = self.canaries.terms(nic.port, self.bed, SCAN) else {
            return Ok(Err(format!("nothing answers through {}, so that its silence says nothing", nic.name)));
        };
        let within = self.sources(target, subnet);
        let Some(source) = self.stations.beside(subnet, &within) else {
            return Ok(Err(format!("{subnet} has no free address to ask from")));
        };
        let expected: BTreeSet<u16> = questions
            .iter()
            .filter(|question| question.expected != Verdict::Silent)
            .flat_map(|question| ports_of(&question.ask))
            .collect();
        let scan = Scan {
            segment: self.bed.topology.segment(vantage)?,
            source,
            via: None,
            target: Host { mac: mac(nic.mac), ip: target.address },
            ports: (1..=u16::MAX).collect(),
            expected,
            terms,
        };
        match self.bed.fabric.scan(&scan) {
            Ok(report) => {
                self.probes += report.probes;
                Ok(Ok(report))
            }
            Err(error) => {
                self.bed.alive()?;
                Ok(Err(format!("the scan did not end: {error}")))
            }
        }
    }

    /// Sources that the plan lets in from the target's own subnet, where it names some; empty: any will do.
    fn sources(&self, target: &Target, subnet: IpNet) -> Vec<IpNet> {
        let Subject::Daemon(name) = &target.subject else { return Vec::new() };
        let from = self.plan.daemons[name].api.as_ref().and_then(|api| api.from.as_deref()).unwrap_or_default();
        from.iter().filter(|net| subnet.contains(*net) || net.contains(&subnet.trunc())).copied().collect()
    }

    fn answer(&mut self, question: &Question, nic: &Nic, subnet: IpNet, scan: &ScanReport) -> Result<Seen> {
        let Question { vantage, target, ask, expected: _ } = question;
        let near = matches!(vantage, Vantage::Vlan(name) if *name == target.interface);
        match ask {
            Ask::OtherPorts { but } => Ok(other_ports(scan, but)),
            Ask::Port { port } => Ok(port_seen(scan, *port)),
            Ask::Vacant { ports } => Ok(vacant(scan, ports)),
            Ask::Api { port, .. } | Ask::Published { port }
                if !near || scan.ports.get(port) == Some(&PortState::Silent) =>
            {
                Ok(port_seen(scan, *port))
            }
            Ask::Api { .. } | Ask::Published { .. } | Ask::Neighbour | Ask::Echo => {
                let Some(terms) = self.canaries.terms(nic.port, self.bed, SESSION) else {
                    return Ok(Seen { observed: Verdict::Unproven, frames: Vec::new(), note: String::new() });
                };
                self.session(question, nic, subnet, &terms)
            }
        }
    }

    /// Questions that take more than a SYN.
    fn session(&mut self, question: &Question, nic: &Nic, subnet: IpNet, terms: &Terms) -> Result<Seen> {
        let Question { vantage, target, ask, .. } = question;
        let within = self.sources(target, subnet);
        let source = self.stations.beside(subnet, &within).with_context(|| format!("{subnet} has no free address"))?;
        let mut from = self.bed.fabric.vantage(self.bed.topology.segment(vantage)?, source.mac, &[source.ip])?;
        let peer = Peer { ip: target.address, mac: Some(mac(nic.mac)) };
        self.probes += 1;
        let seen = match ask {
            Ask::Neighbour => from.who_has(target.address, terms).map(|finding| {
                let right = matches!(finding.outcome, Outcome::Serves(answer) if answer == mac(nic.mac));
                let note = format!("{:?}", finding.outcome);
                seen(&finding, right, note)
            }),
            Ask::Echo => from.ping(peer, terms).map(|finding| seen(&finding, true, String::new())),
            Ask::Published { port } => {
                from.http_get(peer, *port, "/", terms).map(|finding| published(target, &finding))
            }
            Ask::Api { port, credential } => {
                let Subject::Daemon(name) = &target.subject else {
                    anyhow::bail!("{target} is asked for a daemon's API");
                };
                match self.clients.client(name, credential)? {
                    None => from.http_get(peer, *port, "/version", terms).map(|finding| plaintext(&finding)),
                    Some(client) => {
                        let names = certified_names(&self.plan.daemons[name], target, credential);
                        let mut worst = None;
                        for server in names {
                            let finding = from.https_get(peer, *port, &server, client, "/version", terms);
                            let seen = finding.map(|finding| api(&server, &finding));
                            let good = matches!(&seen, Ok(seen) if seen.observed == Verdict::Serves);
                            worst = Some(seen);
                            if !good {
                                break;
                            }
                        }
                        worst.context("an API has at least its address as a name")?
                    }
                }
            }
            Ask::Port { .. } | Ask::Vacant { .. } | Ask::OtherPorts { .. } => anyhow::bail!("{ask} takes no session"),
        };
        Ok(seen.unwrap_or_else(|error: fabric::Infrastructure| Seen {
            observed: Verdict::Unproven,
            frames: Vec::new(),
            note: error.to_string(),
        }))
    }
}

/// The names that a server's certificate must be good for: the address, and with the right client every DNS name too.
fn certified_names(daemon: &Daemon, target: &Target, credential: &Credential) -> Vec<String> {
    let address = std::iter::once(target.address.to_string());
    match (credential, &daemon.api) {
        (Credential::Own, Some(api)) => address.chain(api.names.iter().cloned()).collect(),
        (Credential::Own, None) | (Credential::Absent | Credential::Other(_) | Credential::Plaintext, _) => {
            address.collect()
        }
    }
}

/// A finding as a verdict; `right`: whether what was served is what should be.
fn seen<T>(finding: &Finding<T>, right: bool, note: String) -> Seen {
    let frames: Vec<u64> = finding.frame.into_iter().chain(finding.closed.map(|closed| closed.frame)).collect();
    let strange = |note: String| Seen { observed: Verdict::Strange, frames: frames.clone(), note };
    match &finding.outcome {
        Outcome::Serves(_) if right => Seen { observed: Verdict::Serves, frames, note: String::new() },
        Outcome::Serves(_) => strange(note),
        Outcome::Refused => Seen { observed: Verdict::Refuses, frames, note: String::new() },
        Outcome::Denied(alert) => Seen { observed: Verdict::Denies, frames, note: alert.clone() },
        Outcome::Silent => Seen { observed: Verdict::Silent, frames, note: String::new() },
        Outcome::Other(text) => {
            let causes = finding.asked.iter().chain(&finding.stray).map(|evidence| evidence.frame);
            Seen { frames: causes.chain(frames.iter().copied()).collect(), ..strange(text.clone()) }
        }
    }
}

fn api(server: &str, finding: &Finding<HttpReply>) -> Seen {
    let version = |reply: &HttpReply| {
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        reply.status == 200 && body.get("ApiVersion").is_some()
    };
    let right = matches!(&finding.outcome, Outcome::Serves(reply) if version(reply));
    let mut seen = seen(finding, right, "it answers, but not with a Docker engine's version".to_owned());
    if seen.observed != Verdict::Serves {
        seen.note = format!("asked as {server}: {}", seen.note);
    }
    seen
}

/// Without TLS a TLS server's complaint is a refusal by name; an answer in plain HTTP is the API wide open.
fn plaintext(finding: &Finding<HttpReply>) -> Seen {
    let complaint = matches!(&finding.outcome, Outcome::Other(text) if text == fabric::vantage::WANTS_TLS);
    let mut seen = seen(finding, true, String::new());
    if complaint {
        seen.observed = Verdict::Denies;
    }
    seen
}

fn published(target: &Target, finding: &Finding<HttpReply>) -> Seen {
    let Subject::Daemon(name) = &target.subject else {
        return seen(finding, false, "a published port on an address of the host's own".to_owned());
    };
    let (right, note) = match &finding.outcome {
        Outcome::Serves(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            (reply.status == 200 && body == page(name), format!("status {}, body {body:?}", reply.status))
        }
        Outcome::Refused | Outcome::Denied(_) | Outcome::Silent | Outcome::Other(_) => (false, String::new()),
    };
    seen(finding, right, note)
}

/// One port of a scan.
fn port_seen(scan: &ScanReport, port: u16) -> Seen {
    let (observed, frame) = match scan.ports.get(&port) {
        Some(PortState::Serves(frame)) => (Verdict::Serves, *frame),
        Some(PortState::Refuses(frame)) => (Verdict::Refuses, *frame),
        Some(PortState::Silent) => (Verdict::Silent, scan.closed.frame),
        None => (Verdict::Unproven, scan.closed.frame),
    };
    Seen { observed, frames: vec![frame], note: String::new() }
}

/// Ports that all do the same; where they differ, the first that is not like most says so.
fn vacant(scan: &ScanReport, ports: &[u16]) -> Seen {
    let all: Vec<Seen> = ports.iter().map(|port| port_seen(scan, *port)).collect();
    let same = all.windows(2).all(|pair| matches!(pair, [one, next] if one.observed == next.observed));
    let frames = all.iter().flat_map(|seen| seen.frames.iter().copied()).collect();
    let observed = if same { all.first().map_or(Verdict::Unproven, |seen| seen.observed) } else { Verdict::Strange };
    let each = ports.iter().zip(&all).take(10).map(|(port, seen)| format!("{port} {}", seen.observed));
    let note = if same { String::new() } else { each.collect::<Vec<_>>().join(", ") };
    Seen { observed, frames, note }
}

/// Every port but some, and whatever else the scan caused.
fn other_ports(scan: &ScanReport, but: &[u16]) -> Seen {
    let mut worst = (Verdict::Silent, Vec::new(), Vec::new());
    for (port, state) in scan.ports.iter().filter(|(port, _)| !but.contains(port)) {
        let (verdict, frame) = match state {
            PortState::Serves(frame) => (Verdict::Serves, *frame),
            PortState::Refuses(frame) => (Verdict::Refuses, *frame),
            PortState::Silent => continue,
        };
        if verdict > worst.0 {
            worst = (verdict, Vec::new(), Vec::new());
        }
        if verdict == worst.0 {
            worst.1.push(frame);
            worst.2.push(port.to_string());
        }
    }
    let (mut observed, mut frames, ports) = worst;
    let mut note = String::new();
    if !ports.is_empty() {
        let more = if ports.len() > 10 { format!(" and {} more", ports.len() - 10) } else { String::new() };
        note = format!("ports {}{more}", ports[..ports.len().min(10)].join(", "));
    }
    // Whoever answers a port asks for the source first; where nothing answers, the question itself is a frame too many.
    let answered = scan.ports.values().any(|state| *state != PortState::Silent);
    let asked = scan.asked.iter().filter(|_| !answered);
    let caused: Vec<&Evidence> = asked.chain(&scan.stray).collect();
    if let Some(first) = caused.first() {
        observed = observed.max(Verdict::Strange);
        frames.extend(caused.iter().map(|evidence| evidence.frame));
        note = format!(
            "{note}{}{} frames besides, the first: {:?}",
            if note.is_empty() { "" } else { "; " },
            caused.len(),
            first.cause
        );
    }
    if frames.is_empty() {
        frames.push(scan.closed.frame);
    }
    Seen { observed, frames, note }
}
