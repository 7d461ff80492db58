//! Where probes come from: fresh stations on the subnets of the plan, each with an address and a MAC of its own, so that a
//! frame tells which probe caused it.

use std::net::IpAddr;

use dmhost_layout::plan::HostPlan;
use ipnet::IpNet;

use super::topology::Strangers;
use crate::fabric::{Host, Mac};

/// Hands out stations.
#[derive(Debug)]
pub struct Stations {
    strangers: Strangers,
    subnets: Vec<IpNet>,
    made: u32,
}

impl Stations {
    /// For a host.
    pub fn new(plan: &HostPlan) -> Self {
        let subnets = plan.interfaces.values().flat_map(|interface| interface.addresses.iter().copied()).collect();
        Self { strangers: Strangers::new(plan), subnets, made: 0 }
    }

    /// A fresh station in the subnet of `address`, within `within` if that is not empty. `None` where there is no free address.
    pub fn beside(&mut self, address: IpNet, within: &[IpNet]) -> Option<Host> {
        let ip = self.strangers.beside(address, within)?;
        Some(Host { mac: self.mac(), ip })
    }

    /// A fresh station in the same subnet as this address.
    pub fn like(&mut self, ip: IpAddr) -> Option<Host> {
        let subnet = *self.subnets.iter().find(|subnet| subnet.contains(&ip))?;
        self.beside(subnet, &[])
    }

    /// A locally administered address that no NIC of the plan has: those are in OUIs, or QEMU's 52:54:00.
    fn mac(&mut self) -> Mac {
        self.made += 1;
        let [a, b, c, d] = self.made.to_be_bytes();
        Mac([0x06, 0xd0, a, b, c, d])
    }
}
