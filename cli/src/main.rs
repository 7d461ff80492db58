//! `dmhost`: reads the command line, has a library do the work, says how it went.

mod args;
mod commands;
mod failure;
mod interrupt;
mod scratch;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.output, cli.color);
    if let Err(error) = interrupt::watch() {
        terminal.say(format!("error: cannot watch for signals: {error}"));
        return ExitCode::from(3);
    }
    match commands::run(cli.command, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.fail(&failure);
            failure.exit_code()
        }
    }
}
