//! Who can reach what: questions from the plan, answers from frames.
//!
//! * [`question`]: every vantage asks every address; the promise comes from the plan alone;
//! * [`topology`], [`stations`]: the host's wires on the fabric, and who stands on them;
//! * [`inside`], [`containers`], [`clients`]: what the guest says of itself, something to reach in it, and who may;
//! * [`canaries`], [`observe`]: asking from the wire, and judging by the frames that were seen; [`egress`]: judging all others
//!   too; [`asker`]: asking from inside;
//! * [`expects`]: the user's own lines of the proof;
//! * [`report`]: what was found.

pub mod asker;
pub mod canaries;
pub mod clients;
pub mod containers;
pub mod egress;
pub mod expects;
pub mod inside;
pub mod observe;
pub mod question;
pub mod report;
pub mod stations;
pub mod topology;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;

use crate::bed::{BedRequest, Testbed};
use observe::Observer;
use question::{Ports, Question, questions};
use report::{Cell, Fact, Report};

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
    stage("canaries");
    let mut observer = Observer::new(plan, bed, pki)?;
    let ports = Ports::of(plan);
    let ((cells, asked), egress) = egress::watched(plan, &bed.fabric, &bed.topology, || {
        let mut cells = ask(&questions(plan, &inner, &ports), &mut observer, stage)?;
        stage("containers and host");
        let (within, asked) = asker::ask(plan, bed, &inner, &ports)?;
        cells.extend(within);
        Ok((cells, asked))
    })?;
    report.facts.extend(expects::facts(plan, &cells));
    report.cells = cells;
    report.facts.push(egress);
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
