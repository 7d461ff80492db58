//! What a command that did not succeed says, and the exit code that goes with it.

use std::fmt;
use std::process::ExitCode;

/// Why a command ends without a yes.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no, and it has been printed: a bad spec, a failed proof.
    No,
    /// The question cannot be asked: bad arguments, no such file.
    Usage(anyhow::Error),
    /// The machine cannot do it: a missing tool, no space, no network.
    Machine(anyhow::Error),
}

impl Failure {
    /// The exit code: 1, 2 or 3.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::No => 1,
            Self::Usage(_) => 2,
            Self::Machine(_) => 3,
        })
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
            Self::No => Ok(()),
            Self::Usage(error) | Self::Machine(error) => write!(f, "error: {error:#}"),
        }
    }
}
