//! A first spec from what a machine is like: its NICs, VLANs, addresses, keys.
//!
//! Facts are taken in one by one, and `trial` has the spec's own check judge each: what it refuses stands in the draft
//! as a comment with the reason, so a draft always passes `check`. `text` writes it out with every optional key.

mod names;
mod text;
mod trial;

use ipnet::IpNet;
use std::net::IpAddr;

use trial::Trial;

/// What is known of a machine. Nothing of it need be usable: what is not is told in the draft.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its host name, with or without domain.
    pub name: Option<String>,
    /// Its NICs and the VLANs on them, NICs first.
    pub links: Vec<Link>,
    /// Its name servers.
    pub dns: Vec<IpAddr>,
    /// Public keys of who may log in.
    pub keys: Vec<Key>,
    /// What the machine has and a spec cannot say: a sentence each.
    pub remarks: Vec<String>,
}

/// A NIC or a VLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the machine calls it. In the draft it has this name if that may be one.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<Address>,
    /// Its default gateways, but for those that it learns.
    pub gateways: Vec<IpAddr>,
    /// Whether its IPv6 default route is from a router's advertisements.
    pub accept_ra: bool,
    /// Why it cannot be used, if so: it is wireless, for example.
    pub unusable: Option<String>,
}

/// What a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A NIC with this permanent MAC address.
    Nic {
        /// As `ip link` shows it.
        mac: String,
    },
    /// A VLAN.
    Vlan {
        /// The machine's name of the NIC that carries it.
        parent: String,
        /// Its VID.
        id: u16,
    },
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address with its prefix length.
    pub net: IpNet,
    /// What is to be known of it: that it is leased, for example.
    pub remark: Option<String>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it comes from: a file.
    pub from: String,
    /// A line of `authorized_keys`.
    pub line: String,
    /// Whether it is to be used; else it stands there as a comment.
    pub chosen: bool,
}

/// What the user wants of the draft. The default: the link with a gateway is the administrator's, and each other one
/// that has an address gets a daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The administrator's interface, by its name on the machine.
    pub admin: Option<String>,
    /// Daemons and the links of each, by their names on the machine. Empty: one for each link.
    pub daemons: Vec<(String, Vec<String>)>,
}

/// A spec to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The spec. It passes `check` without a word.
    pub text: String,
    /// What is to be filled in before it is a whole host: a sentence each.
    pub missing: Vec<String>,
    /// What was given and is not in the spec.
    pub left_out: Vec<LeftOut>,
}

/// Something that is not in a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What it is of.
    pub of: Fact,
    /// What, and the reason: a sentence.
    pub what: String,
}

/// What may be left out of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An interface that a wish names and the machine does not have.
    Wish,
    /// A link or an address of it, by its name on the machine.
    Link(String),
    /// A default gateway of a link.
    Gateway(String, IpAddr),
    /// A name server.
    Server,
    /// A public key.
    Key,
}

/// Drafts a spec.
pub fn draft(machine: &Machine, wishes: &Wishes) -> Draft {
    let trial = Trial::run(machine, wishes);
    let text = text::write(machine, &trial);
    Draft { text, missing: trial.missing, left_out: trial.left_out }
}
