//! Asks every question of the matrix and judges the answers by the frames that were seen.
//!
//! For each vantage and address: one scan of TCP ports; then, when all are scanned, one of UDP ports, sessions with what serves,
//! neighbour and echo: programs in the guest get no turn while its processors take in scans. From afar a probe goes to the NIC's
//! own MAC: that is how a host that routes, or answers for others, would be reached.

mod patience;
mod seen;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dmhost_layout::plan::{HostPlan, Protocol};
use dmhost_pki::Pki;
use ipnet::IpNet;

use self::patience::Patience;
use self::seen::Seen;
use super::canaries::Canaries;
use super::clients::Clients;
use super::late::Late;
use super::question::{
    Ask, Place, Question, Subject, Target, Vantage, Verdict, datagrams_of, listed_sources, ports_of, subnet_of,
};
use super::report::Cell;
use super::stations::Stations;
use super::topology::{Nic, mac};
use crate::bed::Outside;
use crate::fabric::datagrams::DatagramReport;
use crate::fabric::scan::{PortState, Scan, ScanReport};
use crate::fabric::{self, Host, Mac, PortId, Terms};

/// The end of all patience for one scan, on the reference machine.
const SCAN: Duration = Duration::from_secs(60);
/// The same for the datagrams to one address.
const DATAGRAMS: Duration = Duration::from_secs(20);
/// The same for one session: a handshake and a program's answer.
const SESSION: Duration = Duration::from_secs(60);

/// How often what ought to answer is asked in a session, at most.
const TRIES: u32 = 4;
/// How long its answer may take at a further try, on the reference machine.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the ports of one scan that ought to answer may take, on the reference machine.
const GRACE: Duration = Duration::from_secs(10);

/// Everything it takes to ask.
#[derive(Debug)]
pub struct Observer<'a> {
    plan: &'a HostPlan,
    bed: &'a Outside,
    clients: Arc<Clients>,
    stations: Stations,
    canaries: Canaries,
    late: Arc<Late>,
    probes: u64,
    patience: Patience,
}

/// A station, and the gateway it stands in for if it is off-link.
#[derive(Debug, Clone, Copy)]
struct Position {
    source: Host,
    via: Option<IpAddr>,
}

impl<'a> Observer<'a> {
    /// Makes ready: clients, and a canary through each NIC.
    ///
    /// # Errors
    /// If the PKI lacks a client, or the fabric has stopped.
    pub fn new(plan: &'a HostPlan, bed: &'a Outside, pki: &Pki) -> Result<Self> {
        let clients = Arc::new(Clients::of(plan, pki)?);
        let stations = Stations::new(plan);
        let canaries = Canaries::find(plan, bed, &stations)?;
        let patience = Patience::new(bed.vm.pace());
        Ok(Self { plan, bed, clients, stations, canaries, late: Arc::default(), probes: 0, patience })
    }

    /// Another one, to ask beside this one. `None` where there are no addresses left for it.
    #[must_use]
    pub fn beside(&self) -> Option<Self> {
        let (clients, stations) = (Arc::clone(&self.clients), self.stations.clone());
        let canaries = self.canaries.apart(&stations)?;
        let late = Arc::clone(&self.late);
        let patience = Patience::new(self.bed.vm.pace());
        Some(Self { plan: self.plan, bed: self.bed, clients, stations, canaries, late, probes: 0, patience })
    }

    /// Probes sent so far, each port counted.
    pub fn probes(&self) -> u64 {
        self.probes
    }

    /// Where answers that come late are told.
    pub fn late(&self) -> &Arc<Late> {
        &self.late
    }

    /// The NIC that the frames of a vantage go through.
    pub fn nic(&self, vantage: &Vantage) -> Option<PortId> {
        self.way(vantage).ok().map(|nic| nic.port)
    }

    /// The stations and the canaries, for probes of another kind.
    pub fn hands(&self) -> (&Stations, &Canaries) {
        (&self.stations, &self.canaries)
    }

    /// Asks the TCP ports of everything that `questions` ask from one vantage of one address. `None`: not decided by a SYN.
    ///
    /// # Errors
    /// If the machine or the fabric has ended; a question without an answer is a cell.
    pub fn knock(&mut self, questions: &[Question]) -> Result<Vec<Option<Cell>>> {
        let Some(Question { vantage, target, .. }) = questions.first() else { return Ok(Vec::new()) };
        let nic = self.way(vantage)?;
        let scan = self.scan(questions, vantage, target, &nic)?;
        self.bed.alive()?;
        Ok(questions.iter().map(|question| Some(cell(question, by_scan(question, scan.as_ref())?))).collect())
    }

    /// Asks the rest: UDP ports, sessions with what serves, echo and neighbours. `knocked` is what [`Observer::knock`] said.
    ///
    /// # Errors
    /// As [`Observer::knock`].
    pub fn converse(&mut self, questions: &[Question], knocked: Vec<Option<Cell>>) -> Result<Vec<Cell>> {
        let Some(Question { vantage, target, .. }) = questions.first() else { return Ok(Vec::new()) };
        let nic = self.way(vantage)?;
        let datagrams = self.datagrams(questions, vantage, target, &nic)?;
        let mut cells = Vec::with_capacity(questions.len());
        for (question, knocked) in questions.iter().zip(knocked) {
            let known = knocked.or_else(|| Some(cell(question, by_datagrams(question, datagrams.as_ref())?)));
            cells.push(match known {
                Some(known) => known,
                None => self.talk(question, &nic)?,
            });
            self.bed.alive()?;
        }
        Ok(cells)
    }

    /// What ought to answer is waited for anew.
    pub fn refresh(&mut self) {
        self.patience = Patience::new(self.bed.vm.pace());
    }

    /// Asks by a session. What ought to answer is asked again, each time from another station and with more patience: its answer
    /// may come from behind a bridge, or after a new neighbour was found, and then later than the canary's. What ought to be
    /// silent is asked once.
    fn talk(&mut self, question: &Question, nic: &Nic) -> Result<Cell> {
        let Question { vantage, target, expected, .. } = question;
        let mut tries = if *expected == Verdict::Silent { 1 } else { TRIES };
        let mut grace = Duration::ZERO;
        loop {
            let (mut terms, place) = match self.prepare(vantage, target, nic, SESSION) {
                Ok(ready) => ready,
                Err(why) => return Ok(cell(question, Seen::unproven(why))),
            };
            terms.grace = grace;
            let begun = Instant::now();
            let found = cell(question, self.session(question, nic, place, &terms)?);
            self.bed.alive()?;
            if !grace.is_zero() {
                self.patience.spend(begun.elapsed());
            }
            tries -= 1;
            grace = self.patience.grant(AGAIN);
            if found.holds() || tries == 0 || grace.is_zero() {
                return Ok(found);
            }
        }
    }

    /// The NIC that a vantage is behind.
    fn way(&self, vantage: &Vantage) -> Result<Nic> {
        let over = vantage.interface().with_context(|| format!("{vantage} is on no wire"))?;
        self.bed.topology.nic(self.plan, over).cloned()
    }

    /// Where a probe comes from: an address that the target would answer on-link, also from afar, the easiest case for a
    /// leak; beyond a gateway an address off-link. `None` where there is no free one.
    fn station(&self, vantage: &Vantage, target: &Target) -> Option<Position> {
        let within = self.listed(vantage, target);
        if let Vantage::Beyond(over) = vantage {
            let (source, gateway) = self.stations.beyond(over, target.address.is_ipv4(), &within)?;
            return Some(Position { source, via: Some(gateway) });
        }
        let source = match target.place {
            Place::LinkLocal | Place::AllNodes => self.stations.link_local(),
            Place::Planned | Place::Broadcast | Place::Unplanned | Place::Container | Place::Bridge => {
                let subnet = subnet_of(self.plan, target).or_else(|| self.own_subnet(vantage, target.address));
                match subnet {
                    Some(subnet) => self.stations.beside(subnet, &within)?,
                    // A host without this IP version: no address is nearer to it than another.
                    None => self.stations.at(self.stations.far(target.address.is_ipv4())?),
                }
            }
        };
        Some(Position { source, via: None })
    }

    /// A subnet of this IP version at a vantage, or any of the plan.
    fn own_subnet(&self, vantage: &Vantage, like: IpAddr) -> Option<IpNet> {
        let own = vantage.interface().into_iter().flat_map(|name| &self.plan.interfaces[name].addresses);
        let all = self.plan.interfaces.values().flat_map(|interface| &interface.addresses);
        own.chain(all).find(|net| net.addr().is_ipv4() == like.is_ipv4()).copied()
    }

    /// Where a probe comes from that a list of sources lets in.
    fn among(&self, vantage: &Vantage, target: &Target, listed: &[IpNet]) -> Option<Position> {
        let within = listed_sources(self.plan, vantage, target, Some(listed));
        if let Vantage::Beyond(over) = vantage {
            let (source, gateway) = self.stations.beyond(over, target.address.is_ipv4(), &within)?;
            return Some(Position { source, via: Some(gateway) });
        }
        let source = self.stations.beside(subnet_of(self.plan, target)?, &within)?;
        Some(Position { source, via: None })
    }

    /// Sources at this vantage that the plan lets in, where it names some; empty: any will do.
    fn listed(&self, vantage: &Vantage, target: &Target) -> Vec<IpNet> {
        let Subject::Daemon(name) = &target.subject else { return Vec::new() };
        let from = self.plan.daemons[name].api.as_ref().and_then(|api| api.from.as_deref());
        listed_sources(self.plan, vantage, target, from)
    }

    /// The TCP ports that are asked of the address, in one scan. `Err`: why nothing can be said.
    fn scan(
        &mut self,
        questions: &[Question],
        vantage: &Vantage,
        target: &Target,
        nic: &Nic,
    ) -> Result<Result<ScanReport, String>> {
        let mut scan = match self.prepared(questions, ports_of, (vantage, target, nic), SCAN)? {
            Ok(scan) => scan,
            Err(why) => return Ok(Err(why)),
        };
        if questions.iter().any(|question| matches!(question.ask, Ask::OtherPorts { .. })) {
            let apart = apart(questions, ports_of);
            scan.ports = (1..=u16::MAX).filter(|port| !apart.contains(port)).collect();
        }
        scan.terms.grace = self.patience.grant(GRACE);
        self.late.listen(scan.source.ip);
        let report = self.bed.fabric.scan(&scan);
        if let Ok(ScanReport { ports, identity, closed, waited, .. }) = &report {
            self.patience.spend(*waited);
            self.late.close(format!("{vantage} -> {target} tcp"), identity, answered(ports), *closed);
        }
        self.counted(report, |report| report.probes)
    }

    /// The UDP ports that are asked of the address.
    fn datagrams(
        &mut self,
        questions: &[Question],
        vantage: &Vantage,
        target: &Target,
        nic: &Nic,
    ) -> Result<Result<DatagramReport, String>> {
        let mut scan = match self.prepared(questions, datagrams_of, (vantage, target, nic), DATAGRAMS)? {
            Ok(scan) => scan,
            Err(why) => return Ok(Err(why)),
        };
        scan.terms.grace = self.patience.grant(GRACE);
        self.late.listen(scan.source.ip);
        let report = self.bed.fabric.datagrams(&scan);
        if let Ok(DatagramReport { ports, identity, closed, waited, .. }) = &report {
            self.patience.spend(*waited);
            self.late.close(format!("{vantage} -> {target} udp"), identity, answered(ports), *closed);
        }
        self.counted(report, |report| report.probes)
    }

    /// A scan of the ports that the questions ask for.
    fn prepared(
        &self,
        questions: &[Question],
        ports_of: impl Fn(&Ask) -> Vec<u16>,
        (vantage, target, nic): (&Vantage, &Target, &Nic),
        patience: Duration,
    ) -> Result<Result<Scan, String>> {
        let (terms, Position { source, via }) = match self.prepare(vantage, target, nic, patience) {
            Ok(ready) => ready,
            Err(why) => return Ok(Err(why)),
        };
        let apart = apart(questions, &ports_of);
        let of = |question: &Question| ports_of(&question.ask).into_iter().filter(|port| !apart.contains(port));
        let ports: BTreeSet<u16> = questions.iter().flat_map(of).collect();
        let answering = questions.iter().filter(|question| question.expected != Verdict::Silent);
        let expected = answering.flat_map(of).collect();
        let (segment, target) = (self.bed.topology.segment(vantage)?, at(target, nic));
        Ok(Ok(Scan { segment, source, via, target, ports: ports.into_iter().collect(), expected, terms }))
    }

    fn counted<T>(
        &mut self,
        report: Result<T, fabric::Infrastructure>,
        probes: impl Fn(&T) -> u64,
    ) -> Result<Result<T, String>> {
        match report {
            Ok(report) => {
                self.probes += probes(&report);
                Ok(Ok(report))
            }
            Err(error) => {
                self.bed.alive()?;
                Ok(Err(format!("the scan did not end: {error}")))
            }
        }
    }

    /// What every probe takes: canaries, and a place to ask from. `Err`: why nothing can be said.
    fn prepare(
        &self,
        vantage: &Vantage,
        target: &Target,
        nic: &Nic,
        patience: Duration,
    ) -> Result<(Terms, Position), String> {
        let terms = self.canaries.terms(nic.port, self.bed, patience);
        let terms =
            terms.ok_or_else(|| format!("nothing answers through {}, so that its silence says nothing", nic.name))?;
        let place = self.station(vantage, target);
        Ok((terms, place.ok_or_else(|| format!("{vantage} has no free address to ask {target} from"))?))
    }
}

/// The ports that are not silent.
fn answered(ports: &BTreeMap<u16, PortState>) -> BTreeSet<u16> {
    ports.iter().filter(|(_, state)| **state != PortState::Silent).map(|(port, _)| *port).collect()
}

/// Ports that are asked from places of their own, by sources that are listed for them and by others: from a place that is chosen for all
/// ports nothing is due, or an answer.
fn apart(questions: &[Question], ports_of: impl Fn(&Ask) -> Vec<u16>) -> BTreeSet<u16> {
    let listed = questions.iter().filter(|question| match question.ask {
        Ask::Listed { .. } => question.expected != Verdict::Silent,
        // Who asks for an API is chosen by its list.
        Ask::Unlisted { port: of, .. } => {
            !questions.iter().any(|other| matches!(other.ask, Ask::Api { port, .. } if port == of))
        }
        _ => false,
    });
    // Where nobody is listed, nobody is answered, wherever the question comes from.
    let silent = questions
        .iter()
        .filter(|question| matches!(question.ask, Ask::Listed { .. }) && question.expected == Verdict::Silent);
    let silent: BTreeSet<u16> = silent.flat_map(|question| ports_of(&question.ask)).collect();
    listed.flat_map(|question| ports_of(&question.ask)).filter(|port| !silent.contains(port)).collect()
}

fn cell(question: &Question, Seen { observed, frames, note }: Seen) -> Cell {
    Cell { question: question.clone(), observed, frames, note }
}

/// What a scan of TCP ports decides. `None`: it takes more than a SYN.
fn by_scan(question: &Question, scan: Result<&ScanReport, &String>) -> Option<Seen> {
    let tcp = |of: &dyn Fn(&ScanReport) -> Seen| Some(scan.map_or_else(Seen::unproven, of));
    let silent = |listed: &dyn Fn(u16) -> bool| {
        tcp(&|scan| seen::silent_ports(&scan.ports, listed, (&scan.asked, &scan.stray), scan.closed.frame))
    };
    match &question.ask {
        Ask::OtherPorts { but } => silent(&|port| !but.contains(&port)),
        Ask::SomePorts { ports } => silent(&|port| ports.contains(&port)),
        Ask::Port { port } => tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port)),
        // Where nobody is listed any station says enough.
        Ask::Listed { protocol: Protocol::Tcp, port } if question.expected == Verdict::Silent => {
            tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port))
        }
        Ask::Vacant { ports } => tcp(&|scan| seen::vacant(&scan.ports, scan.closed.frame, ports)),
        Ask::Api { port, .. } | Ask::Published { port } => {
            let enough = scan.map_or(true, |scan| {
                let silent = scan.ports.get(port) == Some(&PortState::Silent);
                // Where a port ought to be silent, a SYN says enough.
                silent || matches!((question.expected, &question.ask), (Verdict::Silent, Ask::Api { .. }))
            });
            if enough { tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port)) } else { None }
        }
        Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Neighbour
        | Ask::Echo
        | Ask::Datagram { .. }
        | Ask::VacantDatagrams { .. }
        | Ask::OtherDatagrams { .. } => None,
    }
}

/// What datagrams decide. `None`: it is no question of theirs.
fn by_datagrams(question: &Question, report: Result<&DatagramReport, &String>) -> Option<Seen> {
    let udp = |of: &dyn Fn(&DatagramReport) -> Seen| Some(report.map_or_else(Seen::unproven, of));
    match &question.ask {
        Ask::OtherDatagrams { ports } => udp(&|report| {
            let caused = (&report.asked[..], &report.stray[..]);
            seen::silent_ports(&report.ports, |port| ports.contains(&port), caused, report.closed.frame)
        }),
        Ask::Datagram { port } => udp(&|report| seen::datagram(&question.target, report, *port)),
        Ask::Listed { protocol: Protocol::Udp, port } if question.expected == Verdict::Silent => {
            udp(&|report| seen::datagram(&question.target, report, *port))
        }
        Ask::VacantDatagrams { ports } => udp(&|report| seen::vacant(&report.ports, report.closed.frame, ports)),
        Ask::Neighbour
        | Ask::Echo
        | Ask::Api { .. }
        | Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Published { .. }
        | Ask::Port { .. }
        | Ask::Vacant { .. }
        | Ask::OtherPorts { .. }
        | Ask::SomePorts { .. } => None,
    }
}

/// The address asked, and the Ethernet address that its frames go to.
fn at(target: &Target, nic: &Nic) -> Host {
    let mac = match target.place {
        Place::Broadcast => Mac::BROADCAST,
        // RFC 2464 section 7: the last four bytes of the group's address.
        Place::AllNodes => Mac([0x33, 0x33, 0, 0, 0, 1]),
        Place::Planned | Place::LinkLocal | Place::Unplanned | Place::Container | Place::Bridge => mac(nic.mac),
    };
    Host { mac, ip: target.address }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::question::{Ports, questions};

    /// What a scan decides is asked by it, and what only those who are listed are answered is not.
    #[test]
    fn ports_of_some_sources_are_scanned_where_nobody_is_listed() {
        let spec = include_str!("../../../../examples/mixed.toml");
        let (plan, _) = dmhost_layout::plan_from_toml("mixed.toml", spec);
        let plan = plan.expect("the example is a plan");
        let all = questions(&plan, &[], &Ports::of(&plan, false));
        let mut seen = BTreeSet::new();
        for group in all.chunk_by(|one, next| one.vantage == next.vantage && one.target == next.target) {
            for question in group {
                let Ask::Listed { protocol, port } = question.ask else { continue };
                let apart = match protocol {
                    Protocol::Tcp => apart(group, ports_of),
                    Protocol::Udp => apart(group, datagrams_of),
                };
                assert_eq!(apart.contains(&port), question.expected == Verdict::Serves, "{question:?}");
                seen.insert((protocol, question.expected));
            }
        }
        assert_eq!(seen.len(), 4, "both protocols, served and silent: {seen:?}");
    }
}
