//! Asks every question of the matrix and judges the answers by the frames that were seen.
//!
//! For each vantage and address: one scan of TCP ports; then, when all are scanned, one of UDP ports, sessions with what serves,
//! neighbour and echo: programs in the guest get no turn while its processors take in scans. From afar a probe goes to the NIC's
//! own MAC: that is how a host that routes, or answers for others, would be reached.

mod decide;
mod patience;
mod seen;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;
use ipnet::IpNet;

use self::decide::{apart, by_datagrams, by_scan};
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
use crate::fabric::judge::Identity;
use crate::fabric::scan::{PortState, Scan, ScanReport};
use crate::fabric::{self, Closed, Host, Mac, PortId, Segment, Terms};

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
        let mut tries = if question.expected == Verdict::Silent { 1 } else { TRIES };
        let mut grace = Duration::ZERO;
        loop {
            let ready = self.terms(nic, SESSION).and_then(|terms| Ok((terms, self.place(question)?)));
            let (mut terms, place) = match ready {
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
    /// leak; beyond a gateway an address off-link. In one of `within` where that names some. `Err`: why there is none.
    fn station(&self, vantage: &Vantage, target: &Target, within: &[IpNet]) -> Result<Position, String> {
        self.free(vantage, target, within).ok_or_else(|| format!("{vantage} has no free address to ask {target} from"))
    }

    fn free(&self, vantage: &Vantage, target: &Target, within: &[IpNet]) -> Option<Position> {
        if let Vantage::Beyond(over) = vantage {
            let (source, gateway) = self.stations.beyond(over, target.address.is_ipv4(), within)?;
            return Some(Position { source, via: Some(gateway) });
        }
        let source = match target.place {
            Place::LinkLocal | Place::AllNodes => self.stations.link_local(),
            Place::Planned | Place::Broadcast | Place::Unplanned | Place::Container | Place::Bridge => {
                let subnet = subnet_of(self.plan, target).or_else(|| self.own_subnet(vantage, target.address));
                match subnet {
                    Some(subnet) => self.stations.beside(subnet, within)?,
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

    /// Sources at this vantage that the plan lets in, where it names some; empty: any will do.
    fn listed(&self, vantage: &Vantage, target: &Target) -> Vec<IpNet> {
        let Subject::Daemon(name) = &target.subject else { return Vec::new() };
        // An API is at its daemon's addresses.
        if target.place == Place::Container {
            return Vec::new();
        }
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
            self.scanned(format!("{vantage} -> {target} tcp"), scan.segment, (identity, ports, *closed));
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
            self.scanned(format!("{vantage} -> {target} udp"), scan.segment, (identity, ports, *closed));
        }
        self.counted(report, |report| report.probes)
    }

    /// Ports that were silent to a scan have to be silent until the proof ends.
    fn scanned(
        &self,
        what: String,
        segment: Segment,
        (identity, ports, closed): (&Identity, &BTreeMap<u16, PortState>, Closed),
    ) {
        let answered = ports.iter().filter(|(_, state)| **state != PortState::Silent).map(|(port, _)| *port);
        self.late.close(what, (segment, identity.clone()), answered.collect(), closed);
    }

    /// A scan of the ports that the questions ask for.
    fn prepared(
        &self,
        questions: &[Question],
        ports_of: impl Fn(&Ask) -> Vec<u16>,
        (vantage, target, nic): (&Vantage, &Target, &Nic),
        patience: Duration,
    ) -> Result<Result<Scan, String>> {
        let listed = self.listed(vantage, target);
        let ready = self.terms(nic, patience).and_then(|terms| Ok((terms, self.station(vantage, target, &listed)?)));
        let (terms, Position { source, via }) = match ready {
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

    /// Canaries that close the windows of a probe through a NIC. `Err`: why nothing can be said.
    fn terms(&self, nic: &Nic, patience: Duration) -> Result<Terms, String> {
        let terms = self.canaries.terms(nic.port, self.bed, patience);
        terms.ok_or_else(|| format!("nothing answers through {}, so that its silence says nothing", nic.name))
    }
}

fn cell(question: &Question, Seen { observed, frames, note }: Seen) -> Cell {
    Cell { question: question.clone(), observed, frames, note }
}

/// The address asked, and the Ethernet address that its frames go to.
fn at(target: &Target, nic: &Nic) -> Host {
    let mac = match target.place {
        Place::Broadcast => Mac::BROADCAST,
        // RFC 2464 section 7: the last four bytes of the group's address.
        Place::AllNodes => Mac([0x33, 0x33, 0, 0, 0, 1]),
        Place::Planned | Place::LinkLocal | Place::Unplanned | Place::Container | Place::Bridge => {
            target.mac.unwrap_or(mac(nic.mac))
        }
    };
    Host { mac, ip: target.address }
}
