//! Where probes come from: fresh stations on the subnets of the plan and beyond its gateways, each with an address of its
//! own, so that a frame tells which probe caused it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dmhost_layout::plan::{HostPlan, InterfaceName};
use ipnet::IpNet;

use super::topology::{Strangers, link_local};
use crate::fabric::{Host, Mac};

/// Hands out stations.
#[derive(Debug)]
pub struct Stations {
    strangers: Strangers,
    subnets: Vec<IpNet>,
    gateways: BTreeMap<InterfaceName, (Mac, Vec<IpAddr>)>,
    made: u32,
}

impl Stations {
    /// For a host.
    pub fn new(plan: &HostPlan) -> Self {
        let subnets = plan.interfaces.values().flat_map(|interface| interface.addresses.iter().copied()).collect();
        let gateways = plan
            .interfaces
            .values()
            .zip(0_u32..)
            .map(|(interface, index)| {
                let [a, b, c, d] = index.to_be_bytes();
                (interface.name.clone(), (Mac([0x06, 0xd1, a, b, c, d]), interface.gateways.clone()))
            })
            .collect();
        Self { strangers: Strangers::new(plan), subnets, gateways, made: 0 }
    }

    /// A fresh station in the subnet of `address`, within `within` if that is not empty. `None` where there is no free address.
    pub fn beside(&mut self, address: IpNet, within: &[IpNet]) -> Option<Host> {
        let ip = self.strangers.beside(address, within)?;
        Some(self.at(ip))
    }

    /// A fresh station in the same subnet as this address.
    pub fn like(&mut self, ip: IpAddr) -> Option<Host> {
        let subnet = *self.subnets.iter().find(|subnet| subnet.contains(&ip))?;
        self.beside(subnet, &[])
    }

    /// A fresh address off-link, of no station.
    pub fn far(&mut self, v4: bool) -> Option<IpAddr> {
        self.strangers.off_link(v4, &[])
    }

    /// A station with this address.
    pub fn at(&mut self, ip: IpAddr) -> Host {
        Host { mac: self.mac(), ip }
    }

    /// A fresh station that has a link-local address alone.
    pub fn link_local(&mut self) -> Host {
        let mac = self.mac();
        let ip = link_local(mac.0);
        Host { mac, ip: ip.into() }
    }

    /// A fresh station off-link, within `within` if that is not empty, and the gateway of an interface that its frames come
    /// through. `None` without a gateway for this IP version.
    ///
    /// A gateway has one MAC address for the whole run: the host remembers it.
    pub fn beyond(&mut self, over: &InterfaceName, v4: bool, within: &[IpNet]) -> Option<(Host, IpAddr)> {
        let ip = self.strangers.off_link(v4, within)?;
        self.through(over, ip)
    }

    /// The MAC address of an interface's gateways.
    pub fn gateway(&self, of: &InterfaceName) -> Option<Mac> {
        self.gateways.get(of).map(|(mac, _)| *mac)
    }

    /// The off-link station with this address.
    pub fn through(&mut self, over: &InterfaceName, ip: IpAddr) -> Option<(Host, IpAddr)> {
        let (mac, gateways) = self.gateways.get(over)?;
        let gateway = gateways.iter().find(|gateway| gateway.is_ipv4() == ip.is_ipv4())?;
        Some((Host { mac: *mac, ip }, *gateway))
    }

    /// A locally administered address that no NIC of the plan has: those are in OUIs, or QEMU's 52:54:00.
    fn mac(&mut self) -> Mac {
        self.made += 1;
        let [a, b, c, d] = self.made.to_be_bytes();
        Mac([0x06, 0xd0, a, b, c, d])
    }
}
