//! Who can reach what: questions from the plan, answers from frames.
//!
//! * [`question`]: every vantage asks every address; the promise comes from the plan alone;
//! * [`topology`], [`stations`]: the host's wires on the fabric, and who stands on them;
//! * [`inside`], [`containers`], [`clients`]: what the guest says of itself, something to reach in it, and who may;
//! * [`canaries`], [`observe`]: asking from the wire, and judging by the frames that were seen; [`egress`]: judging all others
//!   too; [`asker`]: asking from inside;
//! * [`hostile`]: frames that no honest neighbour sends, from the wire and from containers;
//! * [`watchers`]: console, journal and units meanwhile;
//! * [`expects`]: the user's own lines of the proof;
//! * [`report`]: what was found.

pub mod asker;
pub mod canaries;
pub mod clients;
pub mod containers;
pub mod egress;
pub mod expects;
pub mod hostile;
pub mod inside;
pub mod observe;
pub mod question;
pub mod report;
pub mod stations;
pub mod topology;
pub mod watchers;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;

use crate::bed::{BedRequest, Testbed};
use observe::Observer;
use question::{Ask, Ports, Question, Vantage, Verdict, questions};
use report::{Cell, Fact, Report};
use watchers::Watching;

/// Told of each stage as it begins.
pub type Stage<'a> = &'a mut dyn FnMut(&str);

/// Boots the image and proves the plan on it.
///
/// # Errors
/// If the machine cannot be booted or ends, or the harness fails: a [`crate::vm::Verdict`] in the chain tells which. A host
/// that is not as planned is no error but a report that does not hold.
pub fn verify(request: &BedRequest<'_>, pki: &Pki, stage: Stage<'_>) -> Result<Report> {
    stage("boot");
    let bed = Testbed::boot(request)?;
    prove(request.plan, &bed, pki, stage)
}

/// Proves the plan on a booted host.
///
/// # Errors
/// As [`verify`].
pub fn prove(plan: &HostPlan, bed: &Testbed, pki: &Pki, stage: Stage<'_>) -> Result<Report> {
    stage("daemons and their sockets");
    let mut report = Report { facts: inside::facts(plan, &bed.guest)?, ..Report::default() };
    stage("probe containers");
    let inner = containers::start(plan, &bed.guest).or_else(|error| {
        bed.alive()?;
        report.facts.push(Fact { name: "probe containers".to_owned(), holds: false, found: format!("{error:#}") });
        anyhow::Ok(Vec::new())
    })?;
    let watching = Watching::begin(plan, bed)?;
    stage("canaries");
    let mut observer = Observer::new(plan, bed, pki)?;
    let ports = Ports::of(plan);
    let ((cells, hostile, asked), egress) = egress::watched(plan, &bed.fabric, &bed.topology, || {
        let mut cells = ask(&questions(plan, &inner, &ports), &mut observer, stage)?;
        stage("containers and host");
        let (within, asked) = asker::ask(plan, bed, &inner, &ports)?;
        cells.extend(within);
        stage("hostile frames");
        let mut hostile = hostile::facts(plan, bed, &inner, observer.hands())?;
        hostile.push(serves_after(&cells, &mut observer)?);
        Ok((cells, hostile, asked))
    })?;
    report.facts.extend(hostile);
    report.facts.extend(expects::facts(plan, &cells));
    report.cells = cells;
    report.facts.push(egress);
    report.facts.extend(watching.facts(plan, bed)?);
    report.probes = observer.probes() + asked;
    report.frames = bed.fabric.report()?.captured;
    Ok(report)
}

/// The whole matrix, vantage by vantage.
fn ask(questions: &[Question], observer: &mut Observer<'_>, stage: Stage<'_>) -> Result<Vec<Cell>> {
    let mut from = None;
    let mut cells = Vec::with_capacity(questions.len());
    for group in questions.chunk_by(|one, next| one.vantage == next.vantage && one.target == next.target) {
        let vantage = group.first().map(|Question { vantage, .. }| vantage);
        if vantage != from {
            from = vantage;
            stage(&from.map(ToString::to_string).unwrap_or_default());
        }
        cells.extend(observer.ask(group)?);
    }
    Ok(cells)
}

/// Asks once more for everything that serves from the segments, after all that was done to the host.
fn serves_after(cells: &[Cell], observer: &mut Observer<'_>) -> Result<Fact> {
    let served = |cell: &&Cell| {
        let near = matches!(cell.question.vantage, Vantage::Vlan(_));
        // A neighbour tells nothing of a service.
        near && cell.holds() && cell.observed == Verdict::Serves && cell.question.ask != Ask::Neighbour
    };
    let again: Vec<Question> = cells.iter().filter(served).map(|cell| cell.question.clone()).collect();
    let mut lost = Vec::new();
    for group in again.chunk_by(|one, next| one.vantage == next.vantage && one.target == next.target) {
        for cell in observer.ask(group)?.iter().filter(|cell| !cell.holds()) {
            let Question { vantage, target, ask, .. } = &cell.question;
            lost.push(format!("{vantage} -> {target} {ask}: {}", cell.observed));
        }
    }
    let found =
        if lost.is_empty() { format!("{} questions are served as before", again.len()) } else { lost.join("\n") };
    Ok(Fact { name: "hostile: everything serves after".to_owned(), holds: lost.is_empty() && !again.is_empty(), found })
}
