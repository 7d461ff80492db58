//! Frames as they are, onto an interface: what a container with the default `CAP_NET_RAW` can do to its neighbours.
//!
//! Standard input has one frame per line, in hexadecimal digits, for the interface that the last line `on INTERFACE` names. A line
//! `refused FAMILY` asks the kernel for a raw socket of a family; it is an error unless it has none.

use std::io::BufRead;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrLike, sendto, socket,
};
use socket2::{Domain, Socket, Type};

pub(crate) fn run() -> Result<()> {
    let mut to = None;
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("cannot open a packet socket")?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read a frame")?;
        if let Some(family) = line.strip_prefix("refused ") {
            refused(family.parse().with_context(|| format!("{family} is no family"))?)?;
            continue;
        }
        if let Some(interface) = line.strip_prefix("on ") {
            to = Some(link(interface)?);
            continue;
        }
        let to = to.as_ref().context("no interface is named before the first frame")?;
        let frame = decode(line.trim()).with_context(|| format!("no frame in hexadecimal digits: {line}"))?;
        match sendto(fd.as_raw_fd(), &frame, to, MsgFlags::empty()) {
            // A rule that drops what leaves says so to its sender.
            Ok(_) | Err(Errno::EPERM | Errno::ENOBUFS) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot send {line}")),
        }
    }
    Ok(())
}

fn refused(family: i32) -> Result<()> {
    match Socket::new(Domain::from(family), Type::RAW, None) {
        Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("no socket of family {family}, but for another reason")),
        Ok(_) => bail!("the kernel gives a socket of family {family}"),
    }
}

/// The packet address of an interface, as the kernel lists it: known by its name or by an IPv4 address that it has.
fn link(interface: &str) -> Result<LinkAddr> {
    let all: Vec<_> = getifaddrs().context("cannot list the interfaces")?.collect();
    let wanted: Option<Ipv4Addr> = interface.parse().ok();
    let has = |entry: &&InterfaceAddress| {
        let own = entry.address.as_ref().and_then(|address| address.as_sockaddr_in());
        wanted.is_some() && own.map(SockaddrIn::ip) == wanted
    };
    let name = all.iter().find(has).map_or(interface, |entry| entry.interface_name.as_str());
    for entry in all.iter().filter(|entry| entry.interface_name == name) {
        let link = entry.address.as_ref().filter(|address| address.family() == Some(AddressFamily::Packet));
        if let Some(link) = link.and_then(|address| address.as_link_addr().copied()) {
            return Ok(link);
        }
    }
    bail!("there is no interface {interface}")
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
