//! Provocations: frames that no honest neighbour sends, and whatever the guest answers to them.
//!
//! The caller says which frames of the guest would be an answer; canaries close the window, as for every probe.

use anyhow::{Context, Result};

use super::canary::Terms;
use super::inbox::{Event, Seen, Watch};
use super::packet::Host;
use super::switch::Segment;
use super::watchers::{Infrastructure, Watchers};
use super::{Direction, Fabric};

/// Frames in one batch, with a canary after each: fewer than any queue of the guest's NIC.
const BATCH: usize = 128;

/// What is sent, and from where.
#[derive(Debug, Clone)]
pub struct Provocation {
    /// The segment.
    pub segment: Segment,
    /// Who sends. ARP and ND for their addresses are answered.
    pub sources: Vec<Host>,
    /// The frames, as they are. A station's port is an access port: see [`super::Vantage::send`].
    pub frames: Vec<Vec<u8>>,
    /// What closes the windows, and until when.
    pub terms: Terms,
}

impl Fabric {
    /// Sends the frames, does what `act` does besides, and gives every frame of the guest that `answer` picks.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered before the deadline or `act` fails.
    pub fn provoke(
        &self,
        provocation: &Provocation,
        act: impl FnOnce() -> Result<()>,
        answer: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, Infrastructure> {
        let Provocation { segment, sources, frames, terms } = provocation;
        let inbox = self.inbox(Watch::FromGuest)?;
        let stations = sources
            .iter()
            .map(|source| inbox.station(*segment, source.mac, &[source.ip], false))
            .collect::<Result<Vec<_>>>()?;
        // Any of them may carry all frames: what is in a frame is the sender's affair.
        let station = stations.first().context("frames have a sender")?;
        let mut watchers = Watchers::new(&inbox, terms)?;
        let mut found = Vec::new();
        let mut hear = |events: Vec<Event>| {
            for event in events {
                let Event::Seen(seen) = event else { continue };
                if seen.direction == Direction::FromGuest && answer(&seen) {
                    found.push(seen);
                }
            }
        };
        let mut close = |watchers: &mut Watchers<'_>| -> Result<(), Infrastructure> {
            let canary = watchers.main.call()?;
            while watchers.main.closed().is_none_or(|closed| closed.canary < canary) {
                hear(watchers.turn(None)?);
            }
            Ok(())
        };
        for batch in frames.chunks(BATCH) {
            station.send(batch.to_vec())?;
            close(&mut watchers)?;
        }
        act()?;
        watchers.call_others()?;
        while !watchers.others_closed() {
            close(&mut watchers)?;
        }
        close(&mut watchers)?;
        Ok(found)
    }
}
