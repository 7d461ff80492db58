//! The whole matrix.

use anyhow::{Result, ensure};
use vm_tests::bed::Testbed;
use vm_tests::proof::question::Verdict;
use vm_tests::proof::report::{Cell, Report};
use vm_tests::proof::{self, Extent};

use crate::support::Host;

/// Every cell and every fact is as planned, and the matrix asks what it should.
pub(crate) fn holds(bed: &Testbed, host: &Host) -> Result<()> {
    let report = some_hold(bed, host, Extent::Whole)?;
    let addresses: usize = host.plan.interfaces.values().map(|interface| interface.addresses.len()).sum();
    let ports = 65_535 * (addresses * host.plan.interfaces.len()) as u64;
    ensure!(report.probes >= ports, "{} probes are not all ports of all addresses from everywhere", report.probes);
    Ok(())
}

/// [`holds`] of the whole matrix, but not of every port.
pub(crate) fn quickly_holds(bed: &Testbed, host: &Host) -> Result<()> {
    some_hold(bed, host, Extent::Quick).map(drop)
}

fn some_hold(bed: &Testbed, host: &Host, extent: Extent) -> Result<Report> {
    let report = proof::prove(&host.plan, bed, &host.pki, extent, &mut |_| {})?;
    ensure!(report.holds(), "{}", report.red(false));
    // A matrix of silence alone would hold on a host that is switched off.
    let serving = |cell: &&Cell| cell.observed == Verdict::Serves;
    let served = report.cells.iter().filter(serving).count();
    let addresses: usize = host.plan.interfaces.values().map(|interface| interface.addresses.len()).sum();
    ensure!(served >= 3 * addresses, "only {served} cells serve, with {addresses} addresses");
    Ok(report)
}
