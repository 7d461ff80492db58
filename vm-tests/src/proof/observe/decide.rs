//! What the scans decide: which ports they ask, and the verdict of each question from what came.

use std::collections::BTreeSet;

use dmhost_layout::plan::Protocol;

use super::seen::{self, Seen};
use crate::fabric::datagrams::DatagramReport;
use crate::fabric::scan::{PortState, ScanReport};
use crate::proof::question::{Ask, Question, Verdict};

/// Ports that are asked from places of their own, by sources that are listed for them and by others: from a place that is chosen for all
/// ports nothing is due, or an answer.
pub(super) fn apart(questions: &[Question], ports_of: impl Fn(&Ask) -> Vec<u16>) -> BTreeSet<u16> {
    let listed = questions.iter().filter(|question| match question.ask {
        Ask::Listed { .. } => question.expected != Verdict::Silent,
        Ask::Unlisted { .. } => true,
        _ => false,
    });
    // Who asks for an API is chosen by its list, and what is published for all, or for none, anybody asks.
    let by_all =
        |question: &&Question| matches!(question.ask, Ask::Api { .. } | Ask::Published { .. } | Ask::Datagram { .. });
    let by_all: BTreeSet<u16> = questions.iter().filter(by_all).flat_map(|question| ports_of(&question.ask)).collect();
    // Where nobody is listed, nobody is answered, wherever the question comes from.
    let silent = questions
        .iter()
        .filter(|question| matches!(question.ask, Ask::Listed { .. }) && question.expected == Verdict::Silent);
    let silent: BTreeSet<u16> = silent.flat_map(|question| ports_of(&question.ask)).collect();
    listed
        .flat_map(|question| ports_of(&question.ask))
        .filter(|port| !silent.contains(port) && !by_all.contains(port))
        .collect()
}

/// What a scan of TCP ports decides. `None`: it takes more than a SYN.
pub(super) fn by_scan(question: &Question, scan: Result<&ScanReport, &String>) -> Option<Seen> {
    let tcp = |of: &dyn Fn(&ScanReport) -> Seen| Some(scan.map_or_else(Seen::unproven, of));
    let silent = |listed: &dyn Fn(u16) -> bool| {
        tcp(&|scan| seen::silent_ports(&scan.ports, listed, (&scan.asked, &scan.stray), scan.closed.frame))
    };
    match &question.ask {
        Ask::OtherPorts { but } => silent(&|port| !but.contains(&port)),
        Ask::SomePorts { ports } => silent(&|port| ports.contains(&port)),
        Ask::Port { port } => tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port)),
        // Where nobody is listed any station says enough.
        Ask::Listed { protocol: Protocol::Tcp, port } if question.expected == Verdict::Silent => {
            tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port))
        }
        Ask::Vacant { ports } => tcp(&|scan| seen::vacant(&scan.ports, scan.closed.frame, ports)),
        Ask::Api { port, .. } | Ask::Published { port } => {
            let enough = scan.map_or(true, |scan| {
                let silent = scan.ports.get(port) == Some(&PortState::Silent);
                // Where a port ought to be silent, a SYN says enough.
                silent || matches!((question.expected, &question.ask), (Verdict::Silent, Ask::Api { .. }))
            });
            if enough { tcp(&|scan| seen::port_seen(&scan.ports, scan.closed.frame, *port)) } else { None }
        }
        Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Neighbour
        | Ask::Echo
        | Ask::Datagram { .. }
        | Ask::VacantDatagrams { .. }
        | Ask::OtherDatagrams { .. } => None,
    }
}

/// What datagrams decide. `None`: it is no question of theirs.
pub(super) fn by_datagrams(question: &Question, report: Result<&DatagramReport, &String>) -> Option<Seen> {
    let udp = |of: &dyn Fn(&DatagramReport) -> Seen| Some(report.map_or_else(Seen::unproven, of));
    match &question.ask {
        Ask::OtherDatagrams { ports } => udp(&|report| {
            let caused = (&report.asked[..], &report.stray[..]);
            seen::silent_ports(&report.ports, |port| ports.contains(&port), caused, report.closed.frame)
        }),
        Ask::Datagram { port } => udp(&|report| seen::datagram(&question.target, report, *port)),
        Ask::Listed { protocol: Protocol::Udp, port } if question.expected == Verdict::Silent => {
            udp(&|report| seen::datagram(&question.target, report, *port))
        }
        Ask::VacantDatagrams { ports } => udp(&|report| seen::vacant(&report.ports, report.closed.frame, ports)),
        Ask::Neighbour
        | Ask::Echo
        | Ask::Api { .. }
        | Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Published { .. }
        | Ask::Port { .. }
        | Ask::Vacant { .. }
        | Ask::OtherPorts { .. }
        | Ask::SomePorts { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::question::{Ports, datagrams_of, ports_of, questions};

    /// What a scan decides is asked by it, and what only those who are listed are answered is not.
    #[test]
    fn ports_of_some_sources_are_scanned_where_nobody_is_listed() {
        let plan = crate::example("mixed");
        let all = questions(&plan, &[], &Ports::of(&plan, false));
        let mut seen = BTreeSet::new();
        for group in all.chunk_by(|one, next| one.vantage == next.vantage && one.target == next.target) {
            for question in group {
                let Ask::Listed { protocol, port } = question.ask else { continue };
                let apart = match protocol {
                    Protocol::Tcp => apart(group, ports_of),
                    Protocol::Udp => apart(group, datagrams_of),
                };
                assert_eq!(apart.contains(&port), question.expected == Verdict::Serves, "{question:?}");
                seen.insert((protocol, question.expected));
            }
        }
        assert_eq!(seen.len(), 4, "both protocols, served and silent: {seen:?}");
    }
}
