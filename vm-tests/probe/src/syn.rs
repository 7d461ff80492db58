//! Bare SYNs to many ports of one address that all ought to be silent: a tenth of what as many connections cost. Whatever comes of them, the
//! ports are asked again by connections, which tell who it was.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use crate::ask::Control;
use crate::icmp::checksum;

/// Where they come from: above the ports that the kernel gives to connections (`net.ipv4.ip_local_port_range`).
const SOURCE: u16 = 61_000;
/// How many packets have room in a socket's buffer at the least (`net.core.rmem_default`), with a margin.
const STRAYS: usize = 64;

/// A refusal is heard: in the own namespace whoever asks for a port is answered.
pub(crate) fn are_heard(control: &Control) -> Result<()> {
    for own in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        ensure!(!are_silent(own, &[1], control)?, "a bare SYN to {own} has no answer");
    }
    Ok(())
}

/// Whether nothing at all came of them. Where there is no way to the address something did.
pub(crate) fn are_silent(address: IpAddr, ports: &[u16], control: &Control) -> Result<bool> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(address, 0)), Type::RAW, Some(Protocol::TCP))
        .context("cannot open a raw socket")?;
    // From here on it hears of this address alone, and of ICMP's refusals.
    if socket.connect(&SocketAddr::new(address, 0).into()).is_err() {
        return Ok(false);
    }
    let own = socket.local_addr().ok().and_then(|own| own.as_socket()).context("a connected socket has an address")?;
    for port in ports {
        if socket.send(&segment((own.ip(), address), *port)).is_err() {
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
            Ok(length) if is_to_source(address, &packet[..length]) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
    }
    Ok(false)
}

/// Whether a packet of that address is for [`SOURCE`]. Over IPv4 the header comes along.
fn is_to_source(address: IpAddr, packet: &[u8]) -> bool {
    let header = if address.is_ipv4() { packet.first().map_or(0, |first| usize::from(first & 15) * 4) } else { 0 };
    packet.get(header + 2..header + 4) == Some(&SOURCE.to_be_bytes())
}

/// A SYN of TCP (RFC 9293, section 3.1).
fn segment((source, target): (IpAddr, IpAddr), port: u16) -> [u8; 20] {
    let mut segment = [0; 20];
    segment[..2].copy_from_slice(&SOURCE.to_be_bytes());
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
