//! What the host tells those who wonder: the kernel's log has published ports that `expose` does not list, and destinations that
//! `egress` does not, and the journal of the daemon has them in the spec's words. Both have been asked for when this is looked at; a port
//! is told of when it is asked for again.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Daemon, HostPlan, Protocol};

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
    let mut facts = Vec::new();
    for daemon in plan.daemons.values() {
        let due = due(daemon, &limited(daemon));
        if !due.is_empty() {
            let journal = journal(bed, daemon, due.iter().filter(|due| due.is_in(&log)))?;
            facts.push(fact(daemon, &due, &log, &journal));
        }
    }
    Ok(facts)
}

/// What the daemon's journal has of refusals, once it has all that is due, or a time has passed.
fn journal<'a>(bed: &Testbed, daemon: &Daemon, due: impl Iterator<Item = &'a Due>) -> Result<String> {
    let due: String = due.map(|due| format!(" '{}'", due.journal)).collect();
    let unit = daemon.name.service();
    // Nobody waits for journalctl, which reads on.
    let script = format!(
        "timeout 20 bash <<'TOLD' || true
due=({due} )
while [ ${{#due[@]}} -gt 0 ] && read -r line; do
    echo \"$line\"
    for i in \"${{!due[@]}}\"; do
        case $line in *\"${{due[$i]}}\"*) unset \"due[$i]\" ;; esac
    done
done < <(exec journalctl --quiet --output=cat --identifier=dmhost --unit={unit} --follow --lines=all 2>&1)
TOLD
"
    );
    bed.guest.must(&script, PATIENCE)
}

/// Whether both have all that is due.
fn fact(daemon: &Daemon, due: &[Due], log: &str, journal: &str) -> Fact {
    let mut missing = Vec::new();
    if let Some(port) = daemon.api.as_ref().map(|api| api.port) {
        // Whoever `api.from` does not let in is not to be told to write it into `expose`.
        if published(daemon, Protocol::Tcp, port).is_in(log) {
            missing.push(format!("the kernel's log has its API, {port}/tcp, as published"));
        }
    }
    for due in due {
        if !due.is_in(log) {
            missing.push(format!("the kernel's log has no word of {}", due.what));
        } else if let Some(line) = journal.lines().find(|line| line.contains(&due.journal)) {
            missing.extend(quoted(line).filter(|entry| !due.takes(entry)).map(|_| format!("no spec takes {line}")));
        } else {
            missing.push(format!("its journal has no word of {}", due.what));
        }
    }
    let found = if missing.is_empty() {
        let whats: Vec<&str> = due.iter().map(|due| due.what.as_str()).collect();
        format!("the kernel's log and its journal have {}", whats.join(", "))
    } else {
        missing.join("\n")
    };
    Fact { name: format!("what {} refuses is told", daemon.name), holds: missing.is_empty(), found }
}

/// What a line has in quotation marks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// What the log ought to have: a line with these words, about one of these ports; and the journal: a line with that.
struct Due {
    what: String,
    words: Vec<String>,
    ports: Option<RangeInclusive<u16>>,
    journal: String,
    /// The key of a daemon that what the journal says goes into.
    key: &'static str,
}

impl Due {
    /// Whether a spec takes an entry of its key.
    fn takes(&self, entry: &str) -> bool {
        let spec = format!(
            "version = 1\n[host]\nname = \"atlas\"\n[interfaces.web]\nnic = {{ mac = \"52:54:00:00:00:01\" }}\naddresses = \
             [\"192.0.2.2/24\"]\n[daemons.web]\ninterfaces = [\"web\"]\n{} = [\"{entry}\"]\n",
            self.key
        );
        dmhost_layout::plan_from_toml("told.toml", &spec).0.is_some()
    }

    fn is_in(&self, log: &str) -> bool {
        let port = |line: &str| line.split(" DPT=").nth(1)?.split(' ').next()?.parse::<u16>().ok();
        let of =
            |line: &str| self.ports.as_ref().is_none_or(|ports| port(line).is_some_and(|port| ports.contains(&port)));
        log.lines().any(|line| self.words.iter().all(|word| line.contains(word.as_str())) && of(line))
    }
}

/// What the log ought to have. `limited`: ports that others than those that are listed asked for.
fn due(daemon: &Daemon, limited: &[(Protocol, u16)]) -> Vec<Due> {
    let name = &daemon.name;
    let mut due = Vec::new();
    for (protocol, port) in limited {
        let line = format!("dmhost: source not in expose of daemons.{name}: ");
        let of =
            daemon.exposed(*protocol, *port).map_or(*port..=*port, |exposed| exposed.ports.first..=exposed.ports.last);
        let words = vec![line, format!("PROTO={} ", protocol.as_str().to_uppercase())];
        due.push(Due {
            what: format!("{port}/{} from a source that is not listed", protocol.as_str()),
            words,
            ports: Some(of),
            journal: format!("/{} is closed to ", protocol.as_str()),
            key: "expose",
        });
    }
    if daemon.expose.is_some() {
        let ProbePorts { closed, closed_udp, .. } = probe_ports(daemon);
        for (protocol, port) in [(Protocol::Tcp, closed), (Protocol::Udp, closed_udp)] {
            due.extend(port.map(|port| published(daemon, protocol, port)));
        }
    }
    if daemon.egress.is_some() {
        let line = format!("dmhost: not in egress of daemons.{name}: ");
        let (what, journal) = ("destinations that are not listed".to_owned(), " was not let out; ".to_owned());
        due.push(Due { what, words: vec![line], ports: None, journal, key: "egress" });
    }
    due
}

/// A port that is published and not listed.
fn published(daemon: &Daemon, protocol: Protocol, port: u16) -> Due {
    let (name, protocol) = (&daemon.name, protocol.as_str());
    let line = format!("dmhost: published, not in expose of daemons.{name}: ");
    Due {
        what: format!("{port}/{protocol}, which is published and not listed"),
        words: vec![line, format!("PROTO={} ", protocol.to_uppercase())],
        ports: Some(port..=port),
        journal: format!("{port}/{protocol} is published and closed to "),
        key: "expose",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_its_daemon_its_protocol_and_its_port() {
        let plan = crate::example("atlas");
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
        let journal = format!(
            "{tcp}/tcp is published and closed to 192.0.2.9; add \"{tcp}/tcp\"\n{udp}/udp is published and closed to 192.0.2.9; \
             add \"{udp}/udp\"\n[2001:db8::1/128]:54/udp was not let out; add \"[2001:db8::1/128]:54/udp\"\n"
        );
        let due = due(web, &[]);
        assert!(fact(web, &due, &good, &journal).holds);
        let api = web.api.as_ref().expect("it has one").port;
        let told = fact(web, &due, &(good.clone() + &published("web", "TCP", api)), &journal);
        assert_eq!(told.found, format!("the kernel's log has its API, {api}/tcp, as published"));
        let wrong = journal.replace("/128]:54", "]:54");
        assert!(fact(web, &due, &good, &wrong).found.contains("no spec takes"));
        let found = fact(web, &due, &good, "").found;
        assert!(found.contains(&format!("its journal has no word of {tcp}/tcp")), "{found}");
        let swapped = published("web", "UDP", 1) + &published("web2", "TCP", tcp) + &published("lab", "UDP", udp);
        let fact = fact(web, &due, &swapped, &journal);
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
        let plan = crate::example("mixed");
        let of = |name: &str| plan.daemons.values().find(|daemon| daemon.name.as_str() == name).expect("it is there");
        let whats = |name: &str| {
            let (daemon, limited) = (of(name), probe_ports(of(name)).limited);
            assert!(!limited.is_empty());
            due(daemon, &limited).into_iter().map(|due| (due.what, due.ports)).collect::<Vec<_>>()
        };
        let web = whats("web");
        let told = ("5432/tcp from a source that is not listed".to_owned(), Some(5432..=5432));
        assert!(web.contains(&told), "{web:?}");
        let ci = whats("ci");
        assert!(ci.contains(&("9000/tcp from a source that is not listed".to_owned(), Some(9000..=9000))), "{ci:?}");
        let line =
            |port| format!("[ 9.1] dmhost: source not in expose of daemons.web: IN=web OUT= PROTO=TCP DPT={port} \n");
        let missing = |log: &str| fact(of("web"), &due(of("web"), &[(Protocol::Tcp, 5432)]), log, "").found;
        assert!(missing(&line(5431)).contains("5432/tcp from a source"));
        assert!(!missing(&line(5432)).contains("log has no word of 5432/tcp from a source"));
    }
}
