//! What a probe watches by: its canaries, on its own NIC and the others, and the pump that hears them.

use std::net::IpAddr;
use std::time::Instant;

use anyhow::Result;

use super::canary::{Control, Terms};
use super::inbox::{Event, Inbox};

/// All canaries of one probe, and the pump that hears them.
#[derive(Debug)]
pub(super) struct Watchers<'a> {
    inbox: &'a Inbox,
    pub(super) main: Control,
    others: Vec<Control>,
    deadline: Instant,
}

impl<'a> Watchers<'a> {
    pub(super) fn new(inbox: &'a Inbox, terms: &Terms) -> Result<Self> {
        let main = Control::new(inbox, &terms.canary)?;
        let others = terms.others.iter().map(|canary| Control::new(inbox, canary)).collect::<Result<_>>()?;
        Ok(Self { inbox, main, others, deadline: terms.deadline })
    }

    /// Waits for events, for as long as `at_most` and no longer than the canaries' patience, which it renews.
    ///
    /// # Errors
    /// At the deadline, if a canary is not answered. Without one under way it is for the caller to look at the clock.
    pub(super) fn turn(&mut self, at_most: Option<Instant>) -> Result<Vec<Event>> {
        let mut until = self.main.nudge()?.min(self.deadline).min(at_most.unwrap_or(self.deadline));
        for other in &mut self.others {
            until = until.min(other.nudge()?);
        }
        let events = self.inbox.wait(until)?;
        if self.expired()
            && let Some(lost) = std::iter::once(&self.main).chain(&self.others).find(|control| control.waits())
        {
            return Err(lost.unanswered());
        }
        for event in &events {
            let Event::Seen(seen) = event else { continue };
            self.main.hear(seen)?;
            for other in &mut self.others {
                other.hear(seen)?;
            }
        }
        Ok(events)
    }

    /// Whether the deadline has passed.
    pub(super) fn expired(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Calls once on each of the other NICs.
    pub(super) fn call_others(&mut self) -> Result<()> {
        self.others.iter_mut().try_for_each(|other| other.call().map(drop))
    }

    /// Whether what was called of the others is answered.
    pub(super) fn others_closed(&self) -> bool {
        self.others.iter().all(|other| !other.waits())
    }
}

/// No verdict: the machinery failed, never the target.
#[derive(Debug)]
pub struct Infrastructure(anyhow::Error);

impl std::fmt::Display for Infrastructure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Infrastructure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<anyhow::Error> for Infrastructure {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

/// The IP addresses that a station answers for: its own, and a gateway's it stands in for.
pub(super) fn answers(own: IpAddr, via: Option<IpAddr>) -> Vec<IpAddr> {
    [own].into_iter().chain(via).collect()
}
