//! `dmhost pki`: certificates beside the spec.

mod init;
mod show;

use crate::args;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(command: &args::Pki, terminal: &Terminal) -> Result<(), Failure> {
    match command {
        args::Pki::Init(args) => init::run(args, terminal),
        args::Pki::Show(args) => show::run(args, terminal),
    }
}
