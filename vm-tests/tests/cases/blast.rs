//! What one daemon's misfortune does to another: nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::{Daemon, DaemonName};
use vm_tests::bed::Testbed;
use vm_tests::fabric::scan::{PortState, Scan};
use vm_tests::fabric::{Canary, CanaryKind, Host as Station, Terms};
use vm_tests::proof::question::Vantage;
use vm_tests::proof::stations::Stations;
use vm_tests::proof::topology::mac;

use crate::support::Host;

const PATIENCE: Duration = Duration::from_secs(60);

/// `kill -9` of web's dockerd, while lab's API is asked without a pause until web's is back: every question to lab is
/// answered, and web's containers never stop.
pub(crate) fn kill_one_daemon(bed: &Testbed, host: &Host) -> Result<()> {
    let victim: DaemonName = "web".parse()?;
    let other = &host.plan.daemons[&"lab".parse::<DaemonName>()?];
    let unit = victim.service();
    let pid = |bed: &Testbed| bed.guest.must(&format!("systemctl show -P MainPID {unit}"), PATIENCE);
    let before = pid(bed)?;
    let docker = format!("docker -H unix://{}", victim.socket());
    let listing = format!("{docker} ps --format '{{{{.ID}}}} {{{{.Status}}}}' | cut -d' ' -f1,2");
    let running = bed.guest.must(&listing, PATIENCE)?;

    let asked = asked_meanwhile(bed, host, (other, &[]), || kill(bed, &unit, &before))?;
    ensure!(asked > 100, "only {asked} questions were asked in all that time");
    ensure!(pid(bed)? != before, "web's dockerd was not killed");
    let after = bed.guest.must(&listing, PATIENCE)?;
    ensure!(after == running && !after.is_empty(), "web's containers were {running:?} and are {after:?}");
    Ok(())
}

/// Kills the daemon and waits until systemd has it up again.
fn kill(bed: &Testbed, unit: &str, pid: &str) -> Result<()> {
    bed.guest.must(&kill_script(unit, pid), PATIENCE).context("web does not come back")?;
    Ok(())
}

/// The journal is followed from before the kill: the restart is systemd's own, and nothing is asked twice.
pub(super) fn kill_script(unit: &str, pid: &str) -> String {
    format!(
        "set -eu
         exec 4< <(journalctl --no-pager --output=cat --follow --lines=1 --unit={unit})
         read -r listening <&4
         kill -9 {pid}
         while read -r line <&4; do case $line in *'Main process exited'*) break;; esac; done
         systemctl start {unit}"
    )
}

/// Asks every address of a daemon for its API, and for ports that it publishes, over and over, from before something is done until after it;
/// each round is one scan, whose SYNs must be answered at the first try. Gives the number of questions.
pub(super) fn asked_meanwhile(
    bed: &Testbed,
    host: &Host,
    (daemon, published): (&Daemon, &[u16]),
    act: impl FnOnce() -> Result<()>,
) -> Result<u32> {
    let (first, begun) = mpsc::channel();
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(move || ask_until(bed, host, (daemon, published), &first, over));
        // The first round is over, or has failed, which is told below.
        let _ = begun.recv();
        let done = act();
        over.store(true, Ordering::Release);
        let asked = asking.join().map_err(|_| anyhow::anyhow!("the asking thread panicked"))?;
        done?;
        asked
    })
}

fn ask_until(
    bed: &Testbed,
    host: &Host,
    (daemon, published): (&Daemon, &[u16]),
    first: &mpsc::Sender<()>,
    over: &AtomicBool,
) -> Result<u32> {
    let stations = Stations::new(&host.plan);
    let api = daemon.api.as_ref().context("the daemon has no API")?;
    let interface = host.plan.interfaces_of(daemon).next().context("the daemon has no interface")?;
    let nic = bed.topology.nic(&host.plan, &interface.name)?;
    let segment = bed.topology.segment(&Vantage::Vlan(interface.name.clone()))?;
    let pairs: Vec<_> = interface
        .addresses
        .iter()
        .filter_map(|net| Some((stations.beside(*net, &[])?, stations.beside(*net, &[])?, net.addr())))
        .collect();
    let ports: Vec<u16> = std::iter::once(api.port).chain(published.iter().copied()).collect();
    let mut asked = 0;
    loop {
        let last = over.load(Ordering::Acquire);
        for (source, watcher, address) in &pairs {
            let target = Station { mac: mac(nic.mac), ip: *address };
            let canary = Canary {
                nic: nic.port,
                segment,
                source: *watcher,
                target,
                kind: CanaryKind::Echo,
                // Long: a slow answer is no lost one.
                patience: bed.vm.pace().scale(Duration::from_secs(20)),
            };
            let terms = Terms { canary, others: Vec::new(), grace: Duration::ZERO, deadline: bed.deadline(PATIENCE) };
            let scan = Scan {
                segment,
                source: *source,
                via: None,
                target,
                ports: ports.clone(),
                // Not asked again: one frame lost is one too many.
                expected: BTreeSet::new(),
                terms,
            };
            let report = bed.fabric.scan(&scan)?;
            for port in &ports {
                ensure!(
                    matches!(report.ports.get(port), Some(PortState::Serves(_))),
                    "question {asked} to {address} was lost: {report:?}"
                );
            }
            ensure!(report.canaries == 3, "a canary to {address} was lost: {} were sent, not 3", report.canaries);
            asked += 1;
        }
        if last {
            return Ok(asked);
        }
        // Whoever waits does so for the first alone.
        let _ = first.send(());
    }
}
