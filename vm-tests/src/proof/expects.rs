//! The user's own lines of the proof, `[[expect]]`, held against the cells that decide them.
//!
//! What this version does not ask (UDP, containers, the host, beyond a gateway) is a red fact: a line that nobody checks must
//! not look as if it held.

use dmhost_layout::plan::{self, Expect, HostPlan, Protocol};

use super::question::{Ask, Subject, Vantage, Verdict, ports_of};
use super::report::{Cell, Fact};

/// One fact for each line.
pub fn facts(plan: &HostPlan, cells: &[Cell]) -> Vec<Fact> {
    plan.expects.iter().map(|expect| fact(expect, cells)).collect()
}

fn fact(expect: &Expect, cells: &[Cell]) -> Fact {
    let Expect { from, to, protocol, port, verdict, path } = expect;
    let name = format!("{path}: {from} -> {to} {port}/{} {}", protocol.as_str(), verdict.as_str());
    let Some(vantage) = wire(from).filter(|_| *protocol == Protocol::Tcp) else {
        let found = "not asked: this version asks for TCP ports, from `vlan:` and `trunk:`".to_owned();
        return Fact { name, holds: false, found };
    };
    let subject = match to {
        plan::Target::Daemon(name) => Subject::Daemon(name.clone()),
        plan::Target::Host => Subject::Host,
    };
    let deciding: Vec<&Cell> = cells
        .iter()
        .filter(|cell| cell.question.vantage == vantage && cell.question.target.subject == subject)
        .filter(|cell| match &cell.question.ask {
            Ask::OtherPorts { but } => !but.contains(port),
            ask => ports_of(ask).contains(port),
        })
        .collect();
    // An API's cells differ by credential; a line is about one of them.
    let wanted = expected(*verdict);
    let good = |cell: &Cell| match cell.question.ask {
        Ask::Api { .. } => {
            cell.holds() && (cell.observed == wanted || wanted != Verdict::Silent && cell.observed != Verdict::Silent)
        }
        // Exposed and reached; that nobody is there is the proof's own choice.
        Ask::Vacant { .. } => cell.observed == wanted || wanted == Verdict::Serves && cell.observed == Verdict::Refuses,
        Ask::Neighbour | Ask::Echo | Ask::Published { .. } | Ask::Port { .. } | Ask::OtherPorts { .. } => {
            cell.observed == wanted
        }
    };
    let bad: Vec<String> = deciding
        .iter()
        .filter(|cell| !good(cell))
        .map(|cell| format!("{} {}: {}", cell.question.target, cell.question.ask, cell.observed))
        .collect();
    let holds = bad.is_empty() && !deciding.is_empty();
    let found = match (holds, deciding.len()) {
        (_, 0) => "nothing was asked that decides it".to_owned(),
        (true, count) => format!("as expected, by {count} cells"),
        (false, _) => bad.join("\n"),
    };
    Fact { name, holds, found }
}

/// The vantage of the matrix, if it is one on a wire.
fn wire(from: &plan::Vantage) -> Option<Vantage> {
    match from {
        plan::Vantage::Vlan(name) => Some(Vantage::Vlan(name.clone())),
        plan::Vantage::Trunk(name) => Some(Vantage::Trunk(name.clone())),
        plan::Vantage::Beyond(_) | plan::Vantage::Container(_) | plan::Vantage::Host => None,
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
