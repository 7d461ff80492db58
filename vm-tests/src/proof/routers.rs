//! Routers of the segments whose interfaces learn them: the fabric plays one on each, from before a host boots to its end.
//!
//! The plan does not know them. The proof asks with one that does: to what is beyond them they are gateways as others are.

use std::net::IpAddr;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;

use super::question::Vantage;
use super::topology::{Topology, link_local};
use crate::fabric::{Fabric, Mac, Station, Watch};

/// The MAC address of the gateways of the interface with this number, in the order of their names.
pub(super) fn mac(nth: u32) -> Mac {
    let [a, b, c, d] = nth.to_be_bytes();
    Mac([0x06, 0xd1, a, b, c, d])
}

/// The plan with a link-local gateway where a router is learnt.
#[must_use]
pub fn known(plan: &HostPlan) -> HostPlan {
    let mut plan = plan.clone();
    for (nth, interface) in (0..).zip(plan.interfaces.values_mut()) {
        if interface.accept_ra && !interface.gateways.iter().any(IpAddr::is_ipv6) {
            interface.gateways.push(link_local(mac(nth).0).into());
        }
    }
    plan
}

/// Routers that tell of themselves where they are asked for.
#[derive(Debug)]
pub(crate) struct Routers(#[expect(dead_code, reason = "each leaves with its drop")] Vec<Station>);

impl Routers {
    pub(crate) fn play(plan: &HostPlan, fabric: &Fabric, topology: &Topology) -> Result<Self> {
        let inbox = fabric.inbox(Watch::Nothing)?;
        let mut played = Vec::new();
        for (nth, interface) in (0..).zip(plan.interfaces.values()).filter(|(_, interface)| interface.accept_ra) {
            let segment = topology.segment(&Vantage::Vlan(interface.name.clone()))?;
            played.push(inbox.router(segment, mac(nth), link_local(mac(nth).0))?);
        }
        Ok(Self(played))
    }
}
