//! How long answers that do not come may hold an observer up, all its questions together: a host that is well spends little of it,
//! and one that is not shall not take all day.

use std::time::Duration;

use crate::vm::Pace;

/// For all that an observer is given at a time, on the reference machine.
const WHOLE: Duration = Duration::from_secs(20);

/// What is left of it.
#[derive(Debug)]
pub(super) struct Patience {
    pace: Pace,
    left: Duration,
}

impl Patience {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, left: pace.scale(WHOLE) }
    }

    /// For one question: this much on the reference machine, or what is left.
    pub(super) fn grant(&self, most: Duration) -> Duration {
        self.pace.scale(most).min(self.left)
    }

    /// That much went to waiting.
    pub(super) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_granted_than_is_left() {
        let pace = Pace::REFERENCE;
        let mut patience = Patience::new(pace);
        let most = WHOLE / 4 * 3;
        assert_eq!(patience.grant(most), pace.scale(most));
        patience.spend(pace.scale(most));
        assert_eq!(patience.grant(most), pace.scale(WHOLE).saturating_sub(pace.scale(most)));
        patience.spend(pace.scale(WHOLE));
        assert!(patience.grant(most).is_zero());
    }
}
