//! Questions that take more than a SYN: a handshake, an answer of a program, a neighbour.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, Protocol};

use super::seen::{self, Seen};
use super::{Observer, Position, at};
use crate::fabric::datagrams::DatagramReport;
use crate::fabric::judge::{Flow, Identity, echo_ident};
use crate::fabric::scan::{PortState, Scan, ScanReport};
use crate::fabric::{self, Closed, Finding, Host, Outcome, Peer, Segment, Terms};
use crate::proof::question::{Ask, Credential, Question, Subject, Target, Vantage, Verdict, listed_by, listed_sources};
use crate::proof::topology::{Nic, mac};

impl Observer<'_> {
    /// Where a question is asked from: where it names a source there, else by somebody that the plan lets in. `Err`: why nowhere.
    pub(super) fn place(&self, Question { vantage, target, ask, .. }: &Question) -> Result<Position, String> {
        match (ask, vantage) {
            (Ask::Unlisted { from, .. }, Vantage::Beyond(over)) => {
                let through = self.stations.through(over, *from);
                let (source, gateway) = through.ok_or_else(|| format!("{vantage} has no gateway for {from}"))?;
                Ok(Position { source, via: Some(gateway) })
            }
            (Ask::Unlisted { from, .. }, _) => Ok(Position { source: self.stations.at(*from), via: None }),
            (Ask::Listed { protocol, port }, _) => {
                let listed = match &target.subject {
                    Subject::Daemon(name) => listed_by(&self.plan.daemons[name], *protocol, *port),
                    Subject::Host => None,
                };
                self.station(vantage, target, &listed_sources(self.plan, vantage, target, listed))
            }
            _ => self.station(vantage, target, &self.listed(vantage, target)),
        }
    }

    /// Questions that take more than a SYN, or a source of their own.
    pub(super) fn session(&mut self, question: &Question, nic: &Nic, place: Position, terms: &Terms) -> Result<Seen> {
        let Question { vantage, target, ask, .. } = question;
        match ask {
            Ask::Listed { protocol: Protocol::Udp, port } => {
                return self.port(question, nic, place, (Protocol::Udp, *port), terms);
            }
            Ask::Unlisted { protocol, port, .. } => return self.port(question, nic, place, (*protocol, *port), terms),
            _ => {}
        }
        let Host { mac: own, ip } = place.source;
        let segment = self.bed.topology.segment(vantage)?;
        let gateways: Vec<IpAddr> = place.via.into_iter().collect();
        let mut from = self.bed.fabric.vantage_via(segment, own, &[ip], &gateways)?;
        let peer = Peer::from(at(target, nic));
        let scene = |flow| (segment, Identity { source: ip, target: target.address, flow, exclusive: false });
        self.probes += 1;
        let seen = match ask {
            Ask::Neighbour => {
                self.late.listen(ip);
                let finding = from.who_has(target.address, terms);
                self.lasts(question, scene(Flow::Neighbour), &finding);
                finding.map(|finding| {
                    let planned = target.mac.unwrap_or(mac(nic.mac));
                    let right = matches!(finding.outcome, Outcome::Serves(answer) if answer == planned);
                    seen::seen(&finding, right, format!("{:?}", finding.outcome))
                })
            }
            Ask::Echo => {
                self.late.listen(ip);
                let ident = echo_ident();
                let finding = from.ping(peer, ident, terms);
                self.lasts(question, scene(Flow::Echo(ident)), &finding);
                finding.map(|finding| seen::seen(&finding, true, String::new()))
            }
            Ask::Published { port } | Ask::Listed { port, .. } => {
                from.http_get(peer, *port, "/", terms).map(|finding| seen::published(target, &finding))
            }
            Ask::Api { port, credential } => {
                let Subject::Daemon(name) = &target.subject else {
                    anyhow::bail!("{target} is asked for a daemon's API");
                };
                match self.clients.client(name, credential)? {
                    None => from.http_get(peer, *port, "/version", terms).map(|finding| seen::plaintext(&finding)),
                    Some(client) => {
                        let names = certified_names(&self.plan.daemons[name], target, credential);
                        let mut worst = None;
                        for server in names {
                            let finding = from.https_get(peer, *port, &server, client, "/version", terms);
                            let seen = finding.map(|finding| seen::api(&server, &finding));
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
            Ask::Unlisted { .. }
            | Ask::Port { .. }
            | Ask::Vacant { .. }
            | Ask::OtherPorts { .. }
            | Ask::SomePorts { .. }
            | Ask::Datagram { .. }
            | Ask::VacantDatagrams { .. }
            | Ask::OtherDatagrams { .. } => anyhow::bail!("{ask} takes no session"),
        };
        Ok(seen.unwrap_or_else(|error: fabric::Infrastructure| Seen::unproven(error.to_string())))
    }
}

impl Observer<'_> {
    /// What was silent to a question without ports, and ought to be, has to be silent until the proof ends.
    fn lasts<T>(
        &self,
        Question { vantage, target, ask, expected }: &Question,
        scene: (Segment, Identity),
        found: &Result<Finding<T>, fabric::Infrastructure>,
    ) {
        if let (Verdict::Silent, Ok(Finding { outcome: Outcome::Silent, closed: Some(closed), .. })) = (expected, found)
        {
            self.late.close(format!("{vantage} -> {target} {ask}"), scene, BTreeSet::new(), *closed);
        }
    }

    /// One port from a place of its own, by a SYN or a datagram. Where silence is due it has to last.
    fn port(
        &mut self,
        Question { vantage, target, expected, .. }: &Question,
        nic: &Nic,
        Position { source, via }: Position,
        (protocol, port): (Protocol, u16),
        terms: &Terms,
    ) -> Result<Seen> {
        let segment = self.bed.topology.segment(vantage)?;
        let silent = *expected == Verdict::Silent;
        let (to, ports, terms) = (at(target, nic), vec![port], terms.clone());
        let expected = (!silent).then_some(port).into_iter().collect();
        let scan = Scan { segment, source, via, target: to, ports, expected, terms };
        if silent {
            self.late.listen(source.ip);
        }
        let lasts = |identity: &Identity, ports: &BTreeMap<u16, PortState>, closed: Closed| {
            if silent {
                let what = format!("{vantage} -> {target} {}", protocol.as_str());
                self.scanned(what, segment, (identity, ports, closed));
            }
        };
        let seen = match protocol {
            Protocol::Tcp => {
                let report = self.bed.fabric.scan(&scan);
                if let Ok(ScanReport { ports, identity, closed, .. }) = &report {
                    lasts(identity, ports, *closed);
                }
                self.counted(report, |report| report.probes)?.map(|report| {
                    let caused = (&report.asked[..], &report.stray[..]);
                    seen::silent_ports(&report.ports, |_| true, caused, report.closed.frame)
                })
            }
            Protocol::Udp => {
                let report = self.bed.fabric.datagrams(&scan);
                if let Ok(DatagramReport { ports, identity, closed, .. }) = &report {
                    lasts(identity, ports, *closed);
                }
                let report = self.counted(report, |report| report.probes)?;
                report.map(|report| seen::datagram(target, &report, port))
            }
        };
        Ok(seen.unwrap_or_else(Seen::unproven))
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
