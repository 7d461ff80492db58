//! How a run ended. A verdict other than [`Verdict::Pass`] is also an error, so that it travels through `anyhow` and
//! is found again at the end by [`Verdict::of`].

use std::fmt;

/// How a run with a virtual machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What was asked holds.
    Pass,
    /// The guest ran well and what was asked does not hold.
    Fail(String),
    /// The guest's kernel died; the console line that says so.
    Panic(String),
    /// The guest made no progress, or not enough, before the deadline.
    Stall(String),
    /// QEMU, the machine or the harness is at fault. Never a skip.
    Infrastructure(String),
}

impl Verdict {
    /// The verdict that a result carries: the one in its chain of errors, else [`Verdict::Fail`] with the whole chain.
    pub fn of<T>(result: &anyhow::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Pass,
            Err(error) => match error.chain().find_map(|cause| cause.downcast_ref::<Self>()) {
                Some(verdict) => verdict.clone(),
                None => Self::Fail(format!("{error:#}")),
            },
        }
    }

    /// Whether the run passed.
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Pass)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => write!(f, "pass"),
            Self::Fail(why) => write!(f, "fail: {why}"),
            Self::Panic(why) => write!(f, "panic: {why}"),
            Self::Stall(why) => write!(f, "stall: {why}"),
            Self::Infrastructure(why) => write!(f, "infrastructure: {why}"),
        }
    }
}

impl std::error::Error for Verdict {}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_verdict_is_found_below_its_context() {
        let panic = Verdict::Panic("Kernel panic - not syncing: x".to_owned());
        let result = Err::<(), _>(anyhow::Error::from(panic.clone())).context("cannot run `true` in the guest");
        assert_eq!(Verdict::of(&result), panic);
    }

    #[test]
    fn any_other_error_is_a_failure_with_its_whole_chain() {
        let result = Err::<(), _>(anyhow::anyhow!("port 2376 is silent")).context("web does not serve");
        assert_eq!(Verdict::of(&result), Verdict::Fail("web does not serve: port 2376 is silent".to_owned()));
    }
}
