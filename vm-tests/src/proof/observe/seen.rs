//! From what the fabric saw to a verdict.

use std::collections::BTreeMap;

use crate::fabric::datagrams::DatagramReport;
use crate::fabric::judge::Evidence;
use crate::fabric::scan::PortState;
use crate::fabric::{self, Finding, HttpReply, Outcome};
use crate::proof::containers::page;
use crate::proof::question::{Subject, Target, Verdict};

/// What was seen of one question.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) observed: Verdict,
    pub(super) frames: Vec<u64>,
    pub(super) note: String,
}

impl Seen {
    /// Nothing is known.
    pub(super) fn unproven(why: impl Into<String>) -> Self {
        Self { observed: Verdict::Unproven, frames: Vec::new(), note: why.into() }
    }
}

/// A finding as a verdict; `right`: whether what was served is what should be.
pub(super) fn seen<T>(finding: &Finding<T>, right: bool, note: String) -> Seen {
    let frames: Vec<u64> = finding.frame.into_iter().chain(finding.closed.map(|closed| closed.frame)).collect();
    let strange = |note: String| Seen { observed: Verdict::Strange, frames: frames.clone(), note };
    match &finding.outcome {
        Outcome::Serves(_) if right => Seen { observed: Verdict::Serves, frames, note: String::new() },
        Outcome::Serves(_) => strange(note),
        Outcome::Refused => Seen { observed: Verdict::Refuses, frames, note: String::new() },
        Outcome::Denied(alert) => Seen { observed: Verdict::Denies, frames, note: alert.clone() },
        Outcome::Silent => Seen { observed: Verdict::Silent, frames, note: String::new() },
        Outcome::Other(text) => {
            let causes = finding.asked.iter().chain(&finding.stray).map(|evidence| evidence.frame);
            Seen { frames: causes.chain(frames.iter().copied()).collect(), ..strange(text.clone()) }
        }
    }
}

pub(super) fn api(server: &str, finding: &Finding<HttpReply>) -> Seen {
    let mut seen = api_seen(finding);
    if seen.observed != Verdict::Serves {
        seen.note = format!("asked as {server}: {}", seen.note);
    }
    seen
}

fn api_seen(finding: &Finding<HttpReply>) -> Seen {
    let version = |reply: &HttpReply| {
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        reply.status == 200 && body.get("ApiVersion").is_some()
    };
    let right = matches!(&finding.outcome, Outcome::Serves(reply) if version(reply));
    seen(finding, right, "it answers, but not with a Docker engine's version".to_owned())
}

/// Without TLS a TLS server's complaint is a refusal by name; an answer in plain HTTP is the API wide open.
pub(super) fn plaintext(finding: &Finding<HttpReply>) -> Seen {
    let complaint = matches!(&finding.outcome, Outcome::Other(text) if text == fabric::vantage::WANTS_TLS);
    let mut seen = api_seen(finding);
    if complaint {
        seen.observed = Verdict::Denies;
    }
    seen
}

pub(super) fn published(target: &Target, finding: &Finding<HttpReply>) -> Seen {
    let Subject::Daemon(name) = &target.subject else {
        return seen(finding, false, "a published port on an address of the host's own".to_owned());
    };
    let (right, note) = match &finding.outcome {
        Outcome::Serves(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            (reply.status == 200 && body == page(name), format!("status {}, body {body:?}", reply.status))
        }
        Outcome::Refused | Outcome::Denied(_) | Outcome::Silent | Outcome::Other(_) => (false, String::new()),
    };
    seen(finding, right, note)
}

/// One port.
pub(super) fn port_seen(states: &BTreeMap<u16, PortState>, closed: u64, port: u16) -> Seen {
    let (observed, frame) = match states.get(&port) {
        Some(PortState::Serves(frame)) => (Verdict::Serves, *frame),
        Some(PortState::Refuses(frame)) => (Verdict::Refuses, *frame),
        Some(PortState::Silent) => (Verdict::Silent, closed),
        None => (Verdict::Unproven, closed),
    };
    Seen { observed, frames: vec![frame], note: String::new() }
}

/// Ports that all do the same; where they differ, each is told.
pub(super) fn vacant(states: &BTreeMap<u16, PortState>, closed: u64, ports: &[u16]) -> Seen {
    let all: Vec<Seen> = ports.iter().map(|port| port_seen(states, closed, *port)).collect();
    let same = all.windows(2).all(|pair| matches!(pair, [one, next] if one.observed == next.observed));
    let frames = all.iter().flat_map(|seen| seen.frames.iter().copied()).collect();
    let observed = if same { all.first().map_or(Verdict::Unproven, |seen| seen.observed) } else { Verdict::Strange };
    let each = ports.iter().zip(&all).take(10).map(|(port, seen)| format!("{port} {}", seen.observed));
    let note = if same { String::new() } else { each.collect::<Vec<_>>().join(", ") };
    Seen { observed, frames, note }
}

/// Ports that ought to be silent, and whatever else the probe caused.
pub(super) fn silent_ports(
    states: &BTreeMap<u16, PortState>,
    listed: impl Fn(u16) -> bool,
    (asked, stray): (&[Evidence], &[Evidence]),
    closed: u64,
) -> Seen {
    let mut worst = (Verdict::Silent, Vec::new(), Vec::new());
    for (port, state) in states.iter().filter(|(port, _)| listed(**port)) {
        let (verdict, frame) = match state {
            PortState::Serves(frame) => (Verdict::Serves, *frame),
            PortState::Refuses(frame) => (Verdict::Refuses, *frame),
            PortState::Silent => continue,
        };
        if verdict > worst.0 {
            worst = (verdict, Vec::new(), Vec::new());
        }
        if verdict == worst.0 {
            worst.1.push(frame);
            worst.2.push(port.to_string());
        }
    }
    let (mut observed, mut frames, ports) = worst;
    let mut note = String::new();
    if !ports.is_empty() {
        let more = if ports.len() > 10 { format!(" and {} more", ports.len() - 10) } else { String::new() };
        note = format!("ports {}{more}", ports[..ports.len().min(10)].join(", "));
    }
    // Whoever answers a port asks for the source first; where nothing answers, the question itself is a frame too many.
    let answered = states.values().any(|state| *state != PortState::Silent);
    let asked = asked.iter().filter(|_| !answered);
    let caused: Vec<&Evidence> = asked.chain(stray).collect();
    if let Some(first) = caused.first() {
        observed = observed.max(Verdict::Strange);
        frames.extend(caused.iter().map(|evidence| evidence.frame));
        note = format!(
            "{note}{}{} frames besides, the first: {:?}",
            if note.is_empty() { "" } else { "; " },
            caused.len(),
            first.cause
        );
    }
    if frames.is_empty() {
        frames.push(closed);
    }
    Seen { observed, frames, note }
}

/// One UDP port: what serves must say the daemon's page.
pub(super) fn datagram(target: &Target, report: &DatagramReport, port: u16) -> Seen {
    let seen = port_seen(&report.ports, report.closed.frame, port);
    let text = report.texts.get(&port).filter(|_| seen.observed == Verdict::Serves);
    let right = |text: &Vec<u8>| match &target.subject {
        Subject::Daemon(name) => *text == page(name).into_bytes(),
        Subject::Host => false,
    };
    match text {
        Some(text) if !right(text) => {
            let note = format!("it says {:?}", String::from_utf8_lossy(text));
            Seen { observed: Verdict::Strange, note, ..seen }
        }
        Some(_) | None => seen,
    }
}
