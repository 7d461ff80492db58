//! A host that was booted once is there again in a moment, as it was.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use vm_tests::bed::{BedRequest, Testbed};
use vm_tests::truth::served;
use vm_tests::vm::cache_dir;

use crate::support::Host;

const SHORT: Duration = Duration::from_secs(20);
/// To the last API, on the reference machine.
const SERVE: Duration = Duration::from_secs(60);

/// Restored twice: every daemon serves over TLS, the clock is right, and neither run sees what the other has written.
#[expect(clippy::print_stderr, reason = "how long it took is shown with --nocapture, and if the case fails")]
pub(crate) fn is_where_it_was(host: &Host) -> Result<()> {
    let cache = cache_dir()?;
    let request = host.request(&cache);
    let settle = || {
        let begun = Instant::now();
        let bed = Testbed::settled(&request, &mut |text| eprintln!("{text}"))?;
        eprintln!("a settled host after {:.2} s", begun.elapsed().as_secs_f64());
        anyhow::Ok(bed)
    };
    drop(settle().context("the first run boots and saves")?);
    let mut boots = Vec::new();
    for run in 1..=2 {
        let bed = settle().with_context(|| format!("run {run} restores"))?;
        ensure!(
            bed.guest.must("ls /srv/left 2>/dev/null || echo none", SHORT)? == "none",
            "another run's file is there"
        );
        bed.guest.must("touch /srv/left; sync", SHORT)?;
        let clock: u64 = bed.guest.must("date +%s", SHORT)?.parse().context("no time")?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("before 1970")?.as_secs();
        ensure!(now.abs_diff(clock) <= SHORT.as_secs(), "the guest's clock says {clock}, and it is {now}");
        bed.guest.wait_settled()?;
        for answer in served(&host.plan, &bed, &host.pki, SERVE)? {
            eprintln!("{answer}");
        }
        boots.push(bed.guest.must("cat /proc/sys/kernel/random/boot_id", SHORT)?);
        ensure!(bed.console().contains(" login: "), "the console of the boot is lost: {:?}", bed.console());
    }
    ensure!(boots[0] == boots[1], "the host has booted again");
    what_fails_is_not_kept(&request)
}

/// What more is done to a host is kept with it if it succeeds: whoever comes after a failure tries it again.
fn what_fails_is_not_kept(request: &BedRequest<'_>) -> Result<()> {
    let with = |more: &dyn Fn(&Testbed) -> Result<()>| Testbed::settled_with(request, "a mark", more, &mut |_| {});
    let failed = with(&|_| bail!("no mark"));
    ensure!(failed.is_err_and(|error| error.to_string() == "no mark"), "a failure was not told");
    drop(with(&|bed| bed.guest.must("touch /srv/mark; sync", SHORT).map(drop)).context("after a failure")?);
    let bed = with(&|_| bail!("it is made again")).context("what succeeded is not kept")?;
    bed.guest.must("ls /srv/mark", SHORT).context("it is not as it was kept")?;
    Ok(())
}
