//! What a container does with its raw sockets. Each frame tells who sent it, in its payload or in an Ethernet address that
//! nobody has, so that it is known wherever it comes out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dmhost_layout::plan::{self, Driver, Interface};
use smoltcp::wire::TcpControl;

use super::frames;
use super::{Mark, Scene};
use crate::fabric::{Host, Mac, packet};
use crate::proof::question::on_no_network;
use crate::proof::topology;

const HOSTILE: &[u8] = b"dmhost-hostile-frame-";
const HONEST: &[u8] = b"dmhost-honest-frame-";
/// Ethernet addresses that nobody has; the sender's tell follows.
const NOBODY: [u8; 3] = [0x06, 0xd2, 0];

/// The number of the first of them that a kernel would send by itself.
const SETTLING: u16 = 0x8000;

/// What tells one sender's frames from those of all others.
pub(super) type Tell = [u8; 2];

/// An honest frame: who sent it, and its number.
pub(super) type Honest = (Tell, u16);

/// Who sends, and from where.
pub(super) struct Liar<'a> {
    /// Tells its frames from those of others.
    pub(super) tell: Tell,
    /// The source of its frames.
    pub(super) mac: Mac,
    /// Where they go: a bridge that routes them; `None`: to the neighbours themselves.
    pub(super) bridge: Option<Mac>,
    /// Whether its frames are wrong whatever they say, since a tag is put on them.
    pub(super) tagged: bool,
    /// Whether no datagram that it made by hand may leave, not even with its own address.
    pub(super) listed: bool,
    /// Whether the interface's own addresses are another's: it has a MAC address of its own.
    pub(super) apart: bool,
    /// Its addresses in its own network, for what only a known sender may ask of a bridge.
    pub(super) own: Vec<IpAddr>,
    /// The daemon's interface.
    pub(super) interface: &'a Interface,
    /// Stations on the interface's segment.
    pub(super) neighbours: &'a [Host],
}

/// Who sent a frame that ought not to leave.
pub(super) fn told_by(frame: &[u8]) -> Option<Tell> {
    after(frame, HOSTILE).or_else(|| after(frame, &NOBODY))
}

/// Which honest frame it is, if it is one.
pub(super) fn honest_of(frame: &[u8]) -> Option<Honest> {
    after(frame, HONEST).map(|[a, b, high, low]| ([a, b], u16::from_be_bytes([high, low])))
}

fn after<const N: usize>(frame: &[u8], mark: &[u8]) -> Option<[u8; N]> {
    let at = frame.windows(mark.len()).position(|window| window == mark)?;
    frame.get(at + mark.len()..)?.first_chunk().copied()
}

/// An Ethernet address that nobody has.
pub(super) fn nobody(tell: Tell) -> Mac {
    let mut octets = [1; 6];
    octets[..3].copy_from_slice(&NOBODY);
    octets[3..5].copy_from_slice(&tell);
    Mac(octets)
}

/// Every deed of one liar, and what it would leave in the tables of those who believe it.
pub(super) fn deeds(scene: &Scene<'_>, liar: &Liar<'_>) -> (Vec<Vec<u8>>, Vec<Mark>) {
    let mut frames = spoofed(scene, liar);
    frames.extend(lies(scene, liar));
    let mut marks = vec![Mark {
        text: nobody(liar.tell).to_string()[..14].replace('-', ":"),
        but_at: Some(liar.interface.name.clone()),
    }];
    let (served, prefix) = servers(liar);
    frames.extend(served);
    // A prefix of a route, or of an address made from it.
    marks.push(Mark::text(prefix.to_string().trim_end_matches(':').to_owned()));
    marks.push(Mark::text("192.0.0.17".to_owned()));
    frames.extend(tagged(scene, liar));
    // A protocol that nobody planned: an ethertype for local experiments (IEEE 802).
    frames.push([&Mac::BROADCAST.0[..], &liar.mac.0, &[0x88, 0xb5], HOSTILE, &liar.tell].concat());
    if liar.bridge.is_some() {
        let (routed, told) = routed(scene, liar);
        frames.extend(routed);
        marks.extend(told);
    }
    (frames, marks)
}

/// Frames that have to leave, from one's own addresses to each of these ports of the same IP version.
pub(super) fn honest(liar: &Liar<'_>, ports: &[(Host, u16)]) -> Vec<Vec<u8>> {
    let pairs = ports.iter().flat_map(|to| liar.own.iter().map(move |ip| (ip, to)));
    let pairs = pairs.filter(|(ip, (to, _))| ip.is_ipv4() == to.ip.is_ipv4());
    let frames = (0..).zip(pairs).filter_map(|(number, (ip, (to, port)))| {
        packet::udp(Host { mac: liar.mac, ip: *ip }, towards(liar, *to), (53, *port), &honest_mark(liar, number))
    });
    frames.collect()
}

/// Questions by ARP from one's own addresses that have to leave.
pub(super) fn honest_questions(liar: &Liar<'_>) -> Vec<Vec<u8>> {
    let asks = |(number, to): (u16, &Host)| {
        let own = liar.own.iter().find(|ip| ip.is_ipv4() && to.ip.is_ipv4())?;
        let frame = packet::who_has(Host { mac: liar.mac, ip: *own }, liar.mac, to.ip)?;
        Some([frame, honest_mark(liar, number)].concat())
    };
    (0..).zip(liar.neighbours).filter_map(asks).collect()
}

/// What a kernel says on a segment for a container with an IPv6 address there: whether it is somebody's already, and which group it listens
/// to; before it has any, and from its link-local one.
pub(super) fn settling(liar: &Liar<'_>) -> Vec<Vec<u8>> {
    let own = liar.own.iter().find_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None });
    let link_local = topology::link_local(liar.mac.0);
    // Links with one MAC address have a number each where others have `ff:fe`, and the rest of it as it is (Linux, `addrconf_ifid_eui48`).
    let mut numbered = link_local.octets();
    numbered[8] = liar.mac.0[0];
    numbered[11..13].copy_from_slice(&[0, 1]);
    let sources = [Ipv6Addr::UNSPECIFIED, if liar.apart { link_local } else { numbered.into() }];
    let says = |(own, source): (Ipv6Addr, Ipv6Addr)| {
        let from = Host { mac: liar.mac, ip: source.into() };
        [frames::question(from, own), frames::listener_report(from, own)]
    };
    let frames = own.into_iter().flat_map(|own| sources.map(|source| (own, source))).flat_map(says).flatten();
    (SETTLING..).zip(frames).map(|(number, frame)| [frame, honest_mark(liar, number)].concat()).collect()
}

fn honest_mark(liar: &Liar<'_>, number: u16) -> Vec<u8> {
    [HONEST, &liar.tell, &number.to_be_bytes()].concat()
}

fn towards(liar: &Liar<'_>, to: Host) -> Host {
    Host { mac: liar.bridge.unwrap_or(to.mac), ip: to.ip }
}

/// Every address of the plan but the interface's own, those of containers elsewhere, strangers near and far.
fn others(scene: &Scene<'_>, liar: &Liar<'_>) -> Vec<IpAddr> {
    let own = |address: &IpAddr| liar.interface.addresses.iter().any(|net| net.addr() == *address);
    let mut all: Vec<IpAddr> = scene.targets.iter().map(|target| target.address).filter(|ip| !own(ip)).collect();
    // What is in the daemon's own pools leaves as the daemon, by its NAT.
    let pooled =
        |ip: &IpAddr| liar.bridge.is_some() && scene.pools_of(liar.interface).iter().any(|net| net.contains(ip));
    // And what is led to the daemon leaves with its own address, but where no frame made by hand does.
    let led = |ip: &IpAddr| scene.plan.routed_on(liar.interface).iter().any(|range| range.contains(ip));
    // On a segment containers with the interface's MAC address are told from it by nothing.
    let ipvlan = scene
        .plan
        .network_on(liar.interface)
        .filter(|network| matches!(network.driver, Driver::Ipvlan { .. }) && liar.bridge.is_none());
    let beside = ipvlan.map(plan::Network::on_segment).unwrap_or_default();
    let known = |ip: &IpAddr| liar.own.contains(ip) || beside.iter().any(|range| range.contains(ip));
    let elsewhere = |ip: &IpAddr| !pooled(ip) && (liar.tagged || liar.listed || !led(ip) && !known(ip));
    all.extend(scene.inner.iter().copied().filter(elsewhere));
    // What no network has is no container's, whoever is led there.
    let owner = scene.plan.daemons.values().find(|daemon| daemon.interfaces.contains(&liar.interface.name));
    all.extend(owner.filter(|_| liar.bridge.is_some()).into_iter().flat_map(on_no_network));
    let nets = &liar.interface.addresses;
    all.extend(nets.iter().filter_map(|net| scene.stations.beside(*net, &[]).map(|host| host.ip)));
    all.extend([true, false].into_iter().filter_map(|v4| scene.stations.far(v4)));
    if liar.tagged || liar.apart {
        all.extend(nets.iter().map(ipnet::IpNet::addr));
    }
    all
}

/// Where a datagram goes: to a neighbour, and beyond the gateway.
fn aims(scene: &Scene<'_>, liar: &Liar<'_>, v4: bool) -> Vec<Host> {
    let near = liar.neighbours.iter().copied().filter(|host| host.ip.is_ipv4() == v4);
    let far = scene.stations.far(v4).map(|ip| Host { mac: nobody(liar.tell), ip });
    near.chain(far).map(|to| towards(liar, to)).collect()
}

/// Datagrams, each from an address that is not the sender's; and from a MAC address that is not the NIC's.
fn spoofed(scene: &Scene<'_>, liar: &Liar<'_>) -> Vec<Vec<u8>> {
    let payload = [HOSTILE, &liar.tell].concat();
    let mut all = Vec::new();
    let own = || liar.interface.addresses.iter().map(ipnet::IpNet::addr);
    for ip in others(scene, liar).into_iter().chain(own().filter(|_| liar.listed)) {
        let from = Host { mac: liar.mac, ip };
        all.extend(
            aims(scene, liar, ip.is_ipv4()).into_iter().filter_map(|to| packet::udp(from, to, (53, 53), &payload)),
        );
    }
    // Neighbour discovery that is true, and is not the kernel's.
    let told = own().filter(|_| liar.listed).filter_map(|ip| match ip {
        IpAddr::V6(ip) => {
            let from = Host { mac: liar.mac, ip: topology::link_local(liar.mac.0).into() };
            frames::advertised(from, ip, liar.mac)
        }
        IpAddr::V4(_) => None,
    });
    // So is a question for routers, where they are learnt.
    let asks = own().any(|ip| ip.is_ipv6()) && (liar.listed || !liar.interface.accept_ra);
    let from = Host { mac: liar.mac, ip: topology::link_local(liar.mac.0).into() };
    let asked = asks.then(|| frames::solicitation(from)).flatten();
    all.extend(told.chain(asked).map(|frame| [frame, payload.clone()].concat()));
    for ip in own() {
        let from = Host { mac: nobody(liar.tell), ip };
        all.extend(
            aims(scene, liar, ip.is_ipv4()).into_iter().filter_map(|to| packet::udp(from, to, (53, 53), &payload)),
        );
    }
    all
}

/// Honest but for a tag: another VID of the plan, and two of nobody's.
fn tagged(scene: &Scene<'_>, liar: &Liar<'_>) -> Vec<Vec<u8>> {
    let payload = [HOSTILE, &liar.tell].concat();
    let vids: Vec<u16> = scene.vlans().into_iter().map(|(_, vid)| vid).chain([0, 4000]).collect();
    let mut all = Vec::new();
    for own in liar.interface.addresses.iter().map(ipnet::IpNet::addr) {
        for to in aims(scene, liar, own.is_ipv4()) {
            let Some(frame) = packet::udp(Host { mac: liar.mac, ip: own }, to, (53, 53), &payload) else { continue };
            all.extend(vids.iter().map(|vid| frames::tagged(&frame, *vid)));
        }
    }
    all
}

/// That a gateway and the neighbours' addresses are at another MAC address: told by it, and told by the sender's own.
fn lies(scene: &Scene<'_>, liar: &Liar<'_>) -> Vec<Vec<u8>> {
    let told = nobody(liar.tell);
    let mut all = Vec::new();
    let link_local = |tell: Tell| IpAddr::from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xd2, u16::from_be_bytes(tell)));
    let gateways = liar.interface.gateways.iter().copied();
    for address in gateways.chain([link_local(liar.tell)]).chain(others(scene, liar)) {
        let lie = match address {
            IpAddr::V4(address) => Some(frames::gratuitous(told, address)),
            IpAddr::V6(address) => frames::unsolicited(told, address),
        };
        let lie = lie.into_iter().flat_map(|frame| [frame.clone(), frames::sent_by(frame, liar.mac)]);
        all.extend(lie);
        if let IpAddr::V6(address) = address {
            // Whoever says it: its address is no part of what it says.
            let own = liar.own.iter().copied().filter(IpAddr::is_ipv6);
            for ip in own.chain([topology::link_local(liar.mac.0).into()]) {
                all.extend(frames::advertised(Host { mac: liar.mac, ip }, address, told));
            }
            // Who asks is believed too.
            let asks = Host { mac: told, ip: address.into() };
            let anybody = liar.neighbours.iter().find(|host| host.ip.is_ipv6());
            let asked = anybody.and_then(|anybody| packet::who_has(asks, told, anybody.ip));
            all.extend(asked.map(|frame| frames::sent_by(frame, liar.mac)));
        }
    }
    all
}

/// A router and a DHCP server that are none.
fn servers(liar: &Liar<'_>) -> (Vec<Vec<u8>>, Ipv6Addr) {
    let mac = liar.mac;
    let from = Host { mac, ip: topology::link_local(mac.0).into() };
    let prefix = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, u16::from_be_bytes(liar.tell), 0, 0, 0, 0);
    let server = Ipv4Addr::new(192, 0, 0, 171);
    let mark = [HOSTILE, &liar.tell].concat();
    let payload = [&frames::dhcp(2, mac, Ipv4Addr::new(192, 0, 0, 170), server)[..], &mark].concat();
    let everybody = Host { mac: Mac::BROADCAST, ip: Ipv4Addr::BROADCAST.into() };
    let offer = packet::udp(Host { mac, ip: server.into() }, everybody, (67, 68), &payload);
    let router = frames::router(from, 1800, prefix).map(|frame| [&frame[..], &mark].concat());
    ([router, offer].into_iter().flatten().collect(), prefix)
}

/// What is asked of a router: a TTL that ends there, a source route, a redirect, and fragments that split a TCP header.
fn routed(scene: &Scene<'_>, liar: &Liar<'_>) -> (Vec<Vec<u8>>, Vec<Mark>) {
    let payload = [HOSTILE, &liar.tell].concat();
    let (mut all, mut marks) = (Vec::new(), Vec::new());
    for ip in &liar.own {
        let own = Host { mac: liar.mac, ip: *ip };
        let Some(beyond) = scene.stations.far(ip.is_ipv4()) else { continue };
        let aims = aims(scene, liar, ip.is_ipv4());
        all.extend(aims.iter().filter_map(|to| Some(frames::hops(packet::udp(own, *to, (53, 53), &payload)?, 1))));
        // The router's own address on the uplink: what is asked of itself, it might do.
        let Some(router) = liar.router(*ip) else { continue };
        for to in aims {
            let frame = packet::udp(own, router, (53, 53), &payload);
            all.extend(frame.map(|frame| frames::source_routed(&frame, to.ip)));
        }
        all.extend(frames::redirect(own, router, beyond, own));
        marks.push(Mark::text(beyond.to_string()));
    }
    for ip in others(scene, liar) {
        let from = Host { mac: liar.mac, ip };
        for to in aims(scene, liar, ip.is_ipv4()) {
            let syn = packet::tcp(from, to, (scene.port(), 443), TcpControl::Syn, 1);
            all.extend(syn.map(|syn| frames::fragments(&syn, 0xd057)).unwrap_or_default());
        }
    }
    (all, marks)
}

impl Liar<'_> {
    /// The router, by its bridge and its address on the uplink.
    fn router(&self, like: IpAddr) -> Option<Host> {
        let ip = self.interface.addresses.iter().map(ipnet::IpNet::addr).find(|ip| ip.is_ipv4() == like.is_ipv4())?;
        Some(Host { mac: self.bridge?, ip })
    }
}
