//! One round: the same stand of several daemons asks all that it has, and each frame that leaves meanwhile is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan, Interface, Isolation};
use ipnet::IpNet;

use super::aims::{aims, elsewhere, ways};
use super::left::Left;
use super::{Aim, PATIENCE, Stand, What, among, answers};
use crate::bed::Testbed;
use crate::fabric::packet::Packet;
use crate::fabric::provoke::Provocation;
use crate::fabric::{Seen, Segment, Station, Watch};
use crate::proof::canaries::Canaries;
use crate::proof::containers::{HOST, PROGRAM, SECOND, container, exec};
use crate::proof::inside::enter;
use crate::proof::question::{Inner, Network, Vantage, control};
use crate::proof::report::Fact;
use crate::proof::stations::Stations;

/// How many offences are told.
const MOST: usize = 8;

/// Who asks, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round<'a> {
    pub(super) plan: &'a HostPlan,
    pub(super) bed: &'a Testbed,
    pub(super) inner: &'a [Inner],
    pub(super) stations: &'a Stations,
    pub(super) canaries: &'a Canaries,
    pub(super) stand: &'a Stand,
}

/// All that one daemon's stand asks.
#[derive(Debug)]
struct Asking<'a> {
    daemon: &'a Daemon,
    aims: BTreeSet<Aim>,
    /// What of that is answered.
    due: Vec<(IpAddr, u16)>,
    /// Addresses that its frames leave with.
    sources: Vec<IpNet>,
    /// What its probe said, or why it could not ask.
    said: Result<String, String>,
}

impl<'a> Round<'a> {
    /// A fact for each of these daemons, and one of what its neighbours on a bridge answered.
    pub(super) fn facts(&self, daemons: &[&'a Daemon]) -> Result<Vec<Fact>> {
        let Self { plan, bed, stations, canaries, .. } = *self;
        let mut asking: Vec<Asking<'_>> = daemons.iter().map(|daemon| self.asking(daemon)).collect();
        let Some(over) = daemons.first().and_then(|daemon| plan.interfaces_of(daemon).next()) else {
            return Ok(Vec::new());
        };
        let nic = bed.topology.nic(plan, &over.name)?;
        let station = over.addresses.iter().find_map(|net| stations.beside(*net, &[]));
        let terms = canaries.terms(nic.port, bed, PATIENCE);
        let (Some(station), Some(terms)) = (station, terms) else {
            let why = format!("nothing answers through {}, so that its silence says nothing", nic.name);
            return Ok(asking.iter().flat_map(|asking| self.found(asking, Err(why.clone()))).collect());
        };
        let _neighbours = self.neighbours(&asking)?;
        let segment = bed.topology.segment(&Vantage::Vlan(over.name.clone()))?;
        let provocation = Provocation { segment, sources: vec![station], frames: Vec::new(), terms };
        let sources: Vec<IpNet> = asking.iter().flat_map(|one| one.sources.iter().copied()).collect();
        let due: BTreeSet<(IpAddr, u16)> = asking.iter().flat_map(|one| one.due.iter().copied()).collect();
        let segments = self.segments(daemons)?;
        let act = || {
            answers::given(&bed.fabric, &segments, &sources, &due, || {
                self.ask(&mut asking);
                Ok(())
            })
        };
        let seen = bed
            .fabric
            .provoke(&provocation, act, |seen| matches!(Packet::of(&seen.frame), Packet::Arp { .. } | Packet::Ip(_)));
        bed.alive()?;
        let seen = seen.map_err(|error| format!("no verdict: {error}"));
        Ok(asking.iter().flat_map(|asking| self.found(asking, seen.as_deref().map_err(Clone::clone))).collect())
    }

    fn found(&self, asking: &Asking<'_>, seen: Result<&[Seen], String>) -> Vec<Fact> {
        let among = (*self.stand == Stand::On(Network::Default))
            .then(|| among::fact(asking.daemon, self.inner, asking.said.as_deref().map_err(String::as_str)));
        std::iter::once(asking.fact(self.stand, seen)).chain(among.flatten()).collect()
    }

    fn asking(&self, daemon: &'a Daemon) -> Asking<'a> {
        let aims = aims(self.plan, self.inner, daemon, self.stand, self.stations);
        let mut ways = ways(self.plan, daemon, self.stand);
        ways.extend(elsewhere(self.plan, daemon, self.stand));
        let sources = self.sources(daemon, &ways);
        let due = answers::due(&aims);
        Asking { daemon, aims, due, sources, said: Err("nothing was asked".to_owned()) }
    }

    /// What frames of this stand leave with: the addresses of the interfaces, or the container's own where it is on a segment or there is no NAT.
    fn sources(&self, daemon: &Daemon, ways: &[&Interface]) -> Vec<IpNet> {
        if let Some(network) = self.stand.network(daemon).filter(|network| network.driver.parent().is_some()) {
            return network.on_segment();
        }
        let of_interfaces = ways.iter().flat_map(|way| way.addresses.iter().map(|net| IpNet::from(net.addr())));
        let routed = |own: &&Inner| {
            own.daemon == daemon.name && *self.stand == Stand::On(own.network.clone()) && daemon.routes(own.address)
        };
        if self.inner.iter().any(|own| routed(&own)) {
            of_interfaces.filter(|net| net.addr().is_ipv4()).chain(daemon.routed.iter().copied()).collect()
        } else {
            of_interfaces.collect()
        }
    }

    /// Where their frames leave.
    fn segments(&self, daemons: &[&Daemon]) -> Result<BTreeSet<Segment>> {
        let ways = daemons.iter().flat_map(|daemon| ways(self.plan, daemon, self.stand));
        ways.map(|way| self.bed.topology.segment(&Vantage::Vlan(way.name.clone()))).collect()
    }

    /// Stations at all addresses that are asked and are on a link, so that what is let out does leave.
    fn neighbours(&self, asking: &[Asking<'_>]) -> Result<Vec<Station>> {
        let inbox = self.bed.fabric.inbox(Watch::Nothing)?;
        let mut standing = BTreeSet::new();
        let mut stations = Vec::new();
        for Asking { daemon, aims, .. } in asking {
            let ways = ways(self.plan, daemon, self.stand);
            for way in ways.into_iter().chain(elsewhere(self.plan, daemon, self.stand)) {
                let segment = self.bed.topology.segment(&Vantage::Vlan(way.name.clone()))?;
                let near = |aim: &&Aim| {
                    way.addresses.iter().any(|net| net.contains(&aim.address)) && !way.gateways.contains(&aim.address)
                };
                for aim in aims.iter().filter(near) {
                    if standing.insert((way.name.clone(), aim.address)) {
                        let host = self.stations.at(aim.address);
                        stations.push(inbox.station(segment, host.mac, &[host.ip], false)?);
                    }
                }
            }
        }
        Ok(stations)
    }

    /// Has all of them ask, side by side.
    fn ask(&self, asking: &mut [Asking<'_>]) {
        std::thread::scope(|scope| {
            for one in asking {
                scope.spawn(|| {
                    one.said = self.ask_for(one).map_err(|error| format!("{error:#}"));
                });
            }
        });
    }

    fn ask_for(&self, Asking { daemon, aims, due, .. }: &Asking<'_>) -> Result<String> {
        let name = &daemon.name;
        let mut more = String::new();
        let (probe, control) = match self.stand {
            // A second container, so that the first is its neighbour.
            Stand::On(Network::Default) => {
                more = among::sheet(daemon, self.inner);
                (exec(name, SECOND), self.bridge(daemon, Network::Default)?)
            }
            Stand::On(network) => (exec(name, &container(network)), self.bridge(daemon, network.clone())?),
            Stand::Itself => {
                let probe = match daemon.isolation {
                    Isolation::Zone => enter(daemon) + PROGRAM,
                    // A daemon's processes are told by where systemd keeps them, and so are its containers.
                    Isolation::Shared => exec(name, HOST),
                };
                (probe, std::net::Ipv4Addr::LOCALHOST.into())
            }
        };
        if aims.is_empty() && more.is_empty() {
            return Ok(String::new());
        }
        let sheet = sheet(control, aims, due) + &more;
        let said = self.bed.guest.must(&format!("{probe} ask <<'AIMS'\n{sheet}AIMS\n"), PATIENCE)?;
        let asked = said.lines().last().and_then(|line| line.strip_prefix("asked ")?.parse().ok());
        let all = aims.len() + more.lines().count();
        anyhow::ensure!(asked == Some(all), "of {all} questions it asked {asked:?}");
        Ok(said)
    }

    /// Something that answers the containers of a network.
    fn bridge(&self, daemon: &Daemon, network: Network) -> Result<IpAddr> {
        let vantage = Vantage::Container(daemon.name.clone(), network);
        control(self.plan, self.inner, &vantage).context("there is nobody to ask from")
    }
}

/// The questions as the probe takes them, and which are worth waiting for.
fn sheet(control: IpAddr, aims: &BTreeSet<Aim>, due: &[(IpAddr, u16)]) -> String {
    let mut sheet = format!("control {control}\n");
    let mut ports: BTreeMap<(IpAddr, &str), Vec<String>> = BTreeMap::new();
    for Aim { address, what, .. } in aims {
        match what {
            What::Echo => drop(writeln!(sheet, "echo {address}")),
            What::Tcp(port) => ports.entry((*address, "tcp")).or_default().push(port.to_string()),
            What::Udp(port) => ports.entry((*address, "udp")).or_default().push(port.to_string()),
        }
    }
    for ((address, verb), ports) in ports {
        let wanted = due.iter().find(|(due, _)| *due == address && verb == "udp");
        let wanted = wanted.map(|(_, port)| port.to_string()).unwrap_or_default();
        let _ = writeln!(sheet, "{verb} {address} {} {wanted}", ports.join(","));
    }
    sheet
}

impl Asking<'_> {
    fn fact(&self, stand: &Stand, seen: Result<&[Seen], String>) -> Fact {
        let name = format!("egress of {}, from {stand}", self.daemon.name);
        let nothing = |found| Fact { name: name.clone(), holds: false, found };
        let (seen, said) = match (seen, &self.said) {
            (Ok(seen), Ok(said)) => (seen, said),
            (Err(why), _) => return nothing(why),
            (_, Err(why)) => return nothing(why.clone()),
        };
        let mut offences = Left::by(&self.sources, seen).offences(&self.aims);
        offences.extend(answers::offences(&self.due, said));
        let count = self.aims.iter().filter(|aim| aim.leaves).count();
        let more = offences.len().saturating_sub(MOST);
        offences.truncate(MOST);
        if more > 0 {
            offences.push(format!("and {more} more"));
        }
        let holds = offences.is_empty();
        let good = || match (count, self.aims.len() - count) {
            (0, 0) => "there is no way out".to_owned(),
            (left, 0) => format!("all of {left} that may leave did"),
            (left, kept) => format!("all of {left} that may leave did, and none of {kept} others"),
        };
        Fact { name, holds, found: if holds { good() } else { offences.join("\n") } }
    }
}
