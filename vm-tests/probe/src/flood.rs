//! A datagram to each of many neighbours that are not there: each is a place in a table that the whole machine shares.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use anyhow::{Context, Result};

/// Datagrams of one socket: what waits for a neighbour fills its buffer.
const EACH: u32 = 50;

pub(crate) fn run(first: IpAddr, count: u32) -> Result<()> {
    let any = if first.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    for begin in (0..count).step_by(EACH as usize) {
        let socket = UdpSocket::bind((any, 0)).context("cannot open a socket")?;
        socket.set_nonblocking(true).context("cannot prepare a socket")?;
        for nth in begin..count.min(begin + EACH) {
            let to = match first {
                IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).wrapping_add(nth))),
                IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(u128::from(first).wrapping_add(nth.into()))),
            };
            // That the table is full, or a rule in the way, is for the others to see.
            let _ = socket.send_to(b"dmhost", (to, 9));
        }
    }
    Ok(())
}
