//! What the proof asks: where from, whom, what, and the answer that the plan promises.
//!
//! * `promise`: the matrix with its promises, which come from the plan alone, never from the rendered rules;
//! * `within`: the same for containers and the host itself;
//! * `target`: the addresses of the plan, and those that nobody planned;
//! * `ports`: which ports are asked;
//! * `sources`: who asks for ports that some sources reach.

mod ports;
mod promise;
mod sources;
mod target;
mod within;

use std::fmt;
use std::net::IpAddr;

use dmhost_layout::plan::{self, Daemon, DaemonName, HostPlan, InterfaceName, Owner, Protocol};

pub use ports::{CONTAINER_PORT, Ports, ProbePorts, borrowed, bound, inner_port, probe_ports};
pub use promise::{datagrams_of, ports_of, questions};
pub use sources::{listed_by, listed_sources};
pub use target::{Inner, Place, Subject, Target, free, on_no_network, subnet_of, targets};
pub use within::{control, questions_within};

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
    /// A station off-link, through the gateway of an interface, which the fabric plays.
    Beyond(InterfaceName),
    /// A station on the untagged side of a NIC that carries VLANs.
    Trunk(InterfaceName),
    /// A container of a daemon.
    Container(DaemonName, Network),
    /// The host's own namespace.
    Host,
}

/// Which Docker network a container is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// The default bridge.
    Default,
    /// A bridge that the proof makes as a user would.
    User,
    /// One of the spec, by its name.
    Declared(String),
}

impl Network {
    /// The networks of a daemon that the spec has.
    pub fn declared(daemon: &Daemon) -> impl Iterator<Item = Self> {
        daemon.networks.iter().map(|network| Self::Declared(network.name.clone()))
    }

    /// What the spec says of it, if it does.
    pub fn of<'p>(&self, daemon: &'p Daemon) -> Option<&'p plan::Network> {
        match self {
            Self::Default | Self::User => None,
            Self::Declared(name) => daemon.networks.iter().find(|network| network.name == *name),
        }
    }
}

impl Vantage {
    /// The interface whose segment this is; `None` inside the machine.
    pub fn interface(&self) -> Option<&InterfaceName> {
        match self {
            Self::Vlan(name) | Self::Beyond(name) | Self::Trunk(name) => Some(name),
            Self::Container(..) | Self::Host => None,
        }
    }

    /// Every vantage inside a host: a container on each kind of network of each daemon, and the host itself.
    pub fn inside(plan: &HostPlan) -> Vec<Self> {
        let of = |daemon: &Daemon| {
            let usual = [Network::Default, Network::User].into_iter();
            usual
                .chain(Network::declared(daemon))
                .map(|on| Self::Container(daemon.name.clone(), on))
                .collect::<Vec<_>>()
        };
        plan.daemons.values().flat_map(of).chain([Self::Host]).collect()
    }

    /// Every wire vantage of a host: each segment, what is beyond its gateways, and the untagged side of each carrier.
    pub fn wires(plan: &HostPlan) -> Vec<Self> {
        let mut all = Vec::new();
        for interface in plan.interfaces.values() {
            let name = interface.name.clone();
            match interface.owner {
                Owner::Carrier => all.push(Self::Trunk(name)),
                Owner::Host | Owner::Daemon(_) => {
                    all.push(Self::Vlan(name.clone()));
                    if !interface.gateways.is_empty() {
                        all.push(Self::Beyond(name));
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(name) => write!(f, "vlan:{name}"),
            Self::Beyond(name) => write!(f, "beyond:{name}"),
            Self::Trunk(name) => write!(f, "trunk:{name}"),
            Self::Container(name, Network::Default) => write!(f, "container:{name}"),
            Self::Container(name, Network::User) => write!(f, "container:{name}/user"),
            Self::Container(name, Network::Declared(network)) => write!(f, "container:{name}/{network}"),
            Self::Host => f.write_str("host"),
        }
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
    /// A connection, or a datagram, from an address that is not listed: to the API by `api.from`, to a published port by `expose`.
    Unlisted {
        /// Of the port.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// The address.
        from: IpAddr,
    },
    /// [`Ask::Published`] or [`Ask::Datagram`] from an address that `expose` lists for this port.
    Listed {
        /// Of the port.
        protocol: Protocol,
        /// The port before DNAT.
        port: u16,
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
    /// These TCP ports: those in use somewhere on the host, and random ones.
    SomePorts {
        /// The ports.
        ports: Vec<u16>,
    },
    /// A datagram to the probe container behind a published port; its answer names the daemon.
    Datagram {
        /// UDP port before DNAT.
        port: u16,
    },
    /// UDP ports that `expose` opens and nobody serves.
    VacantDatagrams {
        /// The ports.
        ports: Vec<u16>,
    },
    /// These UDP ports: those in use somewhere on the host, and well-known ones.
    OtherDatagrams {
        /// The ports.
        ports: Vec<u16>,
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
            Self::Unlisted { protocol, port, from } => {
                write!(f, "{port}/{} from {from}, which is not listed", protocol.as_str())
            }
            Self::Listed { protocol, port } => {
                write!(f, "{port}/{} published, from a source that is listed", protocol.as_str())
            }
            Self::Published { port } => write!(f, "{port}/tcp published"),
            Self::Port { port } => write!(f, "{port}/tcp"),
            Self::Vacant { ports } => write!(f, "{} exposed tcp ports without a server", ports.len()),
            Self::OtherPorts { but } => write!(f, "{} other tcp ports", usize::from(u16::MAX) - but.len()),
            Self::SomePorts { ports } => write!(f, "{} tcp ports", ports.len()),
            Self::Datagram { port } => write!(f, "{port}/udp published"),
            Self::VacantDatagrams { ports } => write!(f, "{} exposed udp ports without a server", ports.len()),
            Self::OtherDatagrams { ports } => write!(f, "{} other udp ports", ports.len()),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use super::*;

    /// The whole matrix of an example, from without and within.
    fn matrix(spec: &str) -> Vec<Question> {
        let (plan, _) = dmhost_layout::plan_from_toml("host.toml", spec);
        let plan = plan.expect("the example is a plan");
        let mut inner = Vec::new();
        for (name, nth) in plan.daemons.keys().zip(20..) {
            for (network, third) in [(Network::Default, 0), (Network::User, 1)] {
                for (place, last) in [(Place::Bridge, 1), (Place::Container, 2)] {
                    let address = IpAddr::from([172, nth, third, last]);
                    let (daemon, network) = (name.clone(), network.clone());
                    inner.push(Inner { daemon, network, place, address, mac: None });
                }
            }
        }
        let ports = Ports::of(&plan, true);
        let mut all = questions(&plan, &inner, &ports);
        for vantage in Vantage::inside(&plan) {
            all.extend(questions_within(&plan, &inner, &ports, &vantage));
        }
        all
    }

    /// Where daemons share a namespace the same is promised as of zones, but for what docker-proxy does and does not do.
    #[test]
    fn shared_daemons_are_promised_what_zones_are() {
        let zones = include_str!("../../../../examples/two-vlans.toml");
        let shared = |name: &str, nth: u8| {
            let pools = format!("isolation = \"shared\"\npools = [\"172.{nth}.0.0/16\"]\n");
            format!("[daemons.{name}]\n{pools}")
        };
        let spec = zones.replace("[daemons.lab]\n", &shared("lab", 20)).replace("[daemons.web]\n", &shared("web", 21));
        let promises = |spec: &str| -> BTreeMap<(String, String, String), Verdict> {
            let key = |question: &Question| {
                let Question { vantage, target, ask, .. } = question;
                // How many are left depends on what else is asked.
                let ask = match ask {
                    Ask::OtherPorts { .. } => "other tcp ports".to_owned(),
                    Ask::SomePorts { .. } => "some tcp ports".to_owned(),
                    Ask::OtherDatagrams { .. } => "other udp ports".to_owned(),
                    _ => ask.to_string(),
                };
                (vantage.to_string(), target.to_string(), ask)
            };
            matrix(spec).into_iter().map(|question| (key(&question), question.expected)).collect()
        };
        let (zones, shared) = (promises(zones), promises(&spec));
        let said = |verdict: Option<&Verdict>| verdict.map_or("not asked".to_owned(), ToString::to_string);
        let mut lines = Vec::new();
        for key in zones.keys().chain(shared.keys().filter(|key| !zones.contains_key(*key))) {
            let (zone, shared) = (zones.get(key), shared.get(key));
            if zone != shared {
                let (vantage, target, ask) = key;
                lines.push(format!("{vantage} -> {target} {ask}: {} -> {}", said(zone), said(shared)));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// The size of the matrix, by vantage and kind of address: what is left out shows here.
    #[test]
    fn every_vantage_asks_every_kind_of_address() {
        let all = matrix(include_str!("../../../../examples/two-vlans.toml"));
        let mut counted: BTreeMap<(Vantage, Place), BTreeMap<&str, usize>> = BTreeMap::new();
        for Question { vantage, target, ask, .. } in &all {
            let protocol = match ask {
                Ask::Neighbour => "arp",
                Ask::Echo => "icmp",
                Ask::Api { .. }
                | Ask::Unlisted { protocol: Protocol::Tcp, .. }
                | Ask::Listed { protocol: Protocol::Tcp, .. }
                | Ask::Published { .. }
                | Ask::Port { .. }
                | Ask::Vacant { .. }
                | Ask::OtherPorts { .. }
                | Ask::SomePorts { .. } => "tcp",
                Ask::Unlisted { protocol: Protocol::Udp, .. }
                | Ask::Listed { protocol: Protocol::Udp, .. }
                | Ask::Datagram { .. }
                | Ask::VacantDatagrams { .. }
                | Ask::OtherDatagrams { .. } => "udp",
            };
            *counted.entry((vantage.clone(), target.place)).or_default().entry(protocol).or_default() += 1;
        }
        let mut text = String::new();
        for ((vantage, place), protocols) in counted {
            let each: Vec<String> = protocols.iter().map(|(protocol, count)| format!("{count} {protocol}")).collect();
            let _ = writeln!(text, "{vantage} -> {}: {}", place.as_str(), each.join(", "));
        }
        insta::assert_snapshot!(text);
    }
}
