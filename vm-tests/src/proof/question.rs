//! What the proof asks, and the answer the plan promises.
//!
//! The expectation comes from the plan alone, never from the rendered rules: whoever may reach an address is on its own
//! segment, and reaches the ports the spec names there.

use std::fmt;
use std::net::IpAddr;

use dmhost_layout::plan::{
    Admin, Api, Daemon, DaemonName, Expose, HostPlan, Interface, InterfaceName, Owner, Protocol,
};
use ipnet::IpNet;

/// How a question was answered, judged by frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No frame on any port of the fabric that the probe caused.
    Silent,
    /// The connection is made and the client's certificate rejected.
    Denies,
    /// A TCP reset or an ICMP error.
    Refuses,
    /// It answers as it should.
    Serves,
    /// It answers, but not as a service of the plan would: no frame would have been right, or another's content came.
    Strange,
    /// Nothing is known: no positive control answered through the same NIC.
    Unproven,
}

impl Verdict {
    /// One letter for a table.
    pub fn letter(self) -> char {
        match self {
            Self::Silent => '·',
            Self::Denies => 'D',
            Self::Refuses => 'R',
            Self::Serves => 'S',
            Self::Strange => '?',
            Self::Unproven => 'U',
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Denies => "denies",
            Self::Refuses => "refuses",
            Self::Serves => "serves",
            Self::Strange => "strange",
            Self::Unproven => "unproven",
        })
    }
}

/// Where a probe comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// A station on an interface's own segment.
    Vlan(InterfaceName),
    /// A station on the untagged side of a NIC that carries VLANs.
    Trunk(InterfaceName),
}

impl Vantage {
    /// The interface whose segment this is.
    pub fn interface(&self) -> &InterfaceName {
        match self {
            Self::Vlan(name) | Self::Trunk(name) => name,
        }
    }

    /// Every wire vantage of a host: each segment, and the untagged side of each carrier.
    pub fn all(plan: &HostPlan) -> Vec<Self> {
        plan.interfaces
            .values()
            .map(|interface| match interface.owner {
                Owner::Carrier => Self::Trunk(interface.name.clone()),
                Owner::Host | Owner::Daemon(_) => Self::Vlan(interface.name.clone()),
            })
            .collect()
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(name) => write!(f, "vlan:{name}"),
            Self::Trunk(name) => write!(f, "trunk:{name}"),
        }
    }
}

/// Whose address is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The host itself.
    Host,
    /// A daemon.
    Daemon(DaemonName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Daemon(name) => write!(f, "{name}"),
        }
    }
}

/// One address of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whose it is.
    pub subject: Subject,
    /// The interface it is on.
    pub interface: InterfaceName,
    /// The address.
    pub address: IpAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.address)
    }
}

/// What a client of a daemon's API shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A certificate of the daemon's own client CA.
    Own,
    /// No certificate.
    Absent,
    /// A certificate of another daemon's client CA.
    Other(DaemonName),
    /// No TLS at all.
    Plaintext,
}

/// One question to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// ARP or neighbour discovery: who has this address?
    Neighbour,
    /// ICMP echo.
    Echo,
    /// `GET /version` of the daemon's API.
    Api {
        /// TCP port.
        port: u16,
        /// What the client shows.
        credential: Credential,
    },
    /// `GET /` of the probe container behind a published port; its answer names the daemon.
    Published {
        /// TCP port before DNAT.
        port: u16,
    },
    /// A TCP port of the host's own: sshd.
    Port {
        /// TCP port.
        port: u16,
    },
    /// TCP ports that `expose` opens and nobody serves: the spec lets them be asked, so they refuse.
    Vacant {
        /// The ports.
        ports: Vec<u16>,
    },
    /// Every TCP port, 1 to 65,535, but these.
    OtherPorts {
        /// Ports that have a question of their own.
        but: Vec<u16>,
    },
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neighbour => f.write_str("who-has"),
            Self::Echo => f.write_str("echo"),
            Self::Api { port, credential } => match credential {
                Credential::Own => write!(f, "{port}/tcp API"),
                Credential::Absent => write!(f, "{port}/tcp API without a certificate"),
                Credential::Other(name) => write!(f, "{port}/tcp API with a certificate of {name}"),
                Credential::Plaintext => write!(f, "{port}/tcp API without TLS"),
            },
            Self::Published { port } => write!(f, "{port}/tcp published"),
            Self::Port { port } => write!(f, "{port}/tcp"),
            Self::Vacant { ports } => write!(f, "{} exposed tcp ports without a server", ports.len()),
            Self::OtherPorts { but } => write!(f, "{} other tcp ports", usize::from(u16::MAX) - but.len()),
        }
    }
}

/// A question with its promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Where from.
    pub vantage: Vantage,
    /// Which address.
    pub target: Target,
    /// What.
    pub ask: Ask,
    /// What the plan promises.
    pub expected: Verdict,
}

/// The ports on which the proof publishes a probe container of a daemon: one that the plan lets the network reach, if any,
/// and one that it does not, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePorts {
    /// To be reached.
    pub open: Option<u16>,
    /// To be silent.
    pub closed: Option<u16>,
}

/// Ports of the probe container of a daemon.
pub fn probe_ports(daemon: &Daemon) -> ProbePorts {
    let api = daemon.api.as_ref().map(|api| api.port);
    let free = |listed: &[Expose]| {
        (8080..=u16::MAX).find(|port| {
            Some(*port) != api
                && !listed
                    .iter()
                    .any(|range| range.protocol == Protocol::Tcp && (range.first..=range.last).contains(port))
        })
    };
    match &daemon.expose {
        None => ProbePorts { open: free(&[]), closed: None },
        Some(listed) => ProbePorts {
            open: listed.iter().find(|range| range.protocol == Protocol::Tcp).map(|range| range.first),
            closed: free(listed),
        },
    }
}

/// Every address of a host, in the order of its interfaces.
pub fn targets(plan: &HostPlan) -> Vec<Target> {
    let subject = |interface: &Interface| match &interface.owner {
        Owner::Host | Owner::Carrier => Subject::Host,
        Owner::Daemon(name) => Subject::Daemon(name.clone()),
    };
    plan.interfaces
        .values()
        .flat_map(|interface| {
            interface.addresses.iter().map(|net| Target {
                subject: subject(interface),
                interface: interface.name.clone(),
                address: net.addr(),
            })
        })
        .collect()
}

/// The whole matrix of wire vantages, with its promises.
pub fn questions(plan: &HostPlan) -> Vec<Question> {
    let mut questions = Vec::new();
    for vantage in Vantage::all(plan) {
        for target in targets(plan) {
            let near = matches!(&vantage, Vantage::Vlan(name) if *name == target.interface);
            let asks = match &target.subject {
                Subject::Host => host_asks(plan, &target),
                Subject::Daemon(name) => daemon_asks(plan, &plan.daemons[name], &target, near),
            };
            let but = asks.iter().flat_map(|(ask, _)| ports_of(ask)).collect();
            let rest = (Ask::OtherPorts { but: deduplicated(but) }, Verdict::Silent);
            let basics = [(Ask::Neighbour, Verdict::Serves), (Ask::Echo, Verdict::Serves)];
            for (ask, promise) in basics.into_iter().chain(asks).chain([rest]) {
                let expected = if near { promise } else { Verdict::Silent };
                questions.push(Question { vantage: vantage.clone(), target: target.clone(), ask, expected });
            }
        }
    }
    questions
}

fn host_asks(plan: &HostPlan, target: &Target) -> Vec<(Ask, Verdict)> {
    match &plan.host.admin {
        Some(Admin { interface, .. }) if *interface == target.interface => {
            vec![(Ask::Port { port: 22 }, Verdict::Serves)]
        }
        Some(_) | None => Vec::new(),
    }
}

/// What is asked of a daemon. Credentials matter only where a connection can be made at all.
fn daemon_asks(plan: &HostPlan, daemon: &Daemon, target: &Target, near: bool) -> Vec<(Ask, Verdict)> {
    let mut asks = Vec::new();
    if let Some(Api { port, from, .. }) = &daemon.api {
        let api = |credential| Ask::Api { port: *port, credential };
        // A list is exhaustive over both IP versions: where none of it is on-link, nobody on the segment may connect.
        let subnet = plan.interfaces[&target.interface].addresses.iter().find(|net| net.addr() == target.address);
        let admitted = |net: &IpNet| subnet.is_some_and(|subnet| subnet.contains(net) || net.contains(&subnet.trunc()));
        let reached = from.as_ref().is_none_or(|from| from.iter().any(admitted));
        asks.push((api(Credential::Own), if reached { Verdict::Serves } else { Verdict::Silent }));
        if near && reached {
            asks.push((api(Credential::Absent), Verdict::Denies));
            asks.push((api(Credential::Plaintext), Verdict::Denies));
            let other = plan.daemons.values().find(|other| other.name != daemon.name && other.api.is_some());
            if let Some(other) = other {
                asks.push((api(Credential::Other(other.name.clone())), Verdict::Denies));
            }
        }
    }
    let ProbePorts { open, closed } = probe_ports(daemon);
    asks.extend(open.map(|port| (Ask::Published { port }, Verdict::Serves)));
    asks.extend(closed.map(|port| (Ask::Published { port }, Verdict::Silent)));
    let exposed = daemon.expose.iter().flatten().filter(|range| range.protocol == Protocol::Tcp);
    let vacant: Vec<u16> =
        exposed.flat_map(|range| range.first..=range.last).filter(|port| Some(*port) != open).collect();
    if !vacant.is_empty() {
        asks.push((Ask::Vacant { ports: vacant }, Verdict::Refuses));
    }
    asks
}

/// The TCP ports a question is about, if it is about some by name.
pub fn ports_of(ask: &Ask) -> Vec<u16> {
    match ask {
        Ask::Api { port, .. } | Ask::Published { port } | Ask::Port { port } => vec![*port],
        Ask::Vacant { ports } => ports.clone(),
        Ask::Neighbour | Ask::Echo | Ask::OtherPorts { .. } => Vec::new(),
    }
}

fn deduplicated(mut ports: Vec<u16>) -> Vec<u16> {
    ports.sort_unstable();
    ports.dedup();
    ports
}
