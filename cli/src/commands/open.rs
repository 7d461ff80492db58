//! `dmhost open`: a capsule on this terminal.

use vm_tests::bed::capsule;

use super::run::{LEAVE, Modes, session};
use super::trials::Trials;
use super::verify::{accel, dead_or_machine};
use super::{cache_dir, tools};
use crate::args;
use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Open, terminal: &Terminal) -> Result<(), Failure> {
    let capsule = &args.capsule;
    capsule::check(capsule).map_err(Failure::Usage)?;
    session("open")?;
    let cache = cache_dir(&args.cache)?;
    tools::preflight()?;
    terminal.say(LEAVE);
    interrupt::orderly(|| {
        let _trials = Trials::of(&cache);
        let _modes = Modes::save();
        capsule::open(capsule, accel(args.accel), cache.as_std_path(), &mut |text| terminal.say(text))
            .map_err(dead_or_machine)
    })
}
