//! What the host tells those who wonder: the kernel's log has published ports that `expose` does not list, and destinations that
//! `egress` does not. Both have been asked for when this is looked at; a port is told of when it is asked for again.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Daemon, HostPlan, Isolation, Protocol};

use super::question::{Ask, ProbePorts, Question, Subject, Vantage, Verdict, probe_ports};
use super::report::{Cell, Fact};
use super::team::Team;
use crate::bed::Testbed;

const PATIENCE: Duration = Duration::from_secs(30);

/// A fact for each daemon with a list.
///
/// # Errors
/// If the machine ended or its agent does not answer.
pub(super) fn facts(plan: &HostPlan, bed: &Testbed, cells: &[Cell], team: &mut Team<'_>) -> Result<Vec<Fact>> {
    let unlisted = |question: &&Question| {
        let published = matches!(question.ask, Ask::Published { .. }) && question.expected == Verdict::Silent;
        let limited = matches!(question.ask, Ask::Unlisted { .. });
        (published || limited) && matches!(question.vantage, Vantage::Vlan(_))
    };
    let again: Vec<Question> = cells.iter().map(|cell| &cell.question).filter(unlisted).cloned().collect();
    team.ask(&again)?;
    let log = bed.guest.must("dmesg", PATIENCE)?;
    let limited = |daemon: &Daemon| {
        let of = |(protocol, port): &(Protocol, u16)| {
            cells.iter().map(|cell| &cell.question).any(|question| {
                let asked = matches!(question.ask, Ask::Unlisted { protocol: own, port: at, .. } if own == *protocol && at == *port);
                asked && question.target.subject == Subject::Daemon(daemon.name.clone())
            })
        };
        probe_ports(daemon).limited.into_iter().filter(of).collect::<Vec<_>>()
    };
    Ok(plan.daemons.values().filter_map(|daemon| fact(daemon, &limited(daemon), &log)).collect())
}

/// `limited`: ports that others than those that are listed asked for.
fn fact(daemon: &Daemon, limited: &[(Protocol, u16)], log: &str) -> Option<Fact> {
    let due = due(daemon, limited);
    let port = |line: &str| line.split(" DPT=").nth(1)?.split(' ').next()?.parse::<u16>().ok();
    let has = |due: &&Due| {
        let of =
            |line: &str| due.ports.as_ref().is_none_or(|ports| port(line).is_some_and(|port| ports.contains(&port)));
        log.lines().any(|line| due.words.iter().all(|word| line.contains(word.as_str())) && of(line))
    };
    let missing: Vec<String> =
        due.iter().filter(|due| !has(due)).map(|due| format!("the kernel's log has no word of {}", due.what)).collect();
    let found = if missing.is_empty() {
        let whats: Vec<&str> = due.iter().map(|due| due.what.as_str()).collect();
        format!("the kernel's log has {}", whats.join(", "))
    } else {
        missing.join("\n")
    };
    let name = format!("what {} refuses is told", daemon.name);
    (!due.is_empty()).then_some(Fact { name, holds: missing.is_empty(), found })
}

/// What the log ought to have: a line with these words, about one of these ports.
struct Due {
    what: String,
    words: Vec<String>,
    ports: Option<RangeInclusive<u16>>,
}

/// What the log ought to have.
fn due(daemon: &Daemon, limited: &[(Protocol, u16)]) -> Vec<Due> {
    let name = &daemon.name;
    let mut due = Vec::new();
    // Where sockets are known it is one of all that are published, which share a ration.
    for (protocol, port) in limited.iter().filter(|_| daemon.isolation == Isolation::Zone) {
        let line = format!("dmhost: source not in expose of daemons.{name}: ");
        let of =
            daemon.exposed(*protocol, *port).map_or(*port..=*port, |exposed| exposed.ports.first..=exposed.ports.last);
        let words = vec![line, format!("PROTO={} ", protocol.as_str().to_uppercase())];
        due.push(Due {
            what: format!("{port}/{} from a source that is not listed", protocol.as_str()),
            words,
            ports: Some(of),
        });
    }
    if daemon.expose.is_some() {
        let ProbePorts { closed, closed_udp, .. } = probe_ports(daemon);
        for (protocol, port) in [("tcp", closed), ("udp", closed_udp)] {
            let Some(port) = port else { continue };
            let line = format!("dmhost: published, not in expose of daemons.{name}: ");
            let words = vec![line, format!("PROTO={} ", protocol.to_uppercase())];
            let what = format!("{port}/{protocol}, which is published and not listed");
            due.push(Due { what, words, ports: Some(port..=port) });
        }
    }
    if daemon.egress.is_some() {
        let line = format!("dmhost: not in egress of daemons.{name}: ");
        due.push(Due { what: "destinations that are not listed".to_owned(), words: vec![line], ports: None });
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_its_daemon_its_protocol_and_its_port() {
        let spec = include_str!("../../../examples/atlas.toml");
        let (plan, _) = dmhost_layout::plan_from_toml("atlas.toml", spec);
        let plan = plan.expect("the example is a plan");
        let web = plan.daemons.values().find(|daemon| daemon.name.as_str() == "web").expect("it has lists");
        let ProbePorts { closed, closed_udp, .. } = probe_ports(web);
        let (tcp, udp) = (closed.expect("a port that is not listed"), closed_udp.expect("one more"));
        // As the kernel writes it (net/netfilter/nf_log_syslog.c).
        let published = |daemon: &str, protocol: &str, port: u16| {
            format!(
                "[ 9.1] dmhost: published, not in expose of daemons.{daemon}: IN=web OUT= PROTO={protocol} SPT=1 DPT={port} LEN=8\n"
            )
        };
        let refused = "[ 9.2] dmhost: not in egress of daemons.web: IN=docker0 OUT=web\n";
        let good = published("web", "TCP", tcp) + &published("web", "UDP", udp) + refused;
        assert!(fact(web, &[], &good).expect("there are lists").holds);
        let swapped = published("web", "UDP", 1) + &published("web2", "TCP", tcp) + &published("lab", "UDP", udp);
        let fact = fact(web, &[], &swapped).expect("there are lists");
        assert_eq!(
            fact.found,
            format!(
                "the kernel's log has no word of {tcp}/tcp, which is published and not listed\n\
                 the kernel's log has no word of {udp}/udp, which is published and not listed\n\
                 the kernel's log has no word of destinations that are not listed"
            )
        );
    }

    #[test]
    fn of_a_range_of_some_sources_any_port_is_told() {
        let spec = include_str!("../../../examples/mixed.toml");
        let (plan, _) = dmhost_layout::plan_from_toml("mixed.toml", spec);
        let plan = plan.expect("the example is a plan");
        let of = |name: &str| plan.daemons.values().find(|daemon| daemon.name.as_str() == name).expect("it is there");
        let whats = |name: &str| {
            let (daemon, limited) = (of(name), probe_ports(of(name)).limited);
            assert!(!limited.is_empty());
            due(daemon, &limited).into_iter().map(|due| (due.what, due.ports)).collect::<Vec<_>>()
        };
        let web = whats("web");
        let told = ("5432/tcp from a source that is not listed".to_owned(), Some(5432..=5432));
        assert!(web.contains(&told), "{web:?}");
        // In the host's namespace its sockets are told of with all others.
        assert!(whats("ci").iter().all(|(what, _)| !what.contains("from a source")));
        let line =
            |port| format!("[ 9.1] dmhost: source not in expose of daemons.web: IN=web OUT= PROTO=TCP DPT={port} \n");
        let missing = |log: &str| fact(of("web"), &[(Protocol::Tcp, 5432)], log).expect("there are lists").found;
        assert!(missing(&line(5431)).contains("5432/tcp from a source"));
        assert!(!missing(&line(5432)).contains("5432/tcp from a source"));
    }
}
