//! Bare SYNs to many ports of one address that all ought to be silent: a tenth of what as many connections cost. Whatever comes of them, the
//! ports are asked again by connections, which tell who it was.

use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use crate::ask::Control;
use crate::icmp::checksum;

/// The first of 4,000 ports that they come from: above those that the kernel gives to connections (`net.ipv4.ip_local_port_range`).
const FIRST: u16 = 61_000;
/// How many packets have room in a socket's buffer at the least (`net.core.rmem_default`), with a margin.
const STRAYS: usize = 64;

/// A refusal is heard: in the own namespace whoever asks for a port is answered.
pub(crate) fn are_heard(control: &Control) -> Result<()> {
    for own in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        ensure!(!are_silent(own, &[1], control)?, "a bare SYN to {own} has no answer");
    }
    Ok(())
}

/// Whether nobody answered any of them, nor refused it. Where the first step already finds no way that is left for connections to tell;
/// what a router says of ways is silence to both.
pub(crate) fn are_silent(address: IpAddr, ports: &[u16], control: &Control) -> Result<bool> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(address, 0)), Type::RAW, Some(Protocol::TCP))
        .context("cannot open a raw socket")?;
    // From here on it hears of this address alone, and of ICMP's refusals.
    if socket.connect(&SocketAddr::new(address, 0).into()).is_err() {
        return Ok(false);
    }
    let from = FIRST + (RandomState::new().hash_one(ports) % 4_000) as u16;
    let own = socket.local_addr().ok().and_then(|own| own.as_socket()).context("a connected socket has an address")?;
    for port in ports {
        if socket.send(&segment((own.ip(), from), (address, *port))).is_err() {
            return Ok(false);
        }
    }
    control.close()?;
    socket.set_nonblocking(true).context("cannot prepare a raw socket")?;
    // What is left of connections comes here too. If that is much, the answer may not have had room.
    let mut socket = socket;
    for _ in 0..STRAYS {
        let mut packet = [0; 128];
        match socket.read(&mut packet) {
            Ok(length) if target_port(address, &packet[..length]) == Some(from) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
    }
    Ok(false)
}

/// The port that a packet of that address is for. Over IPv4 the header comes along.
fn target_port(address: IpAddr, packet: &[u8]) -> Option<u16> {
    let header = if address.is_ipv4() { packet.first().map_or(0, |first| usize::from(first & 15) * 4) } else { 0 };
    packet.get(header + 2..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// A SYN of TCP (RFC 9293, section 3.1).
fn segment((source, from): (IpAddr, u16), (target, port): (IpAddr, u16)) -> [u8; 20] {
    let mut segment = [0; 20];
    segment[..2].copy_from_slice(&from.to_be_bytes());
    segment[2..4].copy_from_slice(&port.to_be_bytes());
    // Any number will do for a sequence.
    segment[4..8].copy_from_slice(&[0xd0, 0x57, 0xd0, 0x57]);
    segment[12..16].copy_from_slice(&[5 << 4, 0x02, 0xff, 0xff]);
    let mut summed = Vec::with_capacity(64);
    for address in [source, target] {
        match address {
            IpAddr::V4(address) => summed.extend(address.octets()),
            IpAddr::V6(address) => summed.extend(address.octets()),
        }
    }
    // The rest of the pseudo-header: the protocol and the length.
    summed.extend([0, 6, 0, 20]);
    summed.extend(segment);
    segment[16..18].copy_from_slice(&checksum(&summed).to_be_bytes());
    segment
}
