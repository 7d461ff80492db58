//! The matrix of a host that nothing was handed to: the questions of the fast lane, from the wire and from containers. What takes an
//! agent is not asked: the host's own vantage, its sockets and units, where daemons and containers may go, hostile frames.

use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{self, DaemonName, Expect, HostPlan};
use dmhost_pki::Pki;

use super::engine::Engine;
use super::machine::{Installed, Machine};
use super::served::{Served, served};
use crate::bed::{BedRequest, Outside};
use crate::proof::clients::Clients;
use crate::proof::question::{Inner, Network, Ports, Vantage, questions};
use crate::proof::report::{Fact, Report};
use crate::proof::stations::Stations;
use crate::proof::team::Team;
use crate::proof::{Extent, Stage, asker, egress, expects, routers};
use crate::vm::DiskBus;

/// From the start of QEMU to the last API, on the reference machine.
const BOOT: Duration = Duration::from_secs(480);

/// Puts the image on a disk, boots that by UEFI and proves the plan on it.
///
/// # Errors
/// As [`crate::proof::verify`].
pub fn verify(request: &BedRequest<'_>, pki: &Pki, extent: Extent, stage: Stage<'_>) -> Result<Report> {
    stage("a disk of the image");
    let disk = Installed::new(request.image, None)?;
    let machine = Machine::uefi(DiskBus::Virtio)?;
    stage("boot by the firmware");
    let outside = machine.boot(request, &disk)?;
    let report = prove(request.plan, &outside, pki, extent, stage)?;
    report.keep(request, &outside)?;
    Ok(report)
}

/// Proves the plan on a host that is booting or up.
///
/// # Errors
/// As [`verify`].
pub fn prove(plan: &HostPlan, outside: &Outside, pki: &Pki, extent: Extent, stage: Stage<'_>) -> Result<Report> {
    let plan = &routers::known(plan);
    let answers = served(plan, outside, pki, BOOT)?;
    stage("probe containers");
    let mut report = Report { quick: extent == Extent::Quick, facts: vec![up(&answers)], ..Report::default() };
    let clients = Clients::of(plan, pki)?;
    let engines = Engine::all(plan, outside, &clients, &mut Stations::new(plan))?;
    let (inner, failed) = start(&engines)?;
    outside.alive()?;
    report.facts.extend(failed);
    report.facts.push(unasked(plan));
    stage("from the wire");
    let mut team = Team::new(plan, outside, pki)?;
    let ports = Ports::of(plan, extent == Extent::Whole);
    let ((cells, asked), egress) = egress::watched(plan, &outside.fabric, &outside.topology, &team.late(), || {
        let mut cells = team.ask(&questions(plan, &inner, &ports))?;
        stage("from containers");
        let of = |vantage: &Vantage| engine(&engines, vantage).is_some();
        let vantages = Vantage::inside(plan).into_iter().filter(of).collect();
        let (within, asked) = asker::ask_through(plan, outside, &inner, &ports, vantages, |vantage, sheet| {
            let Vantage::Container(_, network) = vantage else { anyhow::bail!("{vantage} is no container") };
            engine(&engines, vantage).context("a container without a daemon")?.probe(network, sheet)
        })?;
        cells.extend(within);
        Ok((cells, asked))
    })?;
    outside.alive()?;
    let deaf = |name: &DaemonName| plan.daemons.get(name).is_none_or(|daemon| daemon.api.is_none());
    let mut asked_for = plan.clone();
    asked_for.expects.retain(|expect| is_asked(expect, deaf));
    report.facts.extend(expects::facts(&asked_for, &cells));
    report.cells = cells;
    report.facts.extend(egress);
    report.probes = team.probes() + asked;
    report.frames = outside.fabric.report()?.captured;
    Ok(report)
}

/// Starts the probe containers of all daemons at once; a daemon that does not is a red fact.
fn start(engines: &[Engine<'_>]) -> Result<(Vec<Inner>, Vec<Fact>)> {
    std::thread::scope(|scope| {
        let starting: Vec<_> = engines.iter().map(|engine| scope.spawn(|| engine.start_probes())).collect();
        let (mut inner, mut failed) = (Vec::new(), Vec::new());
        for (engine, thread) in engines.iter().zip(starting) {
            match thread.join() {
                Ok(Ok(addresses)) => inner.extend(addresses),
                Ok(Err(error)) => {
                    let (name, found) = (format!("probe containers of {}", engine.name()), format!("{error:#}"));
                    failed.push(Fact { name, holds: false, found });
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok((inner, failed))
    })
}

fn engine<'e, 'a>(engines: &'e [Engine<'a>], vantage: &Vantage) -> Option<&'e Engine<'a>> {
    match vantage {
        Vantage::Container(name, Network::Default | Network::User) => {
            engines.iter().find(|engine| engine.name() == name)
        }
        // Those on networks of the spec are not started.
        Vantage::Container(_, Network::Declared(_))
        | Vantage::Vlan(_)
        | Vantage::Beyond(_)
        | Vantage::Trunk(_)
        | Vantage::Host => None,
    }
}

/// That it booted by itself, and how long that took.
fn up(answers: &[Served]) -> Fact {
    let last = answers.iter().map(|answer| answer.after).max().unwrap_or_default();
    let found = format!("{} services answer, the last after {:.1} s", answers.len(), last.as_secs_f64());
    Fact { name: "boot by the firmware".to_owned(), holds: true, found }
}

/// What is left to the lane with an agent: it is told, so that nobody takes it for proven here.
fn unasked(plan: &HostPlan) -> Fact {
    let deaf = |name: &DaemonName| plan.daemons.get(name).is_none_or(|daemon| daemon.api.is_none());
    let mut left = vec![
        "what the host itself reaches, where daemons and containers may go, sockets, units, hostile frames".to_owned(),
    ];
    let containers = plan.daemons.keys().filter(|name| deaf(name));
    left.extend(containers.map(|name| format!("containers of {name}, which has no API on a network")));
    let networks = plan.daemons.values().filter(|daemon| !daemon.networks.is_empty());
    left.extend(networks.map(|daemon| format!("containers on the networks of {}", daemon.name)));
    left.extend(plan.expects.iter().filter(|expect| !is_asked(expect, deaf)).map(|expect| expect.path.clone()));
    Fact { name: "not asked with --truth".to_owned(), holds: true, found: left.join("\n") }
}

/// Whether cells of this lane decide a line of the user's.
fn is_asked(expect: &Expect, deaf: impl Fn(&DaemonName) -> bool) -> bool {
    match &expect.from {
        plan::Vantage::Vlan(_) | plan::Vantage::Beyond(_) | plan::Vantage::Trunk(_) => true,
        plan::Vantage::Container(name) => !deaf(name),
        plan::Vantage::Host => false,
    }
}
