//! What a neighbour tells that is not so: ARP and ND about others, router advertisements, DHCP, redirects. Each row has marks of
//! its lie, which must be in no table of the guest afterwards.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dmhost_layout::plan::InterfaceName;
use ipnet::IpNet;

use super::frames;
use super::{Due, Mark, Round, Scene};
use crate::fabric::{Host, Mac, packet};
use crate::proof::question::Vantage;
use crate::proof::topology::link_local;

/// A lie on each segment: `frames` makes it from a liar with a link-local address and the name of the segment.
fn lies(
    scene: &Scene<'_>,
    due: Due,
    lie: impl Fn(&Scene<'_>, Host, &InterfaceName) -> Option<(Vec<Vec<u8>>, Vec<Mark>)>,
) -> Vec<Round> {
    let mut all = Vec::new();
    let vantages: Vec<Vantage> = scene.homes().into_iter().map(Vantage::Vlan).chain(scene.trunks()).collect();
    for vantage in vantages {
        let Some(name) = vantage.interface().cloned() else { continue };
        let liar = scene.stations.link_local();
        let Some((frames, marks)) = lie(scene, liar, &name) else { continue };
        all.push(Round { vantage, source: liar, frames, due, marks });
    }
    all
}

fn told(mac: Mac, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Vec<u8>> {
    let one = |address| match address {
        IpAddr::V4(address) => Some(frames::gratuitous(mac, address)),
        IpAddr::V6(address) => frames::unsolicited(mac, address),
    };
    addresses.into_iter().filter_map(one).collect()
}

pub(super) fn about_strangers(scene: &Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, name| {
        let nets: Vec<IpNet> = scene.plan.interfaces[name].addresses.clone();
        // Of whom the guest has met, a neighbour may tell that they have moved: ARP is like that.
        let strangers: Vec<IpAddr> = nets.iter().filter_map(|net| scene.stations.unmet(*net)).collect();
        Some((told(liar.mac, strangers), vec![Mark::anywhere(liar.mac)]))
    })
}

pub(super) fn about_gateways(scene: &Scene<'_>) -> Vec<Round> {
    lies(scene, Due::SameWire, |scene, liar, name| {
        let gateways: Vec<IpAddr> = scene.plan.interfaces.values().flat_map(|other| other.gateways.clone()).collect();
        // ARP has no proof of anything: whoever is on the segment may lie to the zone that lives there, and to it alone.
        Some((told(liar.mac, gateways), vec![Mark::but_at(liar.mac, name)]))
    })
}

pub(super) fn about_own(scene: &Scene<'_>) -> Vec<Round> {
    lies(scene, Due::SameWire, |scene, liar, _| {
        let own: Vec<IpAddr> = scene.targets.iter().map(|target| target.address).collect();
        Some((told(liar.mac, own), vec![Mark::anywhere(liar.mac)]))
    })
}

pub(super) fn rogue_router(scene: &Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, name| {
        // Where routers are learnt any station can be one, by its word. One that leads nowhere is met, and nothing else is taken from it.
        let learns = scene.plan.interfaces[name].accept_ra;
        let lifetime = if learns { 0 } else { 1800 };
        let prefix = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, scene.port(), 0, 0, 0, 0);
        let frame = frames::router(liar, lifetime, prefix)?;
        let text = prefix.to_string();
        let text = text.trim_end_matches(':').to_owned();
        let but_at = learns.then(|| name.clone());
        Some((vec![frame], vec![Mark::text(text), Mark { text: link_local(liar.mac.0).to_string(), but_at }]))
    })
}

pub(super) fn rogue_dhcp(scene: &Scene<'_>) -> Vec<Round> {
    lies(scene, Due::Nothing, |scene, liar, name| {
        let server = Ipv4Addr::new(192, 0, 0, 171);
        let offered = Ipv4Addr::new(192, 0, 0, 170);
        let from = Host { mac: liar.mac, ip: server.into() };
        let client = scene.nic_mac(&Vantage::Vlan(name.clone()))?;
        let to = Host { mac: Mac::BROADCAST, ip: Ipv4Addr::BROADCAST.into() };
        let one = |kind| packet::udp(from, to, (67, 68), &frames::dhcp(kind, client, offered, server));
        Some(([2, 5].into_iter().filter_map(one).collect(), vec![Mark::text("192.0.0.17".to_owned())]))
    })
}

pub(super) fn redirects(scene: &Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        let interface = scene.plan.interfaces[&name].clone();
        for net in &interface.addresses {
            let v4 = net.addr().is_ipv4();
            let vantage = Vantage::Vlan(name.clone());
            // A redirect is believed from the gateway, if from anybody.
            let gateway = interface.gateways.iter().find(|gateway| gateway.is_ipv4() == v4).copied();
            let (from, via) = (scene.stations.beside(*net, &[]), scene.stations.beside(*net, &[]));
            let (Some(mut from), Some(via), Some(mac)) = (from, via, scene.nic_mac(&vantage)) else { continue };
            from.ip = gateway.unwrap_or(from.ip);
            let Some(beyond) = scene.stations.far(v4) else { continue };
            let own = [Host { mac, ip: net.addr() }];
            let containers = scene.on_segment.iter().filter(|(on, host)| *on == name && net.contains(&host.ip));
            let told = own.into_iter().chain(containers.map(|(_, host)| *host));
            let frames = told.filter_map(|to| frames::redirect(from, to, beyond, via)).collect();
            let marks = vec![Mark::text(beyond.to_string())];
            let due = Due::Nothing;
            all.push(Round { vantage: vantage.clone(), source: from, frames, due, marks });
            // Whoever believes it asks for the new gateway first.
            all.push(Round { vantage, source: via, frames: Vec::new(), due, marks: Vec::new() });
        }
    }
    all
}

/// Believed, it would make the way to a neighbour narrow: for everything that is sent there.
pub(super) fn too_big(scene: &Scene<'_>) -> Vec<Round> {
    let mut all = Vec::new();
    for name in scene.homes() {
        for net in scene.plan.interfaces[&name].addresses.clone() {
            let vantage = Vantage::Vlan(name.clone());
            let victim = scene.stations.unmet(net);
            let (from, mac) = (scene.stations.beside(net, &[]), scene.nic_mac(&vantage));
            let (Some(from), Some(victim), Some(mac)) = (from, victim, mac) else { continue };
            let frames = frames::too_big(from, Host { mac, ip: net.addr() }, victim).into_iter().collect();
            // In quotation marks, as `ip` writes it: it may be the beginning of another.
            let marks = vec![Mark::text(format!("\"{victim}\""))];
            all.push(Round { vantage, source: from, frames, due: Due::Nothing, marks });
        }
    }
    all
}
