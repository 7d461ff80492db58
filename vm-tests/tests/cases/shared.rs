//! Daemons in one namespace: what befalls one of them, and what one takes of another's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::{DaemonName, InterfaceName};
use ipnet::IpNet;
use vm_tests::bed::Testbed;
use vm_tests::fabric::scan::{PortState, Scan};
use vm_tests::fabric::{Canary, CanaryKind, Host as Station, Terms};
use vm_tests::proof::question::Vantage;
use vm_tests::proof::stations::Stations;
use vm_tests::proof::topology::mac;

use super::blast::{asked_meanwhile, kill_script};
use crate::support::Host;

const PATIENCE: Duration = Duration::from_secs(60);

/// Whatever befalls web's dockerd, and all daemons at once, where daemons share the host's namespace: lab loses no frame, no container
/// stops, and no rule and no route is another in the end.
pub(crate) fn misfortunes(bed: &Testbed, host: &Host) -> Result<()> {
    let (web, lab): (DaemonName, DaemonName) = ("web".parse()?, "lab".parse()?);
    let unit = web.service();
    let before = Shared::read(bed, host)?;
    ensure!(before.containers.lines().count() >= 4, "no probes run: {:?}", before.containers);
    let misfortunes = [
        ("a reload", format!("systemctl reload {unit}")),
        ("a restart", format!("systemctl restart {unit}")),
        ("a stop", format!("systemctl stop {unit}; nft -s list ruleset >/dev/shm/stopped; systemctl start {unit}")),
        ("a kill", kill_script(&unit, &format!("$(systemctl show -P MainPID {unit})"))),
    ];
    for (what, script) in misfortunes {
        let act = || bed.guest.must(&script, PATIENCE).map(drop);
        let asked = asked_meanwhile(bed, host, (&host.plan.daemons[&lab], &[8080]), act)
            .with_context(|| format!("during {what} of web"))?;
        ensure!(asked > 1, "{asked} questions were asked during {what}");
        before.same(&Shared::read(bed, host)?).with_context(|| format!("after {what} of web"))?;
    }
    let stopped = bed.guest.must("cat /dev/shm/stopped", PATIENCE)?;
    let others = |rules: &str| without_chain(rules, &format!("sockets_{web}"));
    ensure!(others(&stopped) == others(&before.rules), "while web is stopped the rules are {stopped}");
    let all: Vec<String> = host.plan.daemons.keys().map(DaemonName::service).collect();
    bed.guest.must(&format!("systemctl restart {}", all.join(" ")), PATIENCE)?;
    before.same(&Shared::read(bed, host)?).context("after a restart of all at once")
}

/// What daemons in one namespace have there.
#[derive(Debug, PartialEq, Eq)]
struct Shared {
    rules: String,
    routes: String,
    containers: String,
}

impl Shared {
    fn read(bed: &Testbed, host: &Host) -> Result<Self> {
        let routes = "ip rule; ip -6 rule; for table in 1001 1002; do ip route show table $table; \
                      ip -6 route show table $table; done";
        let dockers = host
            .plan
            .daemons
            .keys()
            .map(|name| format!("docker -H unix://{} ps --format '{{{{.ID}}}} {{{{.State}}}}'\n", name.socket()));
        Ok(Self {
            rules: bed.guest.must("nft -s list ruleset", PATIENCE)?,
            routes: bed.guest.must(routes, PATIENCE)?,
            containers: bed.guest.must(&dockers.collect::<String>(), PATIENCE)?,
        })
    }

    fn same(&self, after: &Self) -> Result<()> {
        for (what, before, after) in [
            ("rules", &self.rules, &after.rules),
            ("routes", &self.routes, &after.routes),
            ("containers", &self.containers, &after.containers),
        ] {
            ensure!(before == after, "the {what} were\n{before}\nand are\n{after}");
        }
        Ok(())
    }
}

/// A ruleset without the rules of one chain.
fn without_chain(rules: &str, name: &str) -> String {
    let mut inside = false;
    let kept = rules.lines().filter(|line| {
        if line.trim() == format!("chain {name} {{") {
            inside = true;
        } else if line.trim() == "}" {
            inside = false;
        }
        !inside
    });
    kept.collect::<Vec<_>>().join("\n")
}

/// A container of lab that is published on addresses which are not lab's: they are bound, and nobody reaches them. On lab's own it serves.
pub(crate) fn borrowed_addresses(bed: &Testbed, host: &Host) -> Result<()> {
    let lab: DaemonName = "lab".parse()?;
    let docker = format!("docker -H unix://{}", lab.socket());
    let borrowed = [
        "198.51.100.2:443",
        "[2001:db8:10::2]:443",
        "192.0.2.10:8090",
        "[2001:db8::10]:8090",
        "0.0.0.0:8091",
        "[::]:8091",
    ];
    // What web exposes and has nobody for, lab's probe has taken already.
    let publish: String = borrowed[2..].iter().map(|place| format!(" -p {place}:8000")).collect();
    bed.guest
        .must(&format!("{docker} run -d --name borrower{publish} dmhost-probe /probe serve borrowed"), PATIENCE)
        .context("docker does not publish there")?;
    let sockets = bed.guest.must("ss -Htln", PATIENCE)?;
    for place in borrowed {
        ensure!(sockets.contains(place), "{place} is not bound:\n{sockets}");
    }
    // web exposes 443 and has nobody there; its own container is on 80. sshd is the host's.
    let asked: [(&str, &[u16], &[u16]); 3] =
        [("web", &[80], &[443, 8091]), ("lan", &[22], &[8090, 8091]), ("lab", &[8080, 8091], &[8090])];
    // Silence takes its time, which is the same for all of them.
    std::thread::scope(|scope| {
        let mut scans = Vec::new();
        for (interface, own, not) in asked {
            let ports = [own, not].concat();
            for scan in scans_of(bed, host, &interface.parse()?, &ports)? {
                scans.push((own, scope.spawn(move || (bed.fabric.scan(&scan), scan))));
            }
        }
        for (own, scanning) in scans {
            let (found, scan) = scanning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let found = found?.ports;
            for port in &scan.ports {
                let serves = matches!(found.get(port), Some(PortState::Serves(_)));
                let silent = matches!(found.get(port), Some(PortState::Silent));
                let right = if own.contains(port) { serves } else { silent };
                let address = scan.target.ip;
                ensure!(right, "port {port} of {address}, from its own segment: {:?}", found.get(port));
            }
        }
        anyhow::Ok(())
    })?;
    // From containers too, those of web on web's own address included.
    for (name, control) in [("web", "10.201.0.1"), ("lab", "10.202.0.1")] {
        let name: DaemonName = name.parse()?;
        let sheet = "tcp 198.51.100.2 443,8091\ntcp 192.0.2.10 8090,8091\n";
        let script = format!(
            "docker -H unix://{} exec -i dmhost-probe /probe ask <<'QUESTIONS'\ncontrol {control}\n{sheet}QUESTIONS\n",
            name.socket()
        );
        let said = bed.guest.must(&script, PATIENCE)?;
        ensure!(said.contains("asked "), "the probe of {name} did not ask: {said}");
        ensure!(!said.contains("answers") && !said.contains("refused"), "a container of {name}: {said}");
    }
    bed.guest.must(&format!("{docker} rm -f borrower"), PATIENCE)?;
    Ok(())
}

/// What asks TCP ports of every address of an interface from its own segment.
fn scans_of(bed: &Testbed, host: &Host, interface: &InterfaceName, ports: &[u16]) -> Result<Vec<Scan>> {
    let stations = Stations::new(&host.plan);
    let nic = bed.topology.nic(&host.plan, interface)?;
    let segment = bed.topology.segment(&Vantage::Vlan(interface.clone()))?;
    let scan = |net: &IpNet| {
        let station = || stations.beside(*net, &[]).context("no address is free");
        let target = Station { mac: mac(nic.mac), ip: net.addr() };
        let patience = bed.vm.pace().scale(Duration::from_secs(20));
        let canary = Canary { nic: nic.port, segment, source: station()?, target, kind: CanaryKind::Echo, patience };
        let terms = Terms { canary, others: Vec::new(), grace: patience, deadline: bed.deadline(PATIENCE) };
        let expected = ports.iter().copied().collect();
        Ok(Scan { segment, source: station()?, via: None, target, ports: ports.to_vec(), expected, terms })
    };
    host.plan.interfaces[interface].addresses.iter().map(scan).collect()
}
