//! `dmhost run`: the image on this terminal.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::anyhow;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use vm_tests::bed::run_on_terminal;

use super::image::Image;
use super::trials::Trials;
use super::verify::dead_or_machine;
use super::{cache_dir, plan, tools};
use crate::args;
use crate::failure::Failure;
use crate::interrupt::{self, AtForcedEnd};
use crate::terminal::Terminal;

/// What a session begins with.
pub(super) const LEAVE: &str = "Leave with `poweroff`, or with Ctrl-A x. Nothing is written back.";

/// Refuses a session that nobody sits at.
pub(super) fn session(command: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::Usage(anyhow!("`dmhost {command}` is a session: standard input has to be a terminal")))
}

pub(super) fn run(args: &args::Run, terminal: &Terminal) -> Result<(), Failure> {
    session("run")?;
    let plan = plan(&args.machine.spec.path, terminal)?;
    let cache = cache_dir(&args.machine.cache)?;
    let pki = super::build::pki(&args.machine.spec.path, &plan)?;
    tools::preflight()?;
    let image = Image::of(&args.machine, &plan, &pki, &cache, terminal)?;
    terminal.say(LEAVE);
    let request = image.request(&args.machine, &plan, &cache, None);
    interrupt::orderly(|| {
        let _trials = Trials::of(&cache);
        let _modes = Modes::save();
        run_on_terminal(&request, &mut |text| terminal.say(text)).map_err(dead_or_machine)
    })
}

/// How the terminal was, which QEMU makes raw: put back when dropped, also where QEMU was killed and could not.
pub(super) struct Modes {
    settings: Arc<Settings>,
    _forced: AtForcedEnd,
}

/// What QEMU changes of standard input: line discipline, and whether reads block.
struct Settings(Option<Termios>, Option<OFlags>);

impl Modes {
    pub(super) fn save() -> Self {
        let settings = Arc::new(Settings(tcgetattr(stdin()).ok(), fcntl_getfl(stdin()).ok()));
        let forced = Arc::clone(&settings);
        Self { settings, _forced: AtForcedEnd::new(move || forced.put_back()) }
    }
}

impl Settings {
    /// A terminal that is gone needs nothing.
    fn put_back(&self) {
        if let Some(flags) = self.1 {
            let _ = fcntl_setfl(stdin(), flags);
        }
        if let Some(termios) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, termios);
        }
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.settings.put_back();
    }
}
