//! Who can reach what: questions from the plan, answers from frames.
//!
//! * [`question`]: every vantage asks every address; the promise comes from the plan alone;
//! * [`topology`], [`stations`], [`routers`]: the host's wires on the fabric, and who stands on them;
//! * [`inside`], [`containers`], [`clients`]: what the guest says of itself, something to reach in it, and who may;
//! * [`canaries`], [`observe`], [`team`]: asking from the wire, and judging by the frames that were seen; [`egress`]: judging all others
//!   too, [`late`]: and answers that come late; `again`: by a client that comes back; [`asker`]: asking from inside; `loopback`: what a namespace says to itself;
//! * `destinations`: where daemons and containers may go;
//! * [`hostile`]: frames that no honest neighbour sends, from the wire and from containers;
//! * [`watchers`]: console, journal and units meanwhile; `told`: what the log has of refusals;
//! * [`expects`]: the user's own lines of the proof;
//! * [`timeline`]: how the host booted; [`report`]: what was found.

mod again;
pub mod asker;
pub mod canaries;
pub mod clients;
pub mod containers;
mod destinations;
pub mod egress;
pub mod expects;
pub mod hostile;
pub mod inside;
pub mod late;
mod loopback;
pub mod observe;
pub mod question;
pub mod report;
pub mod routers;
pub mod stations;
pub mod team;
pub mod timeline;
mod told;
pub mod topology;
pub mod watchers;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;

use crate::bed::capsule::Keep;
use crate::bed::{BedRequest, Testbed};
use question::{Ask, Inner, Ports, Question, Vantage, Verdict, questions};
use report::{Cell, Fact, Report};
use team::Team;
use watchers::Watching;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// The whole matrix, but of TCP the ports in use and 1,000 random ones instead of all 65,535, and no hostile frames.
    Quick,
    /// [`Extent::Quick`] and hostile frames, until something is not as planned: what a mutant takes.
    UntilRed,
}

/// Told of each stage as it begins.
pub type Stage<'a> = &'a mut dyn FnMut(&str);

/// Boots the image and proves the plan on it. With `fresh` it is booted even if there is a saved state of it, and none is made.
/// A host that is not as planned is kept where `keep` says.
///
/// # Errors
/// If the machine cannot be booted or ends, or the harness fails: a [`crate::vm::Verdict`] in the chain tells which. A host
/// that is not as planned is no error but a report that does not hold.
pub fn verify(
    request: &BedRequest<'_>,
    pki: &Pki,
    extent: Extent,
    fresh: bool,
    keep: Option<Keep<'_>>,
    stage: Stage<'_>,
) -> Result<Report> {
    stage("boot");
    let bed = if fresh { Testbed::boot(request, stage)? } else { containers::settled(request, stage)? };
    let report = prove(request.plan, &bed, pki, extent, stage)?;
    report.keep(request, &bed)?;
    if let Some(keep) = keep.filter(|_| !report.holds()) {
        stage("a capsule of it");
        keep.keep(request, bed)?;
    }
    Ok(report)
}

/// Proves the plan on a booted host.
///
/// # Errors
/// As [`verify`].
pub fn prove(plan: &HostPlan, bed: &Testbed, pki: &Pki, extent: Extent, stage: Stage<'_>) -> Result<Report> {
    let plan = &routers::known(plan);
    stage("daemons and their sockets");
    let mut report =
        Report { quick: extent != Extent::Whole, facts: inside::facts(plan, &bed.guest)?, ..Report::default() };
    let until_red = extent == Extent::UntilRed;
    if until_red && !report.holds() {
        return Ok(report);
    }
    report.boot = timeline::timeline(&bed.guest)?;
    stage("probe containers");
    let inner = containers::start(plan, &bed.guest).or_else(|error| {
        bed.alive()?;
        report.facts.push(Fact { name: "probe containers".to_owned(), holds: false, found: format!("{error:#}") });
        anyhow::Ok(Vec::new())
    })?;
    let watching = Watching::begin(plan, bed)?;
    stage("canaries");
    let mut team = Team::new(plan, bed, pki)?.until_red(until_red);
    let ports = Ports::of(plan, extent == Extent::Whole);
    let ((cells, facts, asked), egress) = egress::watched(plan, &bed.fabric, &bed.topology, &team.late(), || {
        let (cells, asked) = matrix(plan, bed, &inner, &ports, &mut team, stage)?;
        let enough =
            |facts: &[Fact]| until_red && !(cells.iter().all(Cell::holds) && facts.iter().all(|fact| fact.holds));
        let mut facts = Vec::new();
        if !enough(&facts) {
            stage("where daemons and containers may go");
            facts = std::thread::scope(|scope| {
                // No frame tells of it.
                let within = scope.spawn(|| loopback::facts(plan, bed));
                let out = destinations::facts(plan, bed, &inner, team.hands(), until_red)?;
                let within = within.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                anyhow::Ok([within, out].concat())
            })?;
        }
        if !enough(&facts) {
            facts.extend(told::facts(plan, bed, &cells, &mut team)?);
            facts.extend(again::fact(plan, bed, team.hands())?);
        }
        if extent != Extent::Quick && !enough(&facts) {
            facts.extend(hostile::facts(plan, bed, &inner, team.hands(), until_red, stage)?);
        }
        if extent == Extent::Whole {
            stage("everything that serves, once more");
            facts.push(serves_after(&cells, &mut team)?);
        }
        Ok((cells, facts, asked))
    })?;
    // Where questions were left out, some of the user's lines were not asked.
    if !team.halted() {
        report.facts.extend(expects::facts(plan, &cells));
    }
    report.facts.extend(facts);
    report.cells = cells;
    report.facts.extend(egress);
    report.facts.extend(watching.facts(plan, bed)?);
    report.probes = team.probes() + asked;
    report.frames = bed.fabric.report()?.captured;
    Ok(report)
}

/// A part of the proof.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// The row of hostile frames from the wire with this name.
    Hostile(&'static str),
    /// What that row changes of addresses and routes.
    Routes(&'static str),
    /// The rows of hostile frames from containers.
    Containers,
    /// Questions from the wire.
    Cells(fn(&Question) -> bool),
}

/// What of a part is not as planned, on a booted host, after what is done to it first. What leaves the host is watched from then on.
///
/// # Errors
/// As [`verify`], and those of what is done first.
pub fn prove_part(
    plan: &HostPlan,
    bed: &Testbed,
    pki: &Pki,
    part: Part,
    first: impl FnOnce() -> Result<()>,
) -> Result<Option<String>> {
    let plan = &routers::known(plan);
    let inner = containers::start(plan, &bed.guest)?;
    let mut team = Team::new(plan, bed, pki)?;
    let mut report = Report::default();
    let ((), egress) = egress::watched(plan, &bed.fabric, &bed.topology, &team.late(), || {
        first()?;
        match part {
            Part::Hostile(name) | Part::Routes(name) => {
                let _gateways = asker::Gateways::play(plan, bed)?;
                let [row, unchanged] = hostile::row(plan, bed, &inner, team.hands(), name)?;
                report.facts.push(if matches!(part, Part::Routes(_)) { unchanged } else { row });
            }
            Part::Containers => report.facts.extend(hostile::containers(plan, bed, &inner, team.hands())?),
            Part::Cells(asked) => {
                let mut all = questions(plan, &inner, &Ports::of(plan, false));
                all.retain(asked);
                anyhow::ensure!(!all.is_empty(), "nothing is asked");
                report.cells = team.ask(&all)?;
            }
        }
        Ok(())
    })?;
    report.facts.extend(egress);
    Ok(report.first_red())
}

/// Asks every question; gives the cells, and how many probes it took from inside.
fn matrix(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    ports: &Ports,
    team: &mut Team<'_>,
    stage: Stage<'_>,
) -> Result<(Vec<Cell>, u64)> {
    stage("TCP ports from the wire; from containers and the host");
    let wires = questions(plan, inner, ports);
    // Where containers are on a segment, they and their daemon ask for each other on the wire: not while that is asked for them.
    let (after, beside): (Vec<_>, Vec<_>) = Vantage::inside(plan).into_iter().partition(|vantage| match vantage {
        Vantage::Container(name, _) => plan.daemons[name].networks.iter().any(|on| on.driver.parent().is_some()),
        Vantage::Host | Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) => false,
    });
    let inside = || asker::ask(plan, bed, inner, ports, &beside);
    std::thread::scope(|scope| {
        // Scans of all ports keep that processor of the guest busy which serves the NIC with the most VLANs: the other one has a turn for
        // the probes inside.
        let within = ports.every.then(|| scope.spawn(inside));
        let scanned = team.scan(&wires)?;
        if team.halted() {
            return Ok((scanned.cells(), 0));
        }
        stage("all else from the wire; from containers and the host");
        let within = within.unwrap_or_else(|| scope.spawn(inside));
        let mut cells = team.converse(&wires, scanned)?;
        let (more, mut asked) = within.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        cells.extend(more);
        if !after.is_empty() && !team.halted() {
            let (more, by_those) = asker::ask(plan, bed, inner, ports, &after)?;
            cells.extend(more);
            asked += by_those;
        }
        Ok((cells, asked))
    })
}

/// Asks once more for everything that serves from the segments, after all that was done to the host.
fn serves_after(cells: &[Cell], team: &mut Team<'_>) -> Result<Fact> {
    let served = |cell: &&Cell| {
        let near = matches!(cell.question.vantage, Vantage::Vlan(_));
        // A neighbour tells nothing of a service.
        near && cell.holds() && cell.observed == Verdict::Serves && cell.question.ask != Ask::Neighbour
    };
    let again: Vec<Question> = cells.iter().filter(served).map(|cell| cell.question.clone()).collect();
    let mut lost = Vec::new();
    for cell in team.ask(&again)?.iter().filter(|cell| !cell.holds()) {
        let Question { vantage, target, ask, .. } = &cell.question;
        lost.push(format!("{vantage} -> {target} {ask}: {}", cell.observed));
    }
    let found =
        if lost.is_empty() { format!("{} questions are served as before", again.len()) } else { lost.join("\n") };
    Ok(Fact { name: "hostile: everything serves after".to_owned(), holds: lost.is_empty() && !again.is_empty(), found })
}
