//! Datagrams from inside, many at once: each from a connected socket, which hears of ICMP errors too.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ask::{Answer, Control, PATIENCE};

pub(crate) fn ask(address: IpAddr, ports: &[u16], wanted: &[u16], control: &Control) -> Result<BTreeMap<u16, Answer>> {
    let any = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let mut answers = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for port in ports {
        let socket = UdpSocket::bind((any, 0)).context("cannot open a socket")?;
        socket.set_nonblocking(true).and_then(|()| socket.set_broadcast(true)).context("cannot prepare a socket")?;
        match socket.connect((address, *port)).and_then(|()| socket.send(b"dmhost")) {
            Ok(_) => drop(waiting.insert(*port, socket)),
            Err(error) => drop(answers.insert(*port, error_answer(&error))),
        }
    }
    control.close()?;
    let until = Instant::now() + PATIENCE;
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
        if due.is_empty() || left.is_zero() {
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
