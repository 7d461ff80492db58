//! Where daemons and their containers may go, as `egress` says: each asks what is listed and what is just beside it, and the frames
//! that leave tell. What ought to leave comes from the plan alone.
//!
//! * `among`: neighbours on a bridge, asked by the same container;
//! * `aims`: what is asked, and what of it ought to leave;
//! * `left`: which frames left, and what is wrong with that;
//! * `answers`: what of it is answered, and whether the answer came in; `host`: the same for the host's own questions;
//! * `round`: the asking: by containers on bridges, and by a program where the daemon itself is.

mod aims;
mod among;
mod answers;
mod host;
mod left;
mod round;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{self, Daemon, HostPlan, Isolation};

pub(super) use aims::{Aim, What, aims};

use self::round::Round;
use super::asker::Gateways;
use super::canaries::Canaries;
use super::question::{Inner, Network};
use super::report::Fact;
use super::stations::Stations;
use crate::bed::Testbed;

/// For one round, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who asks for a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// A container on this network.
    On(Network),
    /// A program in a zone's namespace, or where daemons share the host's a container on the host's network: its way is the daemon's own.
    Itself,
}

impl Stand {
    /// The network of the spec that it is on, if it is one.
    fn network<'p>(&self, daemon: &'p Daemon) -> Option<&'p plan::Network> {
        match self {
            Self::On(network) => network.of(daemon),
            Self::Itself => None,
        }
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(Network::Default) => f.write_str("a container"),
            Self::On(Network::User) => f.write_str("a container on a user's network"),
            Self::On(Network::Declared(name)) => write!(f, "a container on its network {name}"),
            Self::Itself => f.write_str("itself"),
        }
    }
}

/// A fact for each daemon and each of its stands; with `until_red` no further ones after one that is not as planned.
///
/// # Errors
/// If the machine or the fabric has ended.
pub(super) fn facts(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    (stations, canaries): (&Stations, &Canaries),
    until_red: bool,
) -> Result<Vec<Fact>> {
    let _gateways = Gateways::play(plan, bed)?;
    let mut facts = Vec::new();
    for (stand, daemons) in rounds(plan) {
        let round = Round { plan, bed, inner, stations, canaries, stand: &stand };
        facts.extend(round.facts(&daemons)?);
        if until_red && facts.iter().any(|fact: &Fact| !fact.holds) {
            return Ok(facts);
        }
    }
    facts.extend(host::fact(plan, bed, stations)?);
    Ok(facts)
}

/// Who asks at a time. In one namespace the sources of two daemons are the same.
fn rounds(plan: &HostPlan) -> Vec<(Stand, Vec<&Daemon>)> {
    let all: Vec<&Daemon> = plan.daemons.values().collect();
    let (zones, shared): (Vec<&Daemon>, Vec<&Daemon>) =
        all.iter().partition(|daemon| daemon.isolation == Isolation::Zone);
    let mut rounds = vec![(Stand::On(Network::Default), all.clone()), (Stand::On(Network::User), all.clone())];
    let declared: BTreeSet<Network> = all.iter().flat_map(|daemon| Network::declared(daemon)).collect();
    for network in declared {
        let have = all.iter().copied().filter(|daemon| network.of(daemon).is_some()).collect();
        rounds.push((Stand::On(network), have));
    }
    rounds.push((Stand::Itself, zones));
    rounds.extend(shared.into_iter().map(|daemon| (Stand::Itself, vec![daemon])));
    rounds.retain(|(_, daemons)| !daemons.is_empty());
    rounds
}
