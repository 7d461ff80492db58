//! The machine and its agent, against a real guest. Each function gets a booted machine with its agent attached; the
//! suite decides which image that is. Those that end the machine say so in their name.

use std::time::Duration;

use anyhow::{Context, ensure};
use vm_tests::guest::Guest;
use vm_tests::vm::{Limit, Verdict, Vm};

const SHORT: Duration = Duration::from_secs(20);

/// Scripts, their outputs and their ends; several at once.
pub(crate) fn agent_runs_scripts(guest: &Guest) -> anyhow::Result<()> {
    let output = guest.run("echo out; echo err >&2; exit 7", SHORT)?;
    ensure!(output.status == Some(7) && output.stdout == b"out\n" && output.stderr == b"err\n", "{output:?}");
    let noise: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    guest.put("/run/dmhost-test/a folder/noise", 0o640, &noise)?;
    let back =
        guest.run("cat '/run/dmhost-test/a folder/noise'; stat -c %a '/run/dmhost-test/a folder/noise' >&2", SHORT)?;
    ensure!(back.stdout == noise && back.stderr == b"640\n", "the file came back changed: {} bytes", back.stdout.len());
    let refused = guest.put("/proc/dmhost", 0o600, b"x").expect_err("procfs takes no files").to_string();
    ensure!(refused.starts_with("the guest cannot write /proc/dmhost: install: "), "{refused}");
    let failed = guest.must("echo broken >&2; exit 3", SHORT).expect_err("it exits with 3").to_string();
    ensure!(failed == "in the guest, `echo broken >&2; exit 3` ended with status 3: broken", "{failed}");
    Ok(())
}

/// A script over its deadline is killed in the guest and others go on meanwhile.
pub(crate) fn agent_kills_what_takes_too_long(guest: &Guest) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| guest.run("echo begun; sleep 9876", Duration::from_secs(2)));
        for word in ["one", "two", "three"] {
            let said = guest.must(&format!("echo {word}"), SHORT)?;
            ensure!(said == word, "{said:?} instead of {word}");
        }
        let slow = slow.join().map_err(|_| anyhow::anyhow!("the waiting thread panicked"))??;
        ensure!(slow.status.is_none() && slow.stdout == b"begun\n", "{slow:?}");
        let left = guest.run("grep -lsz '^98[7]6$' /proc/[0-9]*/cmdline", SHORT)?.text();
        ensure!(left.is_empty(), "still running: {left}");
        Ok(())
    })
}

/// A unit that fails is named with its journal; one that works is waited for.
pub(crate) fn units_are_waited_for_and_blamed(guest: &Guest) -> anyhow::Result<()> {
    let unit = |name: &str, command: &str| {
        let text = format!("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{command}'\n");
        guest.put(&format!("/run/systemd/system/{name}"), 0o644, text.as_bytes())
    };
    unit("good.service", "true")?;
    unit("bad.service", "echo the reason; exit 1")?;
    guest.must("systemctl daemon-reload", SHORT)?;
    guest.wait_for_units(&["good.service"])?;
    let verdict = Verdict::of(&guest.wait_for_units(&["good.service", "bad.service"]));
    let Verdict::Fail(why) = verdict else { anyhow::bail!("not a failure: {verdict}") };
    ensure!(why.contains("bad.service") && why.contains("the reason"), "the journal is not told: {why}");
    guest.must("systemctl reset-failed bad.service", SHORT)?;
    Ok(())
}

/// Ends the machine: a power-off is a clean end, seen on the monitor too.
pub(crate) fn power_off_ends_cleanly(vm: &Vm, guest: &Guest) -> anyhow::Result<()> {
    let mut events = vm.qmp().subscribe();
    guest.must("systemctl poweroff --no-block", SHORT)?;
    let event = events.wait_for_event("SHUTDOWN", guest.pace().scale(Duration::from_secs(60)))?;
    ensure!(event.raw["data"]["reason"] == "guest-shutdown", "{event:?}");
    let end = vm.watch().wait_end("power-off", Limit { deadline: SHORT, stall: None })?;
    ensure!(end == Verdict::Pass, "{end}");
    Ok(())
}

/// Ends the machine: a crash of its kernel ends every wait at once, as a panic.
pub(crate) fn panic_is_a_verdict(vm: &Vm, guest: &Guest) -> anyhow::Result<()> {
    let result = guest.run("modprobe pvpanic-pci; echo c > /proc/sysrq-trigger", Duration::from_secs(60));
    let Verdict::Panic(line) = Verdict::of(&result) else { anyhow::bail!("not a panic: {result:?}") };
    ensure!(line.contains("Kernel panic - not syncing"), "{line}");
    let mut events = vm.qmp().events();
    events.wait_for_event("GUEST_PANICKED", SHORT).context("pvpanic says nothing")?;
    Ok(())
}
