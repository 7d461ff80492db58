//! `dmhost lab`: a program, or a shell, on one of the host's networks.

use std::path::Path;

use anyhow::Context;
use dmhost_pki::Pki;
use vm_tests::lab::{self, Lab, Place};
use vm_tests::proof::question::Vantage;

use super::image::Image;
use super::trials::Trials;
use super::verify::dead_or_machine;
use super::{cache_dir, plan, tools};
use crate::args::{self, Standing};
use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Lab, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.machine.spec.path, terminal)?;
    let cache = cache_dir(&args.machine.cache)?;
    let pki = super::build::pki(&args.machine.spec.path, &plan)?;
    let folder =
        camino::absolute_utf8(Pki::path_for(&args.machine.spec.path)).context("cannot tell where the PKI is")?;
    let on = match &args.on {
        Standing::Vlan(name) => Vantage::Vlan(name.clone()),
        Standing::Trunk(name) => Vantage::Trunk(name.clone()),
    };
    // Before an image is made for it.
    Place::on(&plan, &on, &folder, &args.who).map_err(Failure::Usage)?;
    tools::preflight()?;
    let image = Image::of(&args.machine, &plan, &pki, &cache, terminal)?;
    let request = image.request(&args.machine, &plan, &cache, args.report.as_deref());
    let fresh = args.fresh || args.machine.image.is_none();
    let program = if args.program.is_empty() { vec![shell()] } else { args.program.clone() };
    let own = std::env::current_exe().context("this program does not know its own path")?;
    let helper = [own.display().to_string(), "lab-inside".to_owned()];
    let status = interrupt::orderly(|| {
        let _trials = Trials::of(&cache);
        let booting = terminal.step("boot");
        let lab = Lab::open(&request, &on, (&folder, &args.who), fresh, &mut |text| terminal.say(text))
            .map_err(dead_or_machine)?;
        booting.done("");
        lab.run(&helper, &program).map_err(dead_or_machine)
    })?;
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Failure::Program(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))),
    }
}

/// The user's shell.
fn shell() -> String {
    std::env::var("SHELL").ok().filter(|shell| !shell.is_empty()).unwrap_or_else(|| "sh".to_owned())
}

/// What [`run`] runs in the namespace.
pub(super) fn inside(file: &Path, program: &[String]) -> Result<(), Failure> {
    match lab::inside::run(file, program)? {
        0 => Ok(()),
        code => Err(Failure::Program(code)),
    }
}
