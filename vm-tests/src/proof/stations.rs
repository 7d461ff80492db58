//! Where probes come from: fresh stations on the subnets of the plan and beyond its gateways, each with an address of its
//! own, so that a frame tells which probe caused it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dmhost_layout::plan::{HostPlan, InterfaceName};
use ipnet::IpNet;

use super::question::free;
use super::routers;
use super::topology::{Strangers, link_local};
use crate::fabric::{Host, Mac};

/// Bits of an address's own part from which on a subnet can spare one for [`Stations::unmet`].
const ROOMY: u8 = 5;

/// Hands out stations. Clones hand out of one stock, so that probes side by side have addresses of their own.
#[derive(Debug, Clone)]
pub struct Stations {
    stock: Arc<Mutex<Stock>>,
    subnets: Vec<IpNet>,
    /// An address of each subnet with room for it, which is nobody's as long as the run.
    unmet: Vec<IpAddr>,
    gateways: BTreeMap<InterfaceName, (Mac, Vec<IpAddr>)>,
}

#[derive(Debug)]
struct Stock {
    strangers: Strangers,
    made: u32,
    /// Addresses that were handed out, the oldest first.
    handed: VecDeque<IpAddr>,
}

impl Stock {
    /// An address that nobody uses now.
    fn take(&mut self, subnet: IpNet, within: &[IpNet]) -> Option<IpAddr> {
        let fresh = self.strangers.beside(subnet, within);
        fresh.or_else(|| {
            // A small subnet has been through: what was caused long ago has been seen.
            let fits =
                |ip: &IpAddr| subnet.contains(ip) && (within.is_empty() || within.iter().any(|net| net.contains(ip)));
            self.handed.iter().position(fits).and_then(|at| self.handed.remove(at))
        })
    }

    /// A locally administered address that no NIC of the plan has: those are in OUIs, or QEMU's 52:54:00.
    fn mac(&mut self) -> Mac {
        self.made += 1;
        let [a, b, c, d] = self.made.to_be_bytes();
        Mac([0x06, 0xd0, a, b, c, d])
    }
}

impl Stations {
    /// For a host.
    pub fn new(plan: &HostPlan) -> Self {
        let subnets: Vec<IpNet> =
            plan.interfaces.values().flat_map(|interface| interface.addresses.iter().copied()).collect();
        let gateways = plan
            .interfaces
            .values()
            .zip(0_u32..)
            .map(|(interface, index)| (interface.name.clone(), (routers::mac(index), interface.gateways.clone())))
            .collect();
        let mut strangers = Strangers::new(plan);
        // Nobody is where the proof asks for nobody.
        let (wire, inside) = free(plan);
        wire.iter().chain(&inside).for_each(|target| strangers.spare(target.address));
        let roomy = subnets.iter().filter(|net| net.prefix_len() + ROOMY <= net.max_prefix_len());
        let unmet = roomy.filter_map(|net| strangers.beside(*net, &[])).collect();
        let stock = Stock { strangers, made: 0, handed: VecDeque::new() };
        Self { stock: Arc::new(Mutex::new(stock)), subnets, unmet, gateways }
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        // Whoever panicked has taken an address or has not.
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A station in the subnet of `address`, within `within` if that is not empty: a fresh one, or where there is no free address
    /// left the one that was used longest ago. `None` where there never was one.
    pub fn beside(&self, address: IpNet, within: &[IpNet]) -> Option<Host> {
        let host = self.settled(address, within)?;
        self.stock().handed.push_back(host.ip);
        Some(host)
    }

    /// The same for one that stays as long as the run: its address is nobody else's again.
    pub fn settled(&self, address: IpNet, within: &[IpNet]) -> Option<Host> {
        let ip = self.stock().take(address, within)?;
        Some(self.at(ip))
    }

    /// A fresh station in the same subnet as this address.
    pub fn like(&self, ip: IpAddr) -> Option<Host> {
        let subnet = *self.subnets.iter().find(|subnet| subnet.contains(&ip))?;
        self.beside(subnet, &[])
    }

    /// An address in a subnet that no station has had: the host knows nothing of it. `None` in a small subnet.
    pub fn unmet(&self, subnet: IpNet) -> Option<IpAddr> {
        self.unmet.iter().copied().find(|ip| subnet.contains(ip))
    }

    /// Whether nobody stands at this address for the whole run, and nobody is to stay away from it.
    pub fn is_vacant(&self, ip: IpAddr) -> bool {
        let stock = self.stock();
        !stock.strangers.knows(ip) || stock.handed.contains(&ip)
    }

    /// A fresh address off-link, of no station.
    pub fn far(&self, v4: bool) -> Option<IpAddr> {
        self.stock().strangers.off_link(v4, &[])
    }

    /// A station with this address. Its MAC address follows from that: the host remembers it, whoever has the station next.
    pub fn at(&self, ip: IpAddr) -> Host {
        let (version, [a, b, c, d]) = match ip {
            IpAddr::V4(v4) => (0xd4, v4.octets()),
            // Folded: of one subnet the ends differ, and of two the beginnings.
            IpAddr::V6(v6) => {
                (0xd6, std::array::from_fn(|at| (at..16).step_by(4).fold(0, |sum, at| sum ^ v6.octets()[at])))
            }
        };
        Host { mac: Mac([0x06, version, a, b, c, d]), ip }
    }

    /// A fresh station that has a link-local address alone.
    pub fn link_local(&self) -> Host {
        let mac = self.stock().mac();
        let ip = link_local(mac.0);
        Host { mac, ip: ip.into() }
    }

    /// A fresh station off-link, within `within` if that is not empty, and the gateway of an interface that its frames come
    /// through. `None` without a gateway for this IP version.
    ///
    /// A gateway has one MAC address for the whole run: the host remembers it.
    pub fn beyond(&self, over: &InterfaceName, v4: bool, within: &[IpNet]) -> Option<(Host, IpAddr)> {
        let ip = self.stock().strangers.off_link(v4, within)?;
        self.through(over, ip)
    }

    /// The MAC address of an interface's gateways.
    pub fn gateway(&self, of: &InterfaceName) -> Option<Mac> {
        self.gateways.get(of).map(|(mac, _)| *mac)
    }

    /// The off-link station with this address.
    pub fn through(&self, over: &InterfaceName, ip: IpAddr) -> Option<(Host, IpAddr)> {
        let (mac, gateways) = self.gateways.get(over)?;
        let gateway = gateways.iter().find(|gateway| gateway.is_ipv4() == ip.is_ipv4())?;
        Some((Host { mac: *mac, ip }, *gateway))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two who ask a host one after the other, each with stations of its own.
    #[test]
    fn an_address_has_one_mac_address_whoever_has_the_station() {
        let plan = crate::example("two-vlans");
        let nets: Vec<IpNet> = plan.interfaces.values().flat_map(|interface| interface.addresses.clone()).collect();
        let hosts = |nets: Vec<IpNet>| -> BTreeMap<IpAddr, Mac> {
            let stations = Stations::new(&plan);
            let some = |net: IpNet| (0..64).filter_map(|_| stations.beside(net, &[])).collect::<Vec<_>>();
            nets.into_iter().flat_map(some).map(|host| (host.ip, host.mac)).collect()
        };
        // In another order they are made in another order.
        let (all, others) = (hosts(nets.clone()), hosts(nets.into_iter().rev().collect()));
        assert_eq!(all, others);
        let macs: std::collections::BTreeSet<[u8; 6]> = all.values().map(|mac| mac.0).collect();
        assert_eq!(macs.len(), all.len(), "two addresses have one MAC address");
    }
}
