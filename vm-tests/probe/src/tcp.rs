//! TCP connections from inside, many at once.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use crate::ask::{Answer, Control};

pub(crate) fn ask(address: IpAddr, ports: &[u16], wanted: &[u16], control: &Control) -> Result<BTreeMap<u16, Answer>> {
    let mut answers = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for port in ports {
        match begin(SocketAddr::new(address, *port))? {
            Ok(stream) => drop(waiting.insert(*port, stream)),
            Err(answer) => drop(answers.insert(*port, answer)),
        }
    }
    control.close()?;
    let begun = Instant::now();
    let until = begun + control.patience();
    loop {
        take(&mut waiting, &mut answers, control)?;
        let due: Vec<&TcpStream> =
            waiting.iter().filter(|(port, _)| wanted.contains(port)).map(|(_, stream)| stream).collect();
        let left = until.saturating_duration_since(Instant::now());
        if due.is_empty() {
            return Ok(answers);
        }
        if left.is_zero() {
            control.in_vain(begun);
            return Ok(answers);
        }
        let mut fds: Vec<PollFd<'_>> =
            due.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLOUT)).collect();
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for a connection"),
        }
    }
}

/// Takes out what has come to an end. One call for all of them: under emulation each costs.
fn take(waiting: &mut BTreeMap<u16, TcpStream>, answers: &mut BTreeMap<u16, Answer>, control: &Control) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        waiting.values().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLOUT)).collect();
    match poll(&mut fds, PollTimeout::ZERO) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(()),
        Err(error) => return Err(error).context("cannot look at connections"),
    }
    let ended = waiting.iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or(true));
    let ended: Vec<(u16, Answer)> =
        ended.filter_map(|((port, stream), _)| Some((*port, self::ended(stream, control)?))).collect();
    for (port, answer) in ended {
        waiting.remove(&port);
        answers.insert(port, answer);
    }
    Ok(())
}

/// Begins a connection; `Err` if its end is known at once.
fn begin(to: SocketAddr) -> Result<Result<TcpStream, Answer>> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(family, SockType::Stream, flags, None).context("cannot open a socket")?;
    Ok(match connect(fd.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(fd.into()),
        Err(Errno::ECONNREFUSED) => Err(Answer::Refused),
        Err(
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::EACCES
            | Errno::EPERM
            | Errno::EADDRNOTAVAIL
            | Errno::EINVAL,
        ) => Err(Answer::Unreachable),
        Err(error) => return Err(error).with_context(|| format!("cannot connect to {to}")),
    })
}

/// What became of a connection, if anything has.
fn ended(stream: &TcpStream, control: &Control) -> Option<Answer> {
    match stream.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => {
            let refused = matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset);
            return Some(if refused { Answer::Refused } else { Answer::Unreachable });
        }
    }
    // Not connected yet: no peer.
    stream.peer_addr().ok()?;
    Some(Answer::Answers(page(stream, control).unwrap_or_default()))
}

/// The first words of an HTTP answer's body, if there is one soon.
fn page(stream: &TcpStream, control: &Control) -> std::io::Result<String> {
    let begun = Instant::now();
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(control.patience()))?;
    let mut stream = stream;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    // A deadline of the read leaves what has come.
    if stream.take(4096).read_to_end(&mut answer).is_err() {
        control.in_vain(begun);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
