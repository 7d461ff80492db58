//! The proof of the proof, a part of it: one mutant of each kind that a running host takes up. `cargo run -p vm-tests --bin mutants` tries
//! all of them.

use anyhow::{Context, Result, ensure};
use vm_tests::mutants::{Laboratory, Outcome};
use vm_tests::vm::cache_dir;

use crate::support::Host;

/// What only late frames tell, what only hostile ones do, what only the sockets do, what stands behind another layer, and what is there for
/// a misfortune; by parts of their names.
const SOME: [&str; 5] = [
    "web/nftables.conf: prerouting without \"iifname { \"web\" } fib daddr . iif type { broadcast",
    "web/egress.nft: egress_web with \"policy accept\"",
    "web/daemon.json: bound to tcp://0.0.0.0:2376",
    "web/sysctl.conf: net.ipv6.conf.*.accept_ra the other way",
    "dmhost-web.service: without \"BindsTo=dmhost-web-zone.service\"",
];

pub(crate) fn are_killed(host: &Host) -> Result<()> {
    let cache_dir = cache_dir()?;
    let folder = host.image.with_file_name("mutants");
    fs_err::create_dir_all(&folder)?;
    let laboratory = Laboratory { plan: &host.plan, pki: &host.pki, image: &host.image, folder, cache_dir: &cache_dir };
    let all = laboratory.mutants();
    for part in SOME {
        let mutant =
            all.iter().find(|mutant| mutant.name.contains(part)).with_context(|| format!("no mutant {part}"))?;
        let outcome = laboratory.try_one(mutant)?;
        ensure!(matches!(outcome, Outcome::Killed(_)), "{}: {outcome}", mutant.name);
    }
    Ok(())
}
