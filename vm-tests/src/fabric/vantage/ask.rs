//! Questions of one frame: ARP and ND, and echo. Each is sent twice at most, and a canary follows each.

use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Result, anyhow};
use smoltcp::wire::EthernetAddress;

use super::{Finding, Outcome, Peer, Vantage};
use crate::fabric::canary::{Closed, Terms};
use crate::fabric::inbox::{Event, Seen};
use crate::fabric::judge::{Cause, Evidence, Flow, Identity};
use crate::fabric::packet::{self, Host};
use crate::fabric::switch::Segment;
use crate::fabric::watchers::{Infrastructure, Watchers};

/// How often a question is asked before its silence counts: one frame may be lost.
pub(super) const TRIES: usize = 2;

/// What a probe has caused so far.
#[derive(Debug, Default)]
pub(super) struct Caused {
    pub(super) asked: Vec<Evidence>,
    pub(super) stray: Vec<Evidence>,
    pub(super) refused: Option<u64>,
}

impl Caused {
    /// Sorts a frame: `Some` if it is the target's own word, by the right NIC and segment.
    pub(super) fn sort(
        &mut self,
        seen: &Seen,
        identity: &Identity,
        terms: &Terms,
        segment: Segment,
    ) -> Option<Evidence> {
        let cause = identity.judge(&seen.frame)?;
        let evidence = Evidence { frame: seen.number, port: seen.port, segment: seen.segment, at: seen.at, cause };
        if seen.port != terms.canary.nic || seen.segment != Some(segment) {
            self.stray.push(evidence);
            return None;
        }
        match cause {
            Cause::AskedForSource => self.asked.push(evidence),
            Cause::IcmpError { unreachable, .. } => {
                self.stray.push(evidence);
                if unreachable {
                    self.refused.get_or_insert(seen.number);
                }
            }
            Cause::AskedForTarget | Cause::Forwarded | Cause::Addressed => self.stray.push(evidence),
            Cause::SynAck(_)
            | Cause::Reset(_)
            | Cause::Segment(_)
            | Cause::Datagram
            | Cause::EchoReply
            | Cause::IsAt(_) => {
                return Some(evidence);
            }
        }
        None
    }

    /// The finding when no answer came: silent if nothing else did.
    pub(super) fn unanswered<T>(self, closed: Option<Closed>) -> Finding<T> {
        let outcome = match (self.refused, self.asked.iter().chain(&self.stray).next()) {
            (Some(_), _) => Outcome::Refused,
            (None, Some(evidence)) => {
                Outcome::Other(format!("no answer, but frame {}: {:?}", evidence.frame, evidence.cause))
            }
            (None, None) => Outcome::Silent,
        };
        Finding { outcome, frame: self.refused, asked: self.asked, stray: self.stray, closed }
    }

    pub(super) fn answered<T>(self, outcome: Outcome<T>, frame: Option<u64>) -> Finding<T> {
        Finding { outcome, frame, asked: self.asked, stray: self.stray, closed: None }
    }
}

/// Source and target of a probe, or what came of resolving the target.
type Ends<T> = Result<(Host, Host), Box<Finding<T>>>;

impl Vantage {
    /// Who has `ip` on this segment: the MAC that ARP or ND tells.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered, as for every probe.
    pub fn who_has(&mut self, ip: IpAddr, terms: &Terms) -> Result<Finding<EthernetAddress>, Infrastructure> {
        let source = self.source(ip)?;
        let identity = Identity { source: source.ip, target: ip, flow: Flow::Neighbour, exclusive: false };
        let frame = || packet::who_has(source, source.mac, ip);
        self.ask(&identity, terms, frame, |cause| match cause {
            Cause::IsAt(mac) => Some(Outcome::Serves(mac)),
            _ => None,
        })
    }

    /// An echo request with this identifier.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered.
    pub fn ping(&mut self, peer: impl Into<Peer>, ident: u16, terms: &Terms) -> Result<Finding<()>, Infrastructure> {
        let (source, target) = match self.ends(peer.into(), terms)? {
            Ok(ends) => ends,
            Err(unresolved) => return Ok(*unresolved),
        };
        let identity = Identity { source: source.ip, target: target.ip, flow: Flow::Echo(ident), exclusive: false };
        let frame = || packet::echo(source, target, ident, 1);
        self.ask(&identity, terms, frame, |cause| (cause == Cause::EchoReply).then_some(Outcome::Serves(())))
    }

    /// Both ends of a probe; the finding if nobody has the peer's address.
    pub(super) fn ends<T>(&mut self, peer: Peer, terms: &Terms) -> Result<Ends<T>, Infrastructure> {
        let source = self.source(peer.ip)?;
        if let Some(mac) = peer.mac {
            return Ok(Ok((source, Host { mac, ip: peer.ip })));
        }
        let Finding { outcome, frame, asked, stray, closed } = self.who_has(peer.ip, terms)?;
        let outcome = match outcome {
            Outcome::Serves(mac) => return Ok(Ok((source, Host { mac, ip: peer.ip }))),
            Outcome::Refused => Outcome::Refused,
            Outcome::Denied(text) | Outcome::Other(text) => Outcome::Other(text),
            Outcome::Silent => Outcome::Silent,
        };
        Ok(Err(Box::new(Finding { outcome, frame, asked, stray, closed })))
    }

    fn ask<T>(
        &self,
        identity: &Identity,
        terms: &Terms,
        frame: impl Fn() -> Option<Vec<u8>>,
        accept: impl Fn(Cause) -> Option<Outcome<T>>,
    ) -> Result<Finding<T>, Infrastructure> {
        self.watching(|| {
            let mut watchers = Watchers::new(&self.inbox, terms)?;
            let mut caused = Caused::default();
            let mut closed = None;
            for round in 0..=TRIES {
                let mut until = None;
                if round < TRIES {
                    let frame = frame().ok_or_else(|| anyhow!("{} cannot ask {}", identity.source, identity.target))?;
                    self.station.send(vec![frame])?;
                } else {
                    // The last round asks nothing: its canary hears what was under way, and then those of other NICs.
                    watchers.call_others()?;
                    until = Some(Instant::now() + terms.grace);
                }
                let canary = watchers.main.call()?;
                loop {
                    for event in watchers.turn(until)? {
                        let Event::Seen(seen) = event else { continue };
                        let Some(evidence) = caused.sort(&seen, identity, terms, self.segment) else { continue };
                        match accept(evidence.cause) {
                            Some(outcome) => return Ok(caused.answered(outcome, Some(seen.number))),
                            None => caused.stray.push(evidence),
                        }
                    }
                    closed = watchers.main.closed().filter(|closed| closed.canary >= canary);
                    until = until.filter(|until| Instant::now() < *until);
                    if closed.is_some() && watchers.others_closed() && until.is_none() {
                        break;
                    }
                }
                if caused.refused.is_some() {
                    break;
                }
            }
            Ok(caused.unanswered(closed))
        })
    }
}
