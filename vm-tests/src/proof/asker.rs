//! Asks from inside: the probe in a container, or in the host's own namespace, says what answered.
//!
//! What leaves the machine meanwhile is judged by frames, by the watch of the egress invariant; the fabric plays the
//! gateways, so that what may leave does leave.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dmhost_layout::plan::HostPlan;

use super::containers::{PROGRAM, container, exec, page};
use super::question::{
    Ask, Inner, Ports, Question, Subject, Target, Vantage, Verdict, control, datagrams_of, ports_of, questions_within,
};
use super::report::Cell;
use super::stations::Stations;
use crate::bed::{Outside, Testbed};
use crate::fabric::{Inbox, Station, Watch};

/// For all questions of one vantage, on the reference machine, whose processors take in scans meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the probe heard: by address and, for TCP and UDP, by port.
#[derive(Debug, Default)]
struct Heard {
    echo: BTreeMap<IpAddr, String>,
    tcp: BTreeMap<(IpAddr, u16), String>,
    udp: BTreeMap<(IpAddr, u16), String>,
    asked: u64,
}

/// Asks from these vantages inside at once; gives the cells, and the number of probes.
///
/// # Errors
/// If the machine has ended or a probe does not run.
pub fn ask(
    plan: &HostPlan,
    bed: &Testbed,
    inner: &[Inner],
    ports: &Ports,
    vantages: &[Vantage],
) -> Result<(Vec<Cell>, u64)> {
    ask_through(plan, bed, inner, ports, vantages.to_vec(), |vantage, sheet| {
        let output = bed.guest.run(&script(vantage, sheet)?, PATIENCE)?;
        let failed = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(if output.status == Some(0) { Ok(output.text()) } else { Err(failed()) })
    })
}

/// [`ask`] of some vantages, whose probes are given their sheets by `run`: it has what they said, or why they failed.
///
/// # Errors
/// Those of `run`, or if a probe is not understood.
pub(crate) fn ask_through(
    plan: &HostPlan,
    outside: &Outside,
    inner: &[Inner],
    ports: &Ports,
    vantages: Vec<Vantage>,
    run: impl Fn(&Vantage, &str) -> Result<Result<String, String>> + Sync,
) -> Result<(Vec<Cell>, u64)> {
    let _gateways = Gateways::play(plan, outside)?;
    let run = &run;
    std::thread::scope(|scope| {
        let asking: Vec<_> = vantages
            .into_iter()
            .map(|vantage| scope.spawn(move || ask_from(plan, inner, ports, &vantage, run)))
            .collect();
        let (mut cells, mut probes) = (Vec::new(), 0);
        for thread in asking {
            let (of_one, asked) = match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            cells.extend(of_one);
            probes += asked;
        }
        Ok((cells, probes))
    })
}

/// Stations that stand in for the gateways of the plan: ARP and ND for them are answered, and what comes is dropped.
#[derive(Debug)]
pub(super) struct Gateways {
    _stations: Vec<Station>,
    _inbox: Inbox,
}

impl Gateways {
    pub(super) fn play(plan: &HostPlan, bed: &Outside) -> Result<Self> {
        let inbox = bed.fabric.inbox(Watch::Nothing)?;
        let stations = Stations::new(plan);
        let mut played = Vec::new();
        for interface in plan.interfaces.values().filter(|interface| !interface.gateways.is_empty()) {
            let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
            let Some(mac) = stations.gateway(&interface.name) else { continue };
            played.push(inbox.station(segment, mac, &interface.gateways, false)?);
        }
        Ok(Self { _stations: played, _inbox: inbox })
    }
}

fn ask_from(
    plan: &HostPlan,
    inner: &[Inner],
    ports: &Ports,
    vantage: &Vantage,
    run: impl Fn(&Vantage, &str) -> Result<Result<String, String>>,
) -> Result<(Vec<Cell>, u64)> {
    let questions = questions_within(plan, inner, ports, vantage);
    let unproven = |why: &str| {
        let cell = |question: &Question| cell(question, Verdict::Unproven, why.to_owned());
        (questions.iter().map(cell).collect(), 0)
    };
    let Some(control) = control(plan, inner, vantage) else {
        return Ok(unproven("there is nobody to ask from"));
    };
    let said = match run(vantage, &sheet(control, &questions))? {
        Ok(said) => said,
        Err(why) => return Ok(unproven(&format!("the probe fails: {why}"))),
    };
    let heard = Heard::read(&said).with_context(|| format!("the probe of {vantage} is not understood"))?;
    Ok((questions.iter().map(|question| judge(question, &heard)).collect(), heard.asked))
}

fn script(vantage: &Vantage, sheet: &str) -> Result<String> {
    let probe = match vantage {
        Vantage::Container(name, network) => exec(name, &container(network)),
        Vantage::Host => PROGRAM.to_owned(),
        Vantage::Vlan(_) | Vantage::Beyond(_) | Vantage::Trunk(_) => bail!("{vantage} is no vantage inside"),
    };
    Ok(format!("{probe} ask <<'QUESTIONS'\n{sheet}QUESTIONS\n"))
}

/// The questions as the probe takes them.
fn sheet(control: IpAddr, questions: &[Question]) -> String {
    let mut sheet = format!("control {control}\n");
    let words = |ports: &[u16]| ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    for group in questions.chunk_by(|one, next| one.target == next.target) {
        let address = group[0].target.address;
        let served = |question: &&Question| question.expected == Verdict::Serves;
        let tcp = |question: &Question| ports_of(&question.ask);
        let udp = |question: &Question| datagrams_of(&question.ask);
        let _ = writeln!(sheet, "echo {address}");
        let wanted: Vec<u16> = group.iter().filter(served).flat_map(tcp).collect();
        let silent: Vec<u16> = group.iter().filter(|question| !served(question)).flat_map(tcp).collect();
        if !wanted.is_empty() {
            let _ = writeln!(sheet, "tcp {address} {0} {0}", words(&wanted));
        }
        if !silent.is_empty() {
            let _ = writeln!(sheet, "syn {address} {}", words(&silent));
        }
        let datagrams: Vec<u16> = group.iter().flat_map(udp).collect();
        if !datagrams.is_empty() {
            let wanted: Vec<u16> = group.iter().filter(served).flat_map(udp).collect();
            let _ = writeln!(sheet, "udp {address} {} {}", words(&datagrams), words(&wanted));
        }
    }
    sheet
}

impl Heard {
    fn read(text: &str) -> Result<Self> {
        let mut heard = Self::default();
        let mut whole = false;
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            let (verb, first) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if verb == "asked" {
                heard.asked = first.parse().context("it does not say how many")?;
                whole = true;
                continue;
            }
            let address: IpAddr = first.parse().with_context(|| format!("no address: {line}"))?;
            let (port, word) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
            match verb {
                "echo" => drop(heard.echo.insert(address, port.to_owned())),
                "tcp" => drop(heard.tcp.insert((address, port.parse()?), word)),
                "udp" => drop(heard.udp.insert((address, port.parse()?), word)),
                _ => bail!("not understood: {line}"),
            }
        }
        if whole { Ok(heard) } else { bail!("it ends before its last line") }
    }
}

fn cell(question: &Question, observed: Verdict, note: String) -> Cell {
    Cell { question: question.clone(), observed, frames: Vec::new(), note }
}

fn judge(question: &Question, heard: &Heard) -> Cell {
    let Target { subject, address, .. } = &question.target;
    let tcp = |port: u16| verdict(heard.tcp.get(&(*address, port)));
    let udp = |port: u16| verdict(heard.udp.get(&(*address, port)));
    let page = match subject {
        Subject::Daemon(name) => page(name),
        Subject::Host => String::new(),
    };
    let paged = |said: Option<&String>| match verdict(said) {
        Verdict::Serves if said != Some(&format!("answers {}", page.escape_default())) => {
            (Verdict::Strange, format!("it says {}", said.map_or("", String::as_str)))
        }
        verdict => (verdict, String::new()),
    };
    let some = |ports: &[u16], of: &dyn Fn(u16) -> Verdict| {
        let worst = ports.iter().map(|port| of(*port)).max().unwrap_or(Verdict::Silent);
        let loud: Vec<String> = ports
            .iter()
            .filter(|port| of(**port) != Verdict::Silent)
            .take(10)
            .map(|port| format!("{port} {}", of(*port)))
            .collect();
        (worst, loud.join(", "))
    };
    let (observed, note) = match &question.ask {
        Ask::Echo => (verdict(heard.echo.get(address)), String::new()),
        Ask::Published { port } => paged(heard.tcp.get(&(*address, *port))),
        Ask::Datagram { port } => paged(heard.udp.get(&(*address, *port))),
        Ask::Port { port } => (tcp(*port), String::new()),
        Ask::SomePorts { ports } => some(ports, &tcp),
        Ask::OtherDatagrams { ports } => some(ports, &udp),
        Ask::Neighbour
        | Ask::Api { .. }
        | Ask::Unlisted { .. }
        | Ask::Listed { .. }
        | Ask::Vacant { .. }
        | Ask::OtherPorts { .. }
        | Ask::VacantDatagrams { .. } => (Verdict::Unproven, "not asked from inside".to_owned()),
    };
    cell(question, observed, note)
}

/// Unreachable is what the own namespace says, not the target: nobody answered.
fn verdict(said: Option<&String>) -> Verdict {
    match said.map(|said| said.split(' ').next().unwrap_or_default()) {
        None | Some("unreachable") => Verdict::Silent,
        Some("answers") => Verdict::Serves,
        Some("refused") => Verdict::Refuses,
        Some(_) => Verdict::Strange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_short_is_no_silence() {
        assert!(Heard::read("echo 192.0.2.1 answers\n").is_err());
        let heard =
            Heard::read("echo 192.0.2.1 answers\ntcp 192.0.2.1 80 answers a page\\n\nasked 3\n").expect("whole");
        assert_eq!(heard.asked, 3);
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        assert_eq!(verdict(heard.tcp.get(&(address, 80))), Verdict::Serves);
        assert_eq!(verdict(heard.tcp.get(&(address, 81))), Verdict::Silent);
        assert_eq!(heard.tcp[&(address, 80)], "answers a page\\n");
    }
}
