//! What a zone costs and what a shared daemon does, side by side on one host in one run: figures of an emulated machine, of which the
//! ratio is worth something.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::{Daemon, HostPlan, Isolation};
use smoltcp::wire::IpProtocol;

use crate::bed::Testbed;
use crate::fabric::packet::{self, Packet};
use crate::fabric::{Event, Host, Inbox, Outcome, Peer, PortId, Segment, Station, Watch};
use crate::proof::Stage;
use crate::proof::canaries::Canaries;
use crate::proof::containers::{DEFAULT, exec};
use crate::proof::question::{Vantage, probe_ports};
use crate::proof::stations::Stations;
use crate::proof::topology::mac;
use crate::raised::Raised;

/// For one measurement, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often each is measured, in turns.
const ROUNDS: usize = 3;
/// Datagrams of one measurement.
const BLAST: usize = 5000;
/// Answers, and requests, of one measurement.
const ANSWERS: usize = 100;
/// How often the end is looked for while no frame comes.
const LOOK: Duration = Duration::from_millis(100);
/// Ports of the station on the wire: one drops what comes (RFC 863), one answers (RFC 862).
const DISCARD: u16 = 9;
const ECHO: u16 = 7;

/// What was measured of one daemon, each the median of all rounds.
#[derive(Debug)]
pub struct Costs {
    daemon: String,
    isolation: Isolation,
    /// What programs and the kernel have for it, with its probe containers, in bytes.
    memory: f64,
    /// From nothing of it to its API, alone on the machine, in seconds.
    start: f64,
    /// Datagrams of 1,400 bytes from a container to the wire, in a second.
    rate: f64,
    /// From a container to a station on the wire and back, in seconds.
    rtt: f64,
    /// An HTTP request from the wire to a published port, in seconds.
    request: f64,
}

impl Costs {
    /// The figures, by name and unit.
    fn figures(&self) -> [(&'static str, f64, &'static str); 5] {
        [
            ("memory, with four containers", self.memory / f64::from(1 << 20), "MiB"),
            ("start alone", self.start, "s"),
            ("container to wire, 1,400 bytes each", self.rate, "datagrams/s"),
            ("container to wire and back", self.rtt * 1e3, "ms"),
            ("request from the wire to a published port", self.request * 1e3, "ms"),
        ]
    }
}

/// Two of them side by side.
#[derive(Debug)]
pub struct Compared([Costs; 2]);

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = &self.0;
        let title = |costs: &Costs| format!("{} ({})", costs.daemon, costs.isolation.as_str());
        writeln!(f, "{:44} {:>16} {:>16} {:>6}", "", title(one), title(other), "ratio")?;
        for ((name, of_one, unit), (_, of_other, _)) in one.figures().into_iter().zip(other.figures()) {
            let ratio = of_other / of_one;
            writeln!(f, "{name:44} {of_one:16.2} {of_other:16.2} {ratio:6.2}  {unit}")?;
        }
        Ok(())
    }
}

/// Measures the first zone and the first shared daemon of a host whose probe containers run; `stage` is told of each turn as it begins.
///
/// # Errors
/// If there are no such two, or the machine or the fabric has ended.
pub fn compare(plan: &HostPlan, bed: &Testbed, stage: Stage<'_>) -> Result<Compared> {
    let first = |isolation: Isolation| {
        let daemon = plan.daemons.values().find(|daemon| daemon.isolation == isolation);
        daemon.with_context(|| format!("the host has no daemon of the kind `{}`", isolation.as_str()))
    };
    let both = [first(Isolation::Zone)?, first(Isolation::Shared)?];
    let stations = Stations::new(plan);
    let canaries = Canaries::find(plan, bed, &stations)?;
    let mut wires = Vec::new();
    for daemon in both {
        wires.push(Wire::of(plan, bed, daemon, &stations, &canaries)?);
    }
    let mut measured: [[Vec<f64>; 5]; 2] = Default::default();
    for round in 1..=ROUNDS {
        stage(&format!("memory and ways, {round} of {ROUNDS}"));
        for (wire, [memory, _, rate, rtt, request]) in wires.iter().zip(&mut measured) {
            memory.push(wire.memory()?);
            rate.push(wire.rate()?);
            rtt.push(wire.rtt()?);
            request.push(wire.request()?);
        }
    }
    // Last: nothing is as it was after that.
    for round in 1..=ROUNDS {
        stage(&format!("starts, {round} of {ROUNDS}"));
        for (wire, [_, start, ..]) in wires.iter().zip(&mut measured) {
            start.push(wire.start()?);
        }
    }
    let costs = |daemon: &Daemon, [memory, start, rate, rtt, request]: &mut [Vec<f64>; 5]| Costs {
        daemon: daemon.name.to_string(),
        isolation: daemon.isolation,
        memory: median(memory),
        start: median(start),
        rate: median(rate),
        rtt: median(rtt),
        request: median(request),
    };
    let [of_zone, of_shared] = &mut measured;
    Ok(Compared([costs(both[0], of_zone), costs(both[1], of_shared)]))
}

fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A daemon, and a station on its wire.
struct Wire<'a> {
    daemon: &'a Daemon,
    bed: &'a Testbed,
    segment: Segment,
    station: Host,
    client: Host,
    target: Host,
    nic: PortId,
    canaries: &'a Canaries,
}

impl<'a> Wire<'a> {
    fn of(
        plan: &HostPlan,
        bed: &'a Testbed,
        daemon: &'a Daemon,
        stations: &Stations,
        canaries: &'a Canaries,
    ) -> Result<Self> {
        let interface = plan.interfaces_of(daemon).next().context("a daemon has an interface")?;
        let net = *interface.addresses.iter().find(|net| net.addr().is_ipv4()).context("it has no IPv4 address")?;
        let nic = bed.topology.nic(plan, &interface.name)?;
        let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
        let beside = || stations.settled(net, &[]).context("its subnet has no free address");
        let target = Host { mac: mac(nic.mac), ip: net.addr() };
        let (station, client) = (beside()?, beside()?);
        Ok(Self { daemon, bed, segment, station, client, target, nic: nic.port, canaries })
    }

    /// What is charged to its slice and cannot be dropped: pages of files can.
    fn memory(&self) -> Result<f64> {
        let path = format!("/sys/fs/cgroup/dmhost.slice/{}/memory.stat", self.daemon.name.slice());
        let told = self.bed.guest.must(&format!("cat {path}"), PATIENCE)?;
        let of = |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok());
        Ok(of("anon ").context("no anon in memory.stat")? + of("kernel ").context("no kernel in memory.stat")?)
    }

    fn rate(&self) -> Result<f64> {
        let arrived = self.heard(&format!("blast {} {DISCARD} {BLAST}", self.station.ip))?.1;
        let (first, last) = (arrived.first().context("nothing arrived")?, arrived.last().context("nothing arrived")?);
        ensure!(arrived.len() > BLAST / 2, "of {BLAST} datagrams {} arrived", arrived.len());
        let after = u32::try_from(arrived.len() - 1).context("more than were sent")?;
        Ok(f64::from(after) / (*last - *first).as_secs_f64())
    }

    fn rtt(&self) -> Result<f64> {
        let told = self.heard(&format!("rtt {} {ECHO} {ANSWERS}", self.station.ip))?.0;
        let mut all: Vec<f64> = told.lines().filter_map(|line| line.parse().ok()).collect();
        ensure!(all.len() == ANSWERS, "of {ANSWERS} questions {} were answered", all.len());
        Ok(median(&mut all) / 1e9)
    }

    fn request(&self) -> Result<f64> {
        let port = probe_ports(self.daemon).open.context("nothing is published")?;
        let mut from = self.bed.fabric.vantage(self.segment, self.client.mac, &[self.client.ip])?;
        let mut all = Vec::new();
        for _ in 0..ANSWERS / 5 {
            let terms = self.canaries.terms(self.nic, self.bed, PATIENCE).context("nothing answers")?;
            let begun = Instant::now();
            let finding = from.http_get(Peer::from(self.target), port, "/", &terms)?;
            all.push(begun.elapsed().as_secs_f64());
            ensure!(matches!(finding.outcome, Outcome::Serves(_)), "port {port}: {:?}", finding.outcome);
        }
        Ok(median(&mut all))
    }

    /// Its containers go; then all its units are stopped, and started.
    fn start(&self) -> Result<f64> {
        let name = &self.daemon.name;
        let (service, home, link) = (name.service(), self.daemon.home_service(), name.link_service());
        let script = format!(
            "set -eu
             docker -H unix://{socket} rm -f $(docker -H unix://{socket} ps -aq) >/dev/null 2>&1 || true
             systemctl stop {service} {link} {home}
             begun=$(date +%s%N)
             systemctl start {service}
             echo $(($(date +%s%N) - begun))",
            socket = name.socket()
        );
        let told = self.bed.guest.must(&script, PATIENCE)?;
        let nanoseconds: f64 = told.trim().parse().with_context(|| format!("no time: {told}"))?;
        Ok(nanoseconds / 1e9)
    }

    /// Lets the daemon's probe container run while the station answers; gives what it said, and when what is dropped arrived.
    fn heard(&self, command: &str) -> Result<(String, Vec<Instant>)> {
        let inbox = self.bed.fabric.inbox(Watch::FromGuest)?;
        let station = inbox.station(self.segment, self.station.mac, &[self.station.ip], false)?;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let done = &done;
            let serving = scope.spawn(move || serve(&inbox, &station, self.station.ip, done));
            let raised = Raised(done);
            let said = self.bed.guest.must(&format!("{} {command}", exec(&self.daemon.name, DEFAULT)), PATIENCE);
            drop(raised);
            let arrived = serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok((said?, arrived))
        })
    }
}

/// Answers and drops, until it is done and nothing more comes.
fn serve(inbox: &Inbox, station: &Station, own: IpAddr, done: &AtomicBool) -> Result<Vec<Instant>> {
    let mut arrived = Vec::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let events = inbox.wait(Instant::now() + LOOK)?;
        if events.is_empty() && last {
            return Ok(arrived);
        }
        for event in events {
            let Event::Seen(seen) = event else { continue };
            let Packet::Ip(ip) = Packet::of(&seen.frame) else { continue };
            let Some((_, to)) = ip.ports().filter(|_| ip.protocol == IpProtocol::Udp && ip.target == own) else {
                continue;
            };
            match to {
                DISCARD => arrived.push(seen.at),
                ECHO => station.send(packet::udp_answer(&seen.frame, b"dmhost").into_iter().collect())?,
                _ => {}
            }
        }
    }
}
