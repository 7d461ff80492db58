//! What watches while the proof asks does see: faults made on purpose are each told by their name.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vm_tests::bed::Testbed;
use vm_tests::proof::watchers::Watching;

use crate::support::Host;

/// A unit that fails, one that the kernel kills for its memory, a complaint of the kernel on the console, and words of nft and
/// dockerd as they say them.
const FAULTS: &str = "
    systemd-run --quiet --wait --unit=dmhost-test-fails false
    systemd-run --quiet --wait --unit=dmhost-test-oom -p MemoryMax=16M -p MemorySwapMax=0 /usr/bin/tail -c 1G /dev/zero
    echo '<2>kernel: INFO: task dmhost-test:1 blocked for more than 120 seconds.' >/dev/kmsg
    echo 'rules.nft:3:1-4: Error: syntax error, unexpected newline' | systemd-cat -t nft
    echo 'time=\"2026-01-01T00:00:00Z\" level=fatal msg=\"no\"' | systemd-cat -t dockerd
    journalctl --sync";
/// For all of them, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clean watch first, then one with faults.
pub(crate) fn faults_are_told(bed: &Testbed, host: &Host) -> Result<()> {
    let quiet = Watching::begin(&host.plan, bed)?.facts(&host.plan, bed)?;
    ensure!(quiet.iter().all(|fact| fact.holds), "something is wrong before anything was done: {quiet:?}");
    let watching = Watching::begin(&host.plan, bed)?;
    bed.guest.must(FAULTS, PATIENCE)?;
    let facts = watching.facts(&host.plan, bed)?;
    let told = |name: &str| facts.iter().find(|fact| fact.name == name).with_context(|| format!("no fact {name}"));
    let journal = told("journal")?;
    for fault in ["failed unit: ", "out of memory: ", "hung task: ", "nft: ", "dockerd: "] {
        ensure!(!journal.holds && journal.found.contains(fault), "{fault}is not told by the journal: {journal:?}");
    }
    let console = told("console")?;
    ensure!(!console.holds && console.found.contains("hung-task"), "the console's watch: {console:?}");
    let units = told("units at the end")?;
    ensure!(!units.holds && units.found.contains("dmhost-test-fails"), "the units' watch: {units:?}");
    bed.guest.must("systemctl reset-failed", PATIENCE).map(drop)
}
