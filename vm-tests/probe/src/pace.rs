//! How fast datagrams leave, and how soon one is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a full frame of Ethernet has room for in either IP version, and a tunnel's header more.
const FULL: [u8; 1400] = [0xd2; 1400];
/// How long an answer may take: one that is lost ends all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends so many datagrams as fast as they are taken.
pub(crate) fn blast(to: IpAddr, port: u16, count: u32) -> Result<()> {
    let socket = connected(to, port)?;
    for _ in 0..count {
        socket.send(&FULL).context("cannot send")?;
    }
    Ok(())
}

/// Sends so many datagrams, each after the answer to the one before it, and says how long each took, in nanoseconds.
pub(crate) fn rtt(to: IpAddr, port: u16, count: u32) -> Result<String> {
    let socket = connected(to, port)?;
    socket.set_read_timeout(Some(PATIENCE)).context("cannot prepare a socket")?;
    let mut lines = String::new();
    for _ in 0..count {
        let begun = Instant::now();
        socket.send(b"dmhost").context("cannot send")?;
        socket.recv(&mut [0; 2048]).context("no answer")?;
        lines += &format!("{}\n", begun.elapsed().as_nanos());
    }
    Ok(lines)
}

fn connected(to: IpAddr, port: u16) -> Result<UdpSocket> {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).context("cannot open a socket")?;
    socket.connect((to, port)).with_context(|| format!("no way to {to}"))?;
    Ok(socket)
}
