//! `dmhost run`: the image on this terminal.

use std::io::IsTerminal;

use anyhow::anyhow;
use vm_tests::bed::{BedRequest, run_on_terminal};

use super::image::Image;
use super::verify::accel;
use super::{cache_dir, plan};
use crate::args;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Run, terminal: &Terminal) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(anyhow!("`dmhost run` is a session: standard input has to be a terminal")));
    }
    let plan = plan(&args.machine.spec.path, terminal)?;
    let cache = cache_dir(&args.machine.cache)?;
    let pki = super::build::pki(&args.machine.spec.path, &plan)?;
    let image = Image::of(&args.machine, &plan, &pki, &cache, terminal)?;
    terminal.say("Leave with `poweroff`, or with Ctrl-A x. Nothing is written back.");
    run_on_terminal(&BedRequest {
        plan: &plan,
        image: image.path(),
        accel: accel(args.machine.accel),
        cache_dir: cache.as_std_path(),
        report: None,
    })?;
    Ok(())
}
