//! networkd files of the host's own namespace: names for the NICs, addresses for what the host keeps, silence for the rest.
//!
//! Sources: systemd.link(5), systemd.netdev(5), systemd.network(5).

use crate::layout::Layout;
use crate::plan::{Base, HostPlan, Interface, InterfaceKind, NicMatch, Owner};
use crate::render::unit::UnitFile;

const FOLDER: &str = "/etc/systemd/network";

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    for interface in plan.interfaces.values() {
        let Interface { name, kind, addresses: _, gateways: _, accept_ra: _, dns: _, owner } = interface;
        match (kind, owner) {
            (InterfaceKind::Nic(by), owner) => {
                layout.text(format!("{FOLDER}/10-{name}.link"), link(interface, by).text());
                let network = match owner {
                    Owner::Host => addressed(plan, interface),
                    Owner::Carrier => carrier(plan, interface),
                    Owner::Daemon(_) => unmanaged(plan, interface),
                };
                layout.text(format!("{FOLDER}/10-{name}.network"), network.text());
            }
            (InterfaceKind::Vlan { parent: _, id }, Owner::Host) => {
                let netdev = UnitFile::new(&format!("interfaces.{name}.vlan"))
                    .section("NetDev")
                    .set("Name", name.as_str())
                    .set("Kind", "vlan")
                    .section("VLAN")
                    .set("Id", id.to_string());
                layout.text(format!("{FOLDER}/10-{name}.netdev"), netdev.text());
                layout.text(format!("{FOLDER}/10-{name}.network"), addressed(plan, interface).text());
            }
            // Made by the daemon's own unit (`daemon/link.rs`): a zone's in its namespace, where networkd does not reach.
            (InterfaceKind::Vlan { .. }, Owner::Daemon(_) | Owner::Carrier) => {}
        }
    }
    if plan.shared().next().is_some() {
        // When it starts it would take away what it did not make: the daemons' routing tables and the rules that lead there.
        let foreign = UnitFile::new("Routes and rules of daemons in the host's namespace are their own units'.")
            .section("Network")
            .set("ManageForeignRoutes", "no")
            .set("ManageForeignRoutingPolicyRules", "no");
        layout.text("/etc/systemd/networkd.conf.d/dmhost.conf", foreign.text());
    }
}

/// Gives a NIC the name it has in the spec. `PermanentMACAddress`: VLANs share their parent's address.
fn link(interface: &Interface, by: &NicMatch) -> UnitFile {
    let name = &interface.name;
    let matched = UnitFile::new(&format!("interfaces.{name}.nic")).section("Match");
    let matched = match by {
        NicMatch::Mac(mac) => matched.set("PermanentMACAddress", mac.to_string()),
        NicMatch::Path(path) => matched.set("Path", path),
        NicMatch::Name(original) => matched.set("OriginalName", original),
    };
    matched.section("Link").set("Name", name.as_str()).set("MACAddressPolicy", "none")
}

/// An interface that the host keeps, with its addresses.
fn addressed(plan: &HostPlan, interface: &Interface) -> UnitFile {
    let name = &interface.name;
    // Without an IPv6 address there is no neighbour to find, and nothing answers on a link-local one.
    let ipv6 = interface.addresses.iter().any(|net| net.addr().is_ipv6());
    let mut file = UnitFile::new(&format!("interfaces.{name}: the host's own"))
        .section("Match")
        .set("Name", name.as_str())
        .section("Link")
        .set("RequiredForOnline", "no")
        .section("Network")
        .set("LinkLocalAddressing", if ipv6 { "ipv6" } else { "no" })
        .set("IPv6AcceptRA", if interface.accept_ra { "yes" } else { "no" })
        .set("LLMNR", "no")
        .set("MulticastDNS", "no")
        .set("LLDP", "no")
        .each("VLAN", vlans_of_the_host(plan, interface));
    if interface.accept_ra {
        file = router_alone(plan.host.base).iter().fold(file.section("IPv6AcceptRA"), |file, key| file.set(key, "no"));
    }
    for address in &interface.addresses {
        // A static address is ours: nothing waits for duplicate address detection.
        file = file.section("Address").set("Address", address.to_string()).set("DuplicateAddressDetection", "none");
    }
    for gateway in &interface.gateways {
        file = file.section("Route").set("Gateway", gateway.to_string());
    }
    file
}

/// All that systemd takes from router advertisements besides the router.
fn router_alone(base: Base) -> &'static [&'static str] {
    const ALL: &[&str] = &[
        "UseAutonomousPrefix",
        "UseOnLinkPrefix",
        "UseRoutePrefix",
        "UseMTU",
        "UseDNS",
        "UseDomains",
        "DHCPv6Client",
        // An older systemd neither knows these keys nor takes what they are for.
        "UseCaptivePortal",
        "UsePREF64",
        "UseHopLimit",
        "UseICMP6RateLimit",
        "UseReachableTime",
        "UseRetransmissionTime",
        "UseRedirect",
    ];
    match base {
        Base::Debian12 => &ALL[..7],
        Base::Debian13 => ALL,
    }
}

/// A NIC that carries VLANs and says nothing itself.
fn carrier(plan: &HostPlan, interface: &Interface) -> UnitFile {
    let name = &interface.name;
    UnitFile::new(&format!("interfaces.{name}: carries tagged frames only, so its untagged side is silent"))
        .section("Match")
        .set("Name", name.as_str())
        .section("Link")
        .set("RequiredForOnline", "no")
        .section("Network")
        .set("LinkLocalAddressing", "no")
        .set("IPv6AcceptRA", "no")
        .set("LLMNR", "no")
        .set("MulticastDNS", "no")
        .set("LLDP", "no")
        .each("VLAN", vlans_of_the_host(plan, interface))
}

/// A NIC that goes to a daemon's namespace, or has its addresses from the daemon's unit.
fn unmanaged(plan: &HostPlan, interface: &Interface) -> UnitFile {
    let name = &interface.name;
    let why =
        if plan.speaks_in_host(interface) { "its daemon's unit has it" } else { "moves to its daemon's namespace" };
    UnitFile::new(&format!("interfaces.{name}: {why}"))
        .section("Match")
        .set("Name", name.as_str())
        .section("Link")
        .set("Unmanaged", "yes")
}

fn vlans_of_the_host<'a>(plan: &'a HostPlan, parent: &Interface) -> Vec<&'a str> {
    plan.vlans_of(&parent.name)
        .into_iter()
        .filter(|(_, vlan)| vlan.owner == Owner::Host)
        .map(|(_, vlan)| vlan.name.as_str())
        .collect()
}
