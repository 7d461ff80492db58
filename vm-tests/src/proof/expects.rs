//! The user's own lines of the proof, `[[expect]]`, held against the cells that decide them.
//!
//! A line that no cell decides is a red fact: what nobody checks must not look as if it held.

use dmhost_layout::plan::{self, Expect, HostPlan, Protocol};

use super::question::{Ask, Place, Subject, Vantage, Verdict, datagrams_of, ports_of};
use super::report::{Cell, Fact};

/// One fact for each line.
pub fn facts(plan: &HostPlan, cells: &[Cell]) -> Vec<Fact> {
    plan.expects.iter().map(|expect| fact(expect, cells)).collect()
}

fn fact(expect: &Expect, cells: &[Cell]) -> Fact {
    let Expect { from, to, protocol, port, verdict, path } = expect;
    let name = format!("{path}: {from} -> {to} {port}/{} {}", protocol.as_str(), verdict.as_str());
    let subject = match to {
        plan::Target::Daemon(name) => Subject::Daemon(name.clone()),
        plan::Target::Host => Subject::Host,
    };
    let deciding: Vec<&Cell> = cells
        .iter()
        .filter(|cell| is_from(&cell.question.vantage, from) && cell.question.target.subject == subject)
        .filter(|cell| cell.question.target.place == Place::Planned)
        .filter(|cell| match (protocol, &cell.question.ask) {
            // That an address which is not listed gets nothing says nothing of those that are.
            (_, Ask::Unlisted { .. }) => false,
            (Protocol::Tcp, Ask::OtherPorts { but }) => !but.contains(port),
            (Protocol::Tcp, ask) => ports_of(ask).contains(port),
            (Protocol::Udp, ask) => datagrams_of(ask).contains(port),
        })
        .collect();
    // An API's cells differ by credential; a line is about one of them.
    let wanted = expected(*verdict);
    let good = |cell: &Cell| match cell.question.ask {
        // A served API serves one client and denies another; each of its cells says which it is.
        Ask::Api { .. } => match wanted {
            Verdict::Serves | Verdict::Denies => cell.holds() && cell.observed != Verdict::Silent,
            Verdict::Silent | Verdict::Refuses | Verdict::Strange | Verdict::Unproven => cell.observed == wanted,
        },
        // Exposed and reached; that nobody is there is the proof's own choice.
        Ask::Vacant { .. } | Ask::VacantDatagrams { .. } => {
            cell.observed == wanted || wanted == Verdict::Serves && cell.observed == Verdict::Refuses
        }
        // Of each IP version by its own sources.
        Ask::Listed { .. } if wanted == Verdict::Serves => cell.holds(),
        Ask::Neighbour
        | Ask::Echo
        | Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Published { .. }
        | Ask::Port { .. }
        | Ask::OtherPorts { .. }
        | Ask::SomePorts { .. }
        | Ask::Datagram { .. }
        | Ask::OtherDatagrams { .. } => cell.observed == wanted,
    };
    let bad: Vec<String> = deciding
        .iter()
        .filter(|cell| !good(cell))
        .map(|cell| format!("{} {}: {}", cell.question.target, cell.question.ask, cell.observed))
        .collect();
    // At least one of them has to be what the line says.
    let seen = deciding.iter().any(|cell| {
        let vacant = matches!(cell.question.ask, Ask::Vacant { .. } | Ask::VacantDatagrams { .. });
        cell.observed == wanted || vacant && cell.observed == Verdict::Refuses
    });
    let holds = bad.is_empty() && seen;
    let found = match (holds, deciding.len()) {
        (_, 0) => "nothing was asked that decides it".to_owned(),
        (true, count) => format!("as expected, by {count} cells"),
        (false, count) if bad.is_empty() => format!("none of {count} cells is that"),
        (false, _) => bad.join("\n"),
    };
    Fact { name, holds, found }
}

/// Whether a line's vantage is this one of the matrix; a container is on some network.
fn is_from(vantage: &Vantage, from: &plan::Vantage) -> bool {
    match (vantage, from) {
        (Vantage::Vlan(name), plan::Vantage::Vlan(from))
        | (Vantage::Beyond(name), plan::Vantage::Beyond(from))
        | (Vantage::Trunk(name), plan::Vantage::Trunk(from)) => name == from,
        (Vantage::Container(name, _), plan::Vantage::Container(from)) => name == from,
        (Vantage::Host, plan::Vantage::Host) => true,
        (
            Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) | Vantage::Container(..) | Vantage::Host,
            plan::Vantage::Vlan(_)
            | plan::Vantage::Beyond(_)
            | plan::Vantage::Trunk(_)
            | plan::Vantage::Container(_)
            | plan::Vantage::Host,
        ) => false,
    }
}

fn expected(verdict: plan::Verdict) -> Verdict {
    match verdict {
        plan::Verdict::Serves => Verdict::Serves,
        plan::Verdict::Refuses => Verdict::Refuses,
        plan::Verdict::Denies => Verdict::Denies,
        plan::Verdict::Silent => Verdict::Silent,
    }
}

#[cfg(test)]
mod tests {
    use dmhost_layout::plan::{Expect, Protocol, Target as Whom, Vantage as From, Verdict as Word};

    use super::fact;
    use crate::proof::question::{Ask, Credential, Place, Question, Subject, Target, Vantage, Verdict};
    use crate::proof::report::Cell;

    fn expect(from: From, protocol: Protocol, port: u16, verdict: Word) -> Expect {
        let to = Whom::Daemon("web".parse().expect("a name"));
        Expect { from, to, protocol, port, verdict, path: "expect[0]".to_owned() }
    }

    fn lab() -> From {
        From::Vlan("lab".parse().expect("a name"))
    }

    /// What vlan:lab saw of web's address.
    fn cell(ask: Ask, expected: Verdict, observed: Verdict) -> Cell {
        let target = Target {
            subject: Subject::Daemon("web".parse().expect("a name")),
            place: Place::Planned,
            interface: "web".parse().expect("a name"),
            address: "198.51.100.2".parse().expect("an address"),
            mac: None,
        };
        let vantage = Vantage::Vlan("lab".parse().expect("a name"));
        Cell { question: Question { vantage, target, ask, expected }, observed, frames: vec![1], note: String::new() }
    }

    #[test]
    fn a_line_holds_by_the_cell_of_its_port_alone() {
        let others = |observed| cell(Ask::OtherPorts { but: vec![80] }, Verdict::Silent, observed);
        let published = |observed| cell(Ask::Published { port: 80 }, Verdict::Silent, observed);
        let silent = expect(lab(), Protocol::Tcp, 443, Word::Silent);
        assert!(fact(&silent, &[others(Verdict::Silent), published(Verdict::Serves)]).holds);
        let red = fact(&silent, &[others(Verdict::Refuses), published(Verdict::Silent)]);
        assert!(!red.holds);
        assert_eq!(red.name, "expect[0]: vlan:lab -> daemon:web 443/tcp silent");
        assert_eq!(red.found, "web 198.51.100.2 65534 other tcp ports: refuses");
        assert_eq!(fact(&silent, &[]).found, "nothing was asked that decides it");
    }

    #[test]
    fn an_api_that_serves_is_not_one_that_refuses() {
        let api = |credential, verdict| cell(Ask::Api { port: 2376, credential }, verdict, verdict);
        let cells = [api(Credential::Own, Verdict::Serves), api(Credential::Absent, Verdict::Denies)];
        let holds = |word| fact(&expect(lab(), Protocol::Tcp, 2376, word), &cells).holds;
        assert!(holds(Word::Serves) && holds(Word::Denies));
        assert!(!holds(Word::Refuses) && !holds(Word::Silent));
    }

    #[test]
    fn an_open_api_denies_nobody() {
        let ask = Ask::Api { port: 2375, credential: Credential::Plaintext };
        let cells = [cell(ask, Verdict::Serves, Verdict::Serves)];
        let told = |word| fact(&expect(lab(), Protocol::Tcp, 2375, word), &cells);
        assert!(told(Word::Serves).holds);
        assert_eq!((told(Word::Denies).holds, told(Word::Denies).found), (false, "none of 1 cells is that".to_owned()));
    }

    #[test]
    fn a_port_of_some_sources_serves_if_it_does_where_some_are_listed() {
        let listed = |verdict| cell(Ask::Listed { protocol: Protocol::Udp, port: 53 }, verdict, verdict);
        let serves = expect(lab(), Protocol::Udp, 53, Word::Serves);
        // Listed for one IP version alone.
        assert!(fact(&serves, &[listed(Verdict::Serves), listed(Verdict::Silent)]).holds);
        assert!(!fact(&serves, &[listed(Verdict::Silent)]).holds);
        let from = "203.0.113.9".parse().expect("an address");
        let other = Ask::Unlisted { protocol: Protocol::Udp, port: 53, from };
        let silent = expect(lab(), Protocol::Udp, 53, Word::Silent);
        assert!(!fact(&silent, &[listed(Verdict::Serves), cell(other, Verdict::Silent, Verdict::Silent)]).holds);
    }

    #[test]
    fn what_is_not_asked_does_not_hold() {
        let cells = [cell(Ask::OtherPorts { but: Vec::new() }, Verdict::Silent, Verdict::Silent)];
        let beyond = From::Beyond("lab".parse().expect("a name"));
        let unasked = fact(&expect(beyond, Protocol::Tcp, 53, Word::Silent), &cells);
        assert!(!unasked.holds);
        assert_eq!(unasked.found, "nothing was asked that decides it");
        // Cells of TCP decide nothing about UDP.
        assert!(!fact(&expect(lab(), Protocol::Udp, 53, Word::Silent), &cells).holds);
    }
}
