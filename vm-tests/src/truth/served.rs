//! When a host is up, as its users see it: every API answers over TLS from its own network, sshd's port from the
//! administrator's.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::{HostPlan, InterfaceName};
use dmhost_pki::Pki;
use ipnet::IpNet;

use crate::bed::Outside;
use crate::fabric::scan::Scan;
use crate::fabric::{Canary, CanaryKind, Host, Outcome, Peer, Segment, Terms, Vantage};
use crate::proof::clients::Clients;
use crate::proof::question::{Ask, Credential, Ports, Question, Subject, Verdict, questions, subnet_of};
use crate::proof::stations::Stations;
use crate::proof::topology::mac;

/// Until a question is asked again.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is looked whether the machine has ended, while nobody answers.
const LOOK: Duration = Duration::from_secs(5);

/// For one request, on the reference machine; the next follows at once.
const REQUEST: Duration = Duration::from_secs(20);

/// One service of a host and when it answered, counted from the start of QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Where it was asked from.
    pub from: InterfaceName,
    /// Who answered.
    pub address: IpAddr,
    /// On which TCP port.
    pub port: u16,
    /// After how long.
    pub after: Duration,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, address, port, after } = self;
        write!(f, "{address} port {port} from {from}: {:.1} s", after.as_secs_f64())
    }
}

/// Waits until everything that the plan promises to its own networks is served: the APIs with the right client, and sshd's
/// port. `deadline` is for all of it, on the reference machine.
///
/// # Errors
/// If something is not served in time, or not as planned; the machine's own verdict if that has ended.
pub fn served(plan: &HostPlan, outside: &Outside, pki: &Pki, deadline: Duration) -> Result<Vec<Served>> {
    let clients = Clients::of(plan, pki)?;
    let mut stations = Stations::new(plan);
    let deadline = outside.deadline(deadline);
    let mut callers = Vec::new();
    for question in questions(plan, &[], &Ports::of(plan, false)) {
        if let (
            Ask::Port { port } | Ask::Api { port, credential: Credential::Own | Credential::Plaintext },
            Verdict::Serves,
        ) = (&question.ask, question.expected)
        {
            let port = *port;
            callers.push(Caller::new(plan, outside, &mut stations, question, port)?);
        }
    }
    ensure!(!callers.is_empty(), "the plan promises no API and no sshd: nothing can be seen of this host");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            callers.iter().map(|caller| scope.spawn(|| caller.ask(outside, &clients, deadline))).collect();
        let joined =
            asking.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect()
    });
    let mut all = Vec::new();
    for (Caller { question, port, .. }, answer) in callers.iter().zip(answers) {
        let Question { vantage, target, .. } = question;
        if answer.is_err() {
            outside.alive()?;
        }
        let after = answer.with_context(|| format!("{target} is not served on port {port} from {vantage}"))?;
        let from = vantage.interface().context("it is on no wire")?.clone();
        all.push(Served { from, address: target.address, port: *port, after });
    }
    Ok(all)
}

/// Waits until the first API takes connections; for all of it, on the reference machine.
///
/// # Errors
/// As [`served`].
pub fn api_listens(plan: &HostPlan, outside: &Outside, deadline: Duration) -> Result<()> {
    let api = |question: &Question| match question.ask {
        Ask::Api { port, credential: Credential::Own | Credential::Plaintext }
            if question.expected == Verdict::Serves =>
        {
            Some(port)
        }
        _ => None,
    };
    let found = questions(plan, &[], &Ports::of(plan, false))
        .into_iter()
        .find_map(|question| Some((api(&question)?, question)));
    let (port, question) = found.context("the plan promises no API")?;
    let caller = Caller::new(plan, outside, &mut Stations::new(plan), question, port)?;
    let connected = caller.connect(outside, outside.deadline(deadline));
    if connected.is_err() {
        outside.alive()?;
    }
    connected.map(drop)
}

/// Who asks one service of a host, with addresses of its own.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) question: Question,
    pub(super) port: u16,
    segment: Segment,
    canary: Canary,
    scanning: Host,
    session: Host,
}

impl Caller {
    pub(super) fn new(
        plan: &HostPlan,
        outside: &Outside,
        stations: &mut Stations,
        question: Question,
        port: u16,
    ) -> Result<Self> {
        let Question { vantage, target, .. } = &question;
        let nic = outside.topology.nic(plan, vantage.interface().context("it is on no wire")?)?;
        let segment = outside.topology.segment(vantage)?;
        let subnet = subnet_of(plan, target).context("it is on no subnet")?;
        let from = match &target.subject {
            Subject::Daemon(name) => plan.daemons[name].api.as_ref().and_then(|api| api.from.clone()),
            Subject::Host => None,
        };
        let within = from.unwrap_or_default();
        let station = || stations.beside(subnet, &within).with_context(|| format!("{subnet} has no free address"));
        let (source, scanning, session) = (station()?, station()?, station()?);
        let host = Host { mac: mac(nic.mac), ip: target.address };
        let kind = CanaryKind::Tcp(port);
        let canary = Canary { nic: nic.port, segment, source, target: host, kind, patience: PATIENCE };
        Ok(Self { question, port, segment, canary, scanning, session })
    }

    /// Asks for a connection until there is one. Gives what further questions to the service close their windows with.
    fn connect(&self, outside: &Outside, deadline: Instant) -> Result<Terms> {
        let terms = Terms { canary: self.canary.clone(), others: Vec::new(), grace: Duration::ZERO, deadline };
        loop {
            let turn = Terms { deadline: deadline.min(Instant::now() + LOOK), ..terms.clone() };
            // A scan of no ports is its canary alone, called until it answers.
            let scan = Scan {
                segment: self.segment,
                source: self.scanning,
                via: None,
                target: self.canary.target,
                ports: Vec::new(),
                expected: BTreeSet::new(),
                terms: turn,
            };
            let Err(error) = outside.fabric.scan(&scan) else { return Ok(terms) };
            outside.alive()?;
            if Instant::now() >= deadline {
                return Err(error.into());
            }
        }
    }

    /// Connects, for a request that ends by `deadline`.
    pub(super) fn vantage(&self, outside: &Outside, deadline: Instant) -> Result<(Vantage, Peer, Terms)> {
        let terms = self.connect(outside, deadline)?;
        let from = outside.fabric.vantage(self.segment, self.session.mac, &[self.session.ip])?;
        Ok((from, self.canary.target.into(), terms))
    }

    /// Asks until the service answers as what it is: dockerd listens long before it serves, and one that did not get its
    /// containerd in time is started anew by systemd.
    fn ask(&self, outside: &Outside, clients: &Clients, deadline: Instant) -> Result<Duration> {
        loop {
            let (mut from, peer, terms) = self.vantage(outside, deadline)?;
            let (Ask::Api { credential, .. }, Subject::Daemon(name)) =
                (&self.question.ask, &self.question.target.subject)
            else {
                return Ok(outside.vm.started().elapsed());
            };
            let terms = Terms { deadline: outside.deadline(REQUEST).min(deadline), ..terms };
            let answer = match clients.client(name, credential)? {
                Some(client) => from.https_get(peer, self.port, &peer.ip.to_string(), client, "/version", &terms),
                None => from.http_get(peer, self.port, "/version", &terms),
            };
            let why = match answer.map(|finding| finding.outcome) {
                Ok(Outcome::Serves(reply)) => {
                    let version: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
                    let engine = reply.status == 200 && version.get("ApiVersion").is_some();
                    ensure!(engine, "it answers with status {}: {version}", reply.status);
                    return Ok(outside.vm.started().elapsed());
                }
                Ok(outcome) => format!("it answers with {outcome:?}"),
                Err(error) => error.to_string(),
            };
            outside.alive()?;
            ensure!(Instant::now() < deadline, "{why}");
        }
    }
}

/// Where the administrator's sshd answers: the vantage and the first address of each IP version.
pub(super) fn sshd(plan: &HostPlan) -> Result<(InterfaceName, IpNet)> {
    let admin = plan.host.admin.as_ref().context("the host has no `host.admin`: nobody can log in")?;
    let interface = &plan.interfaces[&admin.interface];
    let address = interface.addresses.first().context("the administrator's interface has no address")?;
    Ok((interface.name.clone(), *address))
}
