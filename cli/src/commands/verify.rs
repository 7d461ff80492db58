//! `dmhost verify`: boots the image and prints who can reach what.

use anyhow::{Context, anyhow};
use dmhost_layout::HostPlan;
use vm_tests::bed::capsule::Keep;
use vm_tests::proof::report::Report;
use vm_tests::proof::{self, Extent};
use vm_tests::truth;
use vm_tests::vm::Verdict;

use super::image::Image;
use super::trials::Trials;
use super::{cache_dir, plan, read_spec, tools};
use crate::args::{self, Accel};
use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::{Step, Terminal};

pub(super) fn run(args: &args::Verify, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.machine.spec.path, terminal)?;
    let cache = cache_dir(&args.machine.cache)?;
    let pki = super::build::pki(&args.machine.spec.path, &plan)?;
    if let Some(folder) = args.keep.as_ref().filter(|folder| folder.exists()) {
        return Err(Failure::Usage(anyhow!("{folder} is there already, and a capsule goes into a folder of its own")));
    }
    tools::preflight()?;
    if args.truth {
        truth::preflight().map_err(dead_or_machine)?;
    }
    let image = Image::of(&args.machine, &plan, &pki, &cache, terminal)?;
    let request = image.request(&args.machine, &plan, &cache, args.report.as_deref());
    let text = args.keep.as_ref().map(|_| read_spec(&args.machine.spec.path)).transpose()?;
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default());
    let keep = args.keep.as_deref().map(|folder| Keep { folder, spec: &text });
    let extent = if args.quick { Extent::Quick } else { Extent::Whole };
    // An image that goes with this run is never booted again.
    let fresh = args.fresh || args.machine.image.is_none();
    let report = interrupt::orderly(|| {
        let _trials = Trials::of(&cache);
        let mut under_way: Option<Step<'_>> = None;
        let prove = |stage: proof::Stage<'_>| {
            if args.truth {
                truth::verify(&request, &pki, extent, stage)
            } else {
                proof::verify(&request, &pki, extent, fresh, keep, stage)
            }
        };
        let report = prove(&mut |stage: &str| {
            interrupt::check();
            if let Some(step) = under_way.take() {
                step.done("");
            }
            under_way = Some(terminal.step(stage));
        })
        .map_err(dead_or_machine)?;
        if let Some(step) = under_way.take() {
            step.done("");
        }
        Ok(report)
    })?;
    print(&plan, &report, terminal)?;
    if report.holds() {
        return Ok(());
    }
    if let Some(folder) = &args.keep {
        terminal.say(format!("the host as it was: `dmhost open {folder}`"));
    }
    Err(Failure::No)
}

fn print(plan: &HostPlan, report: &Report, terminal: &Terminal) -> Result<(), Failure> {
    if terminal.json() {
        terminal.print(format!("{:#}", report.to_json().context("the report cannot be written as JSON")?))
    } else {
        terminal.print(format!("Who reaches what on {}\n\n{}", plan.host.name, report.text(terminal.color_out())))
    }
}

/// A host that panics or stalls is a no; all else that ends a run is the machine's.
pub(super) fn dead_or_machine(error: anyhow::Error) -> Failure {
    let verdict = error.chain().find_map(|cause| cause.downcast_ref::<Verdict>());
    match verdict {
        Some(Verdict::Panic(_) | Verdict::Stall(_)) => Failure::Dead(error),
        Some(Verdict::Pass | Verdict::Fail(_) | Verdict::Infrastructure(_)) | None => Failure::Machine(error),
    }
}

/// The library's word for a choice of the command line.
pub(super) fn accel(accel: Accel) -> vm_tests::vm::Accel {
    match accel {
        Accel::Auto => vm_tests::vm::Accel::Auto,
        Accel::Kvm => vm_tests::vm::Accel::Kvm,
        Accel::Tcg => vm_tests::vm::Accel::Tcg,
    }
}
