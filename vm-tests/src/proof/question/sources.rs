//! Ports that some sources reach: who of a list stands at a vantage, and who else.

use std::net::IpAddr;

use dmhost_layout::plan::{Daemon, HostPlan, Protocol};
use ipnet::IpNet;

use super::target::{free, subnet_of};
use super::{Ask, Place, Target, Vantage, Verdict};
use crate::proof::stations::Stations;
use crate::proof::topology::Strangers;

/// What is asked of a port that only the sources of a list reach: by one of them, and by another.
pub(super) fn by_source(
    plan: &HostPlan,
    vantage: &Vantage,
    target: &Target,
    (protocol, port): (Protocol, u16),
    from: &[IpNet],
) -> Vec<(Ask, Verdict)> {
    let listed = listed_sources(plan, vantage, target, Some(from));
    let promise = if listed.is_empty() { Verdict::Silent } else { Verdict::Serves };
    let asked = listed.is_empty() || can_stand(plan, vantage, target, &listed);
    let of_list = asked.then_some((Ask::Listed { protocol, port }, promise));
    let other = unlisted_source(plan, vantage, target, from);
    let other = other.map(|from| (Ask::Unlisted { protocol, port, from }, Verdict::Silent));
    of_list.into_iter().chain(other).collect()
}

/// The subnet that lists of sources are read by: the target's, or of a container that is reached by its own address the vantage's.
fn segment_of(plan: &HostPlan, vantage: &Vantage, target: &Target) -> Option<IpNet> {
    let own = || {
        let over = vantage.interface().filter(|_| target.place == Place::Container)?;
        let like = |net: &&IpNet| net.addr().is_ipv4() == target.address.is_ipv4();
        plan.interfaces[over].addresses.iter().find(like).copied()
    };
    subnet_of(plan, target).or_else(own)
}

/// Who alone reaches a port of `expose`, where not every source does.
pub fn listed_by(daemon: &Daemon, protocol: Protocol, port: u16) -> Option<&[IpNet]> {
    daemon.exposed(protocol, port)?.from.as_deref()
}

/// The nets of a list that have a source at this vantage for this target.
pub fn listed_sources(plan: &HostPlan, vantage: &Vantage, target: &Target, from: Option<&[IpNet]>) -> Vec<IpNet> {
    let Some(subnet) = segment_of(plan, vantage, target) else { return Vec::new() };
    let fits = |net: &&IpNet| match vantage {
        Vantage::Beyond(_) => net.addr().is_ipv4() == target.address.is_ipv4() && !subnet.contains(*net),
        Vantage::Vlan(_) | Vantage::Trunk(_) => subnet.contains(*net) || net.contains(&subnet.trunc()),
        Vantage::Container(..) | Vantage::Host => false,
    };
    from.unwrap_or_default().iter().filter(fits).copied().collect()
}

/// Whether a station can have an address of these nets here: those of gateways and name servers, of the host and of subnets elsewhere on it
/// are taken.
pub(super) fn can_stand(plan: &HostPlan, vantage: &Vantage, target: &Target, listed: &[IpNet]) -> bool {
    let stations = Stations::new(plan);
    match vantage {
        Vantage::Beyond(over) => stations.beyond(over, target.address.is_ipv4(), listed).is_some(),
        Vantage::Vlan(_) | Vantage::Trunk(_) => {
            segment_of(plan, vantage, target).is_some_and(|subnet| stations.beside(subnet, listed).is_some())
        }
        Vantage::Container(..) | Vantage::Host => false,
    }
}

/// An address at this vantage that is listed.
pub(super) fn listed_source(plan: &HostPlan, vantage: &Vantage, target: &Target, from: &[IpNet]) -> Option<IpAddr> {
    let listed = listed_sources(plan, vantage, target, Some(from));
    let subnet = segment_of(plan, vantage, target).filter(|_| !listed.is_empty())?;
    let mut strangers = Strangers::new(plan);
    unasked(plan, || match vantage {
        Vantage::Beyond(_) => strangers.off_link(target.address.is_ipv4(), &listed),
        Vantage::Vlan(_) | Vantage::Trunk(_) => strangers.beside(subnet, &listed),
        Vantage::Container(..) | Vantage::Host => None,
    })
}

/// An address at this vantage that is not listed.
pub(super) fn unlisted_source(plan: &HostPlan, vantage: &Vantage, target: &Target, from: &[IpNet]) -> Option<IpAddr> {
    let subnet = segment_of(plan, vantage, target)?;
    let mut strangers = Strangers::new(plan);
    let listed = |address: &IpAddr| from.iter().any(|net| net.contains(address));
    unasked(plan, || match vantage {
        Vantage::Beyond(_) => strangers.off_link(target.address.is_ipv4(), &[]).filter(|address| !listed(address)),
        Vantage::Vlan(_) | Vantage::Trunk(_) => strangers.outside(subnet, from),
        Vantage::Container(..) | Vantage::Host => None,
    })
}

/// The next address that no question asks for as nobody's.
fn unasked(plan: &HostPlan, next: impl FnMut() -> Option<IpAddr>) -> Option<IpAddr> {
    let (wire, inside) = free(plan);
    let asked = |address: &IpAddr| wire.iter().chain(&inside).any(|target| target.address == *address);
    std::iter::from_fn(next).find(|address| !asked(address))
}
