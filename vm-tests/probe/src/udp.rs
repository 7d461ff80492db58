//! Datagrams from inside, many at once: each from a connected socket, which hears of ICMP errors too.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::IpTransparent;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket};

use crate::ask::{Answer, Control};

/// From a source, or from the own address on the way there, to an address.
pub(crate) fn ask(
    (source, address): (Option<IpAddr>, IpAddr),
    ports: &[u16],
    wanted: &[u16],
    control: &Control,
) -> Result<BTreeMap<u16, Answer>> {
    let mut answers = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for port in ports {
        let socket = open(source, address)?;
        socket.set_nonblocking(true).and_then(|()| socket.set_broadcast(true)).context("cannot prepare a socket")?;
        match socket.connect((address, *port)).and_then(|()| socket.send(b"dmhost")) {
            Ok(_) => drop(waiting.insert(*port, socket)),
            Err(error) => drop(answers.insert(*port, error_answer(&error))),
        }
    }
    control.close()?;
    let begun = Instant::now();
    let until = begun + control.patience();
    loop {
        waiting.retain(|port, socket| match ended(socket) {
            Some(answer) => {
                answers.insert(*port, answer);
                false
            }
            None => true,
        });
        let due: Vec<&UdpSocket> =
            waiting.iter().filter(|(port, _)| wanted.contains(port)).map(|(_, socket)| socket).collect();
        let left = until.saturating_duration_since(Instant::now());
        if due.is_empty() {
            return Ok(answers);
        }
        if left.is_zero() {
            control.in_vain(begun);
            return Ok(answers);
        }
        let mut fds: Vec<PollFd<'_>> =
            due.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for a datagram"),
        }
    }
}

fn open(source: Option<IpAddr>, address: IpAddr) -> Result<UdpSocket> {
    let Some(source) = source else {
        let any = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        return UdpSocket::bind((any, 0)).context("cannot open a socket");
    };
    let end = SockaddrStorage::from(SocketAddr::new(source, 0));
    let family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).context("cannot open a socket")?;
    // ip(7): with it a source need not be an own address.
    setsockopt(&socket, IpTransparent, &true).context("no right to another's source")?;
    bind(socket.as_raw_fd(), &end).with_context(|| format!("cannot take {source} as the source"))?;
    Ok(UdpSocket::from(socket))
}

fn ended(socket: &UdpSocket) -> Option<Answer> {
    let mut buffer = [0; 2048];
    match socket.recv(&mut buffer) {
        Ok(length) => Some(Answer::Answers(String::from_utf8_lossy(&buffer[..length]).into_owned())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(error_answer(&error)),
    }
}

fn error_answer(error: &std::io::Error) -> Answer {
    if error.kind() == ErrorKind::ConnectionRefused { Answer::Refused } else { Answer::Unreachable }
}
