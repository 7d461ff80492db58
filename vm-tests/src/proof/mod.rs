//! Who can reach what: questions from the plan, answers from frames.
//!
//! * [`question`]: every vantage asks every address; the promise comes from the plan alone;
//! * [`topology`], [`stations`]: the host's wires on the fabric, and who stands on them;
//! * [`inside`], [`containers`], [`clients`]: what the guest says of itself, something to reach in it, and who may;
//! * [`canaries`], [`observe`], [`team`]: asking from the wire, and judging by the frames that were seen; [`egress`]: judging all others
//!   too; [`asker`]: asking from inside;
//! * [`watchers`]: console, journal and units meanwhile;
//! * [`expects`]: the user's own lines of the proof;
//! * [`timeline`]: how the host booted; [`report`]: what was found.

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
pub mod team;
pub mod timeline;
pub mod topology;
pub mod watchers;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;
use dmhost_pki::Pki;

use crate::bed::{BedRequest, Testbed};
use question::{Ports, questions};
use report::{Fact, Report};
use team::Team;
use watchers::Watching;

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// The whole matrix, but of TCP the ports in use and 1,000 random ones instead of all 65,535.
    Quick,
}

/// Told of each stage as it begins.
pub type Stage<'a> = &'a mut dyn FnMut(&str);

/// Boots the image and proves the plan on it. With `fresh` it is booted even if there is a saved state of it, and none is made.
///
/// # Errors
/// If the machine cannot be booted or ends, or the harness fails: a [`crate::vm::Verdict`] in the chain tells which. A host
/// that is not as planned is no error but a report that does not hold.
pub fn verify(request: &BedRequest<'_>, pki: &Pki, extent: Extent, fresh: bool, stage: Stage<'_>) -> Result<Report> {
    stage("boot");
    let bed = if fresh { Testbed::boot(request, stage)? } else { Testbed::settled(request, stage)? };
    let report = prove(request.plan, &bed, pki, extent, stage)?;
    report.keep(request, &bed)?;
    Ok(report)
}

/// Proves the plan on a booted host.
///
/// # Errors
/// As [`verify`].
pub fn prove(plan: &HostPlan, bed: &Testbed, pki: &Pki, extent: Extent, stage: Stage<'_>) -> Result<Report> {
    stage("daemons and their sockets");
    let mut report =
        Report { quick: extent == Extent::Quick, facts: inside::facts(plan, &bed.guest)?, ..Report::default() };
    report.boot = timeline::timeline(&bed.guest)?;
    stage("probe containers");
    let inner = containers::start(plan, &bed.guest).or_else(|error| {
        bed.alive()?;
        report.facts.push(Fact { name: "probe containers".to_owned(), holds: false, found: format!("{error:#}") });
        anyhow::Ok(Vec::new())
    })?;
    let watching = Watching::begin(plan, bed)?;
    stage("canaries");
    let mut team = Team::new(plan, bed, pki)?;
    let ports = Ports::of(plan, extent == Extent::Whole);
    let ((cells, asked), egress) = egress::watched(plan, &bed.fabric, &bed.topology, || {
        stage("TCP ports from the wire");
        let wires = questions(plan, &inner, &ports);
        let scanned = team.scan(&wires)?;
        stage("all else from the wire; from containers and the host");
        let (cells, within) = std::thread::scope(|scope| {
            let within = scope.spawn(|| asker::ask(plan, bed, &inner, &ports));
            let cells = team.converse(&wires, scanned);
            (cells, within.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (mut cells, (within, asked)) = (cells?, within?);
        cells.extend(within);
        Ok((cells, asked))
    })?;
    report.facts.extend(expects::facts(plan, &cells));
    report.cells = cells;
    report.facts.push(egress);
    report.facts.extend(watching.facts(plan, bed)?);
    report.probes = team.probes() + asked;
    report.frames = bed.fabric.report()?.captured;
    Ok(report)
}
