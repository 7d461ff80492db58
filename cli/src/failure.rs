//! What a command that did not succeed says, and the exit code that goes with it.

use std::fmt;
use std::process::ExitCode;

use dmhost_images::MachineError;

/// Why a command ends without a yes.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no, and it has been printed: a bad spec, a failed proof.
    No,
    /// The answer is no since the host did not get as far as being asked: it panicked, or stalled.
    Dead(anyhow::Error),
    /// The question cannot be asked: bad arguments, no such file.
    Usage(anyhow::Error),
    /// The machine cannot do it: a missing tool, no space, no network.
    Machine(anyhow::Error),
    /// The program that was run for the user ended with this code; it has said why.
    Program(u8),
    /// A signal came first.
    Interrupted(i32),
}

impl Failure {
    /// The exit code: 1, 2 or 3, a program's own, or 128 and the signal.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::No | Self::Dead(_) => 1,
            Self::Usage(_) => 2,
            Self::Machine(_) => 3,
            Self::Program(code) => *code,
            // Signals end at 64.
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// The same for `main`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// What the files that were named cannot do is usage; what the system refuses on the way is the machine's.
    pub(crate) fn of_input(error: anyhow::Error) -> Self {
        if error.is::<MachineError>()
            || error.chain().any(|cause| cause.is::<MachineError>() || cause.is::<std::io::Error>())
        {
            Self::Machine(error)
        } else {
            Self::Usage(error)
        }
    }
}

/// What the shell crates report is the machine's, unless a command says otherwise.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Machine(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No | Self::Program(_) => Ok(()),
            Self::Dead(error) | Self::Usage(error) | Self::Machine(error) => write!(f, "error: {error:#}"),
            Self::Interrupted(signal) => {
                let name = signal_hook::low_level::signal_name(*signal).unwrap_or("a signal");
                write!(f, "interrupted by {name}; nothing was left behind")
            }
        }
    }
}
