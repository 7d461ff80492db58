//! What a daemon may take, as the running kernel has it: its memory, its tasks, its quota.

use std::time::Duration;

use anyhow::{Result, ensure};
use vm_tests::bed::Testbed;

use crate::support::Host;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each budget of the plan is the kernel's own figure, and a daemon without one has none.
pub(crate) fn stands(bed: &Testbed, host: &Host) -> Result<()> {
    let mut quotas = 0;
    for daemon in host.plan.daemons.values() {
        let name = &daemon.name;
        let cgroup = format!("/sys/fs/cgroup/dmhost.slice/{}", name.slice());
        let read = |file: &str| bed.guest.must(&format!("cat {cgroup}/{file}"), PATIENCE);
        let limit = |bytes: Option<u64>| bytes.map_or("max".to_owned(), |bytes| bytes.to_string());
        ensure!(read("memory.max")? == limit(daemon.resources.memory_max), "memory.max of {name}");
        ensure!(read("pids.max")? == limit(daemon.resources.tasks_max), "pids.max of {name}");

        let script =
            format!("btrfs qgroup show -re --raw --sync / | awk '$NF == \"{}\" {{ print $4 }}'", name.subvolume());
        let quota = bed.guest.must(&script, PATIENCE)?;
        let planned = daemon.quota.map_or("none".to_owned(), |bytes| bytes.to_string());
        ensure!(quota == planned, "the quota of {name} is {quota:?}, not {planned:?}");
        quotas += usize::from(daemon.quota.is_some());
    }
    ensure!(quotas > 0, "the spec asks for no quota");
    Ok(())
}
