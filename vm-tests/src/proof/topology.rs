//! The wires of a host, from its plan: one port for each NIC, one segment for each network that a frame of it can be on.
//!
//! The untagged side of a NIC that carries VLANs is a segment too: silence there is part of the proof.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail};
use dmhost_layout::plan::{self, HostPlan, Interface, InterfaceKind, InterfaceName, MacAddress, NicMatch};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::question::Vantage;
use crate::fabric::{Builder, Mac, PortId, Segment};

/// One NIC of the guest, in the order in which they are plugged.
#[derive(Debug, Clone)]
pub struct Nic {
    /// Its interface in the spec.
    pub name: InterfaceName,
    /// Its address.
    pub mac: MacAddress,
    /// Its port of the fabric.
    pub port: PortId,
}

/// A host's wires.
#[derive(Debug)]
pub struct Topology {
    /// Every NIC.
    pub nics: Vec<Nic>,
    segments: BTreeMap<InterfaceName, Segment>,
}

impl Topology {
    /// Lays the wires out on a fabric.
    ///
    /// # Errors
    /// If a NIC is told by something else than its MAC address: a virtual machine has no other machine's PCI paths or names.
    pub fn lay(plan: &HostPlan, builder: &mut Builder) -> Result<Self> {
        let mut segments = BTreeMap::new();
        let mut nics = Vec::new();
        for interface in plan.interfaces.values() {
            let InterfaceKind::Nic(by) = &interface.kind else { continue };
            let name = &interface.name;
            let NicMatch::Mac(mac) = by else {
                bail!(
                    "interfaces.{name}.nic is told by its path or name, which a virtual machine does not have; \
                     give `mac` to verify this host"
                );
            };
            let untagged = builder.segment(&format!("{name}-untagged"));
            segments.insert(name.clone(), untagged);
            let mut tagged = Vec::new();
            for (vid, vlan) in plan.vlans_of(name) {
                let segment = builder.segment(vlan.name.as_str());
                segments.insert(vlan.name.clone(), segment);
                tagged.push((vid, segment));
            }
            let port = if tagged.is_empty() {
                builder.guest_access(name.as_str(), untagged)
            } else {
                builder.guest_trunk(name.as_str(), &tagged, Some(untagged))?
            };
            nics.push(Nic { name: name.clone(), mac: *mac, port });
        }
        Ok(Self { nics, segments })
    }

    /// The segment of a vantage.
    ///
    /// # Errors
    /// If it names no interface of the host.
    pub fn segment(&self, vantage: &Vantage) -> Result<Segment> {
        let segment = vantage.interface().and_then(|name| self.segments.get(name));
        segment.copied().with_context(|| format!("{vantage}: the host has no interface of that name"))
    }

    /// The NIC that an interface's frames go through.
    ///
    /// # Errors
    /// If it is none of this host's.
    pub fn nic(&self, plan: &HostPlan, name: &InterfaceName) -> Result<&Nic> {
        let interface = plan.interfaces.get(name).with_context(|| format!("the host has no interface {name}"))?;
        let nic = plan.nic_of(interface);
        self.nics.iter().find(|candidate| candidate.name == nic.name).with_context(|| format!("{name} has no NIC"))
    }
}

/// What a frame of the guest on a segment may be, by the plan.
#[derive(Debug)]
pub struct Wire<'a> {
    /// The interface.
    pub interface: &'a Interface,
    /// The NIC its frames go through.
    pub nic: &'a Nic,
}

impl Topology {
    /// Every segment with its interface and NIC.
    pub fn wires<'a>(&'a self, plan: &'a HostPlan) -> Vec<(Segment, Wire<'a>)> {
        let wire = |(name, segment): (&'a InterfaceName, &Segment)| {
            let interface = plan.interfaces.get(name)?;
            Some((*segment, Wire { interface, nic: self.nic(plan, name).ok()? }))
        };
        self.segments.iter().filter_map(wire).collect()
    }
}

/// The address of a NIC as smoltcp has it.
pub fn mac(address: MacAddress) -> Mac {
    Mac(address.octets())
}

/// Addresses for stations of ours on the subnets of an interface: free ones, from the top of the subnet down.
#[derive(Debug)]
pub struct Strangers {
    taken: HashSet<IpAddr>,
    local: Vec<IpNet>,
    /// What containers on segments have.
    containers: Vec<IpNet>,
}

/// The lowest addresses of a subnet, which are no stations: floods come from them, and are answered for long.
pub(super) const FLOODED: u32 = 64;

/// Where a station beyond a gateway is.
const FAR_V4: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 127, 0, 0), 16));
const FAR_V6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0xfffe, 0, 0, 0, 0, 0), 64));

impl Strangers {
    /// Knows every address that the plan uses.
    pub fn new(plan: &HostPlan) -> Self {
        let own = plan.interfaces.values().flat_map(|interface| interface.addresses.iter().map(IpNet::addr));
        let gateways = plan.interfaces.values().flat_map(|interface| interface.gateways.iter().copied());
        let dns = plan.interfaces.values().flat_map(|interface| interface.dns.iter().copied());
        let subnets = plan.interfaces.values().flat_map(|interface| interface.addresses.iter().copied());
        let pools = plan.daemons.values().flat_map(|daemon| daemon.pools.iter().map(|pool| pool.base));
        let networks = plan.daemons.values().flat_map(|daemon| &daemon.networks);
        Self {
            taken: own.chain(gateways).chain(dns).collect(),
            local: subnets.chain(pools).collect(),
            containers: networks
                .flat_map(plan::Network::on_segment)
                .chain(
                    plan.interfaces.values().flat_map(|interface| plan.proxied_on(interface)).map(|(range, _)| range),
                )
                .collect(),
        }
    }

    /// Leaves this address alone.
    pub fn spare(&mut self, address: IpAddr) {
        self.taken.insert(address);
    }

    /// Whether this address is the plan's or was given.
    pub fn knows(&self, address: IpAddr) -> bool {
        self.taken.contains(&address)
    }

    /// A fresh address beside `address` in its subnet, preferably within `within`. `None` where the subnet is full.
    pub fn beside(&mut self, subnet: IpNet, within: &[IpNet]) -> Option<IpAddr> {
        // Nets either hold one another or have nothing in common.
        let narrower = within.iter().filter(|net| subnet.contains(*net));
        let ranges: Vec<IpNet> = if within.iter().any(|net| net.contains(&subnet)) || within.is_empty() {
            vec![subnet]
        } else {
            narrower.copied().collect()
        };
        let ends = [subnet.network(), subnet.broadcast()];
        let host = |address: &IpAddr| subnet.prefix_len() + 1 >= subnet.max_prefix_len() || !ends.contains(address);
        let candidate = ranges.into_iter().flat_map(|range| self.candidates(range)).find(host)?;
        self.taken.insert(candidate);
        Some(candidate)
    }

    /// A fresh address in a subnet that none of these nets holds. `None` where they hold all of it.
    pub fn outside(&mut self, subnet: IpNet, nets: &[IpNet]) -> Option<IpAddr> {
        let found = self.candidates(subnet).find(|address| !nets.iter().any(|net| net.contains(address)))?;
        self.taken.insert(found);
        Some(found)
    }

    /// A fresh address that is on no subnet of the plan and in none of its pools: in one of these nets, or in one that
    /// nobody has on a link (RFC 6598, RFC 3849).
    pub fn off_link(&mut self, v4: bool, within: &[IpNet]) -> Option<IpAddr> {
        let usual = if v4 { FAR_V4 } else { FAR_V6 };
        let whole = |net: &IpNet| net.contains(&usual);
        let ranges = if within.is_empty() || within.iter().any(whole) { &[usual][..] } else { within };
        let local = |address: &IpAddr| self.local.iter().any(|net| net.contains(address));
        let found = ranges.iter().flat_map(|range| self.candidates(*range)).find(|address| !local(address))?;
        self.taken.insert(found);
        Some(found)
    }

    /// Up to some thousand free addresses, from the top of the subnet: gateways and servers live at its bottom, and floods come
    /// from there.
    fn candidates(&self, subnet: IpNet) -> impl Iterator<Item = IpAddr> {
        const ENOUGH: u32 = 4096;
        let (first, last) = match subnet {
            IpNet::V4(net) => {
                let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
                let (first, last) = if last - first < 2 { (first, last) } else { (first + 1, last - 1) };
                (u128::from(first), u128::from(last))
            }
            IpNet::V6(net) => {
                let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
                // The last 128 addresses of a subnet are reserved for anycast (RFC 2526).
                (first, if last - first > 1024 { last - 256 } else { last })
            }
        };
        let first = if last - first >= 2 * u128::from(FLOODED) { first + u128::from(FLOODED) } else { first };
        let lowest = first.max(last.saturating_sub(ENOUGH.into()));
        let v4 = subnet.addr().is_ipv4();
        let address = move |bits: u128| match u32::try_from(bits) {
            Ok(bits) if v4 => IpAddr::V4(bits.into()),
            Ok(_) | Err(_) => IpAddr::V6(bits.into()),
        };
        let theirs = |address: &IpAddr| self.containers.iter().any(|range| range.contains(address));
        let free = move |address: &IpAddr| !self.taken.contains(address) && !theirs(address);
        (lowest..=last).rev().map(address).filter(free)
    }
}

/// The link-local address of a NIC: RFC 4291 appendix A, the modified EUI-64 of its MAC address behind `fe80::`.
pub fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, 0, 0, 0];
    address[13..].copy_from_slice(&mac[3..]);
    address.into()
}
