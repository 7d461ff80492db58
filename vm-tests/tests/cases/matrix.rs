//! The whole matrix.

use anyhow::{Result, ensure};
use vm_tests::bed::Testbed;
use vm_tests::proof::question::Verdict;
use vm_tests::proof::{self, Extent, report::Cell};

use crate::support::Host;

/// Every cell and every fact is as planned, and the matrix asks what it should.
pub(crate) fn holds(bed: &Testbed, host: &Host) -> Result<()> {
    let report = proof::prove(&host.plan, bed, &host.pki, Extent::Whole, &mut |_| {})?;
    ensure!(report.holds(), "{}", report.text(false));
    // A matrix of silence alone would hold on a host that is switched off.
    let serving = |cell: &&Cell| cell.observed == Verdict::Serves;
    let served = report.cells.iter().filter(serving).count();
    let addresses: usize = host.plan.interfaces.values().map(|interface| interface.addresses.len()).sum();
    ensure!(served >= 3 * addresses, "only {served} cells serve, with {addresses} addresses");
    let ports = 65_535 * (addresses * host.plan.interfaces.len()) as u64;
    ensure!(report.probes >= ports, "{} probes are not all ports of all addresses from everywhere", report.probes);
    Ok(())
}
