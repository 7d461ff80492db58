//! The user's own lines of the proof: a question and the verdict it must get.

use std::fmt;

use super::{DaemonName, InterfaceName, Protocol};

/// One `[[expect]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Where the question is asked from.
    pub from: Vantage,
    /// Whom it is asked.
    pub to: Target,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port, from 1.
    pub port: u16,
    /// The verdict it must get.
    pub verdict: Verdict,
    /// Its dotted path in the spec, for reports: `expect[0]`.
    pub path: String,
}

/// Where probes come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vantage {
    /// `vlan:IF`: on the segment of an interface.
    Vlan(InterfaceName),
    /// `beyond:IF`: off-link, through the gateway of an interface.
    Beyond(InterfaceName),
    /// `trunk:NIC`: the untagged side of a NIC that carries VLANs.
    Trunk(InterfaceName),
    /// `container:DAEMON`: a container of a daemon.
    Container(DaemonName),
    /// `host`: the host's own namespace.
    Host,
}

/// Whom a question is asked: every address of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `daemon:NAME`.
    Daemon(DaemonName),
    /// `host`.
    Host,
}

/// What comes of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Something answers.
    Serves,
    /// RST or an ICMP error.
    Refuses,
    /// TLS: the connection is made and the client's certificate rejected.
    Denies,
    /// No frame that the probe caused.
    Silent,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Serves, Self::Refuses, Self::Denies, Self::Silent];

    /// The word in a spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Refuses => "refuses",
            Self::Denies => "denies",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vlan(name) => write!(f, "vlan:{name}"),
            Self::Beyond(name) => write!(f, "beyond:{name}"),
            Self::Trunk(name) => write!(f, "trunk:{name}"),
            Self::Container(name) => write!(f, "container:{name}"),
            Self::Host => f.write_str("host"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(name) => write!(f, "daemon:{name}"),
            Self::Host => f.write_str("host"),
        }
    }
}
