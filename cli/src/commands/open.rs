//! `dmhost open`: a capsule on this terminal.

use anyhow::anyhow;
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
    session("open")?;
    let capsule = &args.capsule;
    if !capsule.is_dir() {
        return Err(Failure::Usage(anyhow!("{capsule} is no folder; `dmhost verify --keep` makes a capsule")));
    }
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
