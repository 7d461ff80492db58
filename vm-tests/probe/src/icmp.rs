//! Echo requests over a raw socket, which a container has by default (`CAP_NET_RAW`).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::Broadcast;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, sendto, setsockopt, socket,
};

use crate::ask::{Answer, Control};

/// Echo, with its silence closed by the control.
pub(crate) fn ask(address: IpAddr, control: &Control) -> Result<Option<Answer>> {
    let socket = Echo::send(address)?;
    let Sent::Sent(socket) = socket else { return Ok(Some(Answer::Unreachable)) };
    control.close()?;
    socket.answer(Duration::ZERO)
}

/// Echo with a time to answer in.
pub(crate) fn echo(address: IpAddr, patience: Duration) -> Result<Option<Answer>> {
    match Echo::send(address)? {
        Sent::Sent(socket) => socket.answer(patience),
        Sent::Unreachable => Ok(Some(Answer::Unreachable)),
    }
}

struct Echo {
    fd: std::os::fd::OwnedFd,
    address: IpAddr,
    cookie: [u8; 8],
}

enum Sent {
    Sent(Echo),
    Unreachable,
}

impl Echo {
    fn send(address: IpAddr) -> Result<Sent> {
        let (family, protocol, kind) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128),
        };
        let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)
            .context("cannot open a raw socket")?;
        setsockopt(&fd, Broadcast, &true).context("cannot prepare a raw socket")?;
        let cookie = cookie();
        // Type, code, checksum (the kernel's own for ICMPv6), identifier, sequence, cookie.
        let mut packet = vec![kind, 0, 0, 0, 0xd0, 0x57, 0, 1];
        packet.extend(cookie);
        if address.is_ipv4() {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let to = SockaddrStorage::from(SocketAddr::new(address, 0));
        match sendto(fd.as_raw_fd(), &packet, &to, MsgFlags::empty()) {
            Ok(_) => Ok(Sent::Sent(Self { fd, address, cookie })),
            Err(
                Errno::ENETUNREACH
                | Errno::EHOSTUNREACH
                | Errno::EACCES
                | Errno::EPERM
                | Errno::EADDRNOTAVAIL
                | Errno::EINVAL,
            ) => Ok(Sent::Unreachable),
            Err(error) => Err(error).with_context(|| format!("cannot send an echo request to {address}")),
        }
    }

    fn answer(&self, patience: Duration) -> Result<Option<Answer>> {
        let until = Instant::now() + patience;
        let mut buffer = [0; 2048];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(answer) = self.read(&buffer[..length]) {
                        return Ok(Some(answer));
                    }
                }
                Err(Errno::EAGAIN) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let Ok(timeout) = PollTimeout::try_from(left) else { return Ok(None) };
                    let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
                    match poll(&mut fds, timeout) {
                        Ok(0) => return Ok(None),
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error).context("cannot wait for an echo reply"),
                    }
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("cannot receive an echo reply"),
            }
        }
    }

    /// A raw socket hears every ICMP packet of its namespace: the reply, or an error that quotes the request.
    fn read(&self, packet: &[u8]) -> Option<Answer> {
        // Over IPv4 the header comes along.
        let header = if self.address.is_ipv4() { usize::from(packet.first()? & 15) * 4 } else { 0 };
        let message = packet.get(header..)?;
        let ours = message.windows(self.cookie.len()).any(|window| window == self.cookie);
        match message.first()? {
            0 | 129 if ours => Some(Answer::Answers(String::new())),
            3 | 1 if ours => Some(Answer::Unreachable),
            _ => None,
        }
    }
}

/// Bytes that no other process of the machine uses at the time.
fn cookie() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_be_bytes()
}

/// RFC 1071.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !((sum & 0xffff) as u16)
}
