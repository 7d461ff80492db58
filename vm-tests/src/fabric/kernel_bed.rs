//! A bed for tests: the Linux kernel as the guest, in a user and network namespace of its own.
//!
//! Each NIC is a veth pair: the kernel has its addresses on one end, and AF_PACKET carries the frames of the other to
//! the fabric's socket, as QEMU would. A test runs itself again inside `unshare -rn`, so no privilege is needed.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use smoltcp::phy::{Device, Medium, RawSocket, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpProtocol, TcpPacket};

use super::link::{Deframer, Outbox};
use super::packet::{Ip, Packet};

const INSIDE: &str = "DMHOST_FABRIC_INSIDE";

/// Runs `body` in a namespace of its own: as the one test with this name, in another process.
pub(super) fn in_namespace(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(own);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = command.output().expect("`unshare` of util-linux is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed in its namespace:\n{text}");
    assert!(text.contains("1 passed"), "no test is named {name}:\n{text}");
    for line in text.lines().filter(|line| line.starts_with("figure:")) {
        figure(line);
    }
}

/// Tells a measured figure.
pub(super) fn figure(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}

/// Runs `ip` with these words.
pub(super) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().expect("`ip` of iproute2 is there");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A NIC of the kernel, plugged into the fabric; it is unplugged with its drop.
pub(super) struct Nic {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Nic {
    /// Makes the interface `name` with a MAC and addresses, and plugs it in.
    pub(super) fn plug(name: &str, mac: &str, addresses: &[&str], socket: &Path) -> Self {
        let far = format!("{name}-wire");
        ip(&format!("link add {name} type veth peer name {far}"));
        // What is on the wire must be the kernel's answer alone: the far end has no addresses of its own.
        fs_err::write(format!("/proc/sys/net/ipv6/conf/{far}/disable_ipv6"), "1").expect("a namespace of our own");
        // A weak host, so that there is something to find: packets from another NIC's subnet are taken.
        for of in ["all", name] {
            fs_err::write(format!("/proc/sys/net/ipv4/conf/{of}/rp_filter"), "0").expect("a namespace of our own");
        }
        ip(&format!("link set {name} address {mac} gso_max_segs 1 up"));
        ip(&format!("link set {far} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            ip(&format!("addr add {address} dev {name}{nodad}"));
        }
        let stream = UnixStream::connect(socket).expect("the fabric listens");
        let poll = Poll::new().expect("epoll is there");
        let waker = Arc::new(Waker::new(poll.registry(), Token(2)).expect("eventfd is there"));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || carry(poll, &far, stream, &stopped));
        Self { stop, waker, thread: Some(thread) }
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake().expect("the thread waits");
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(joined, Some(Ok(()))), "the bridge panicked");
    }
}

fn carry(mut poll: Poll, name: &str, mut stream: UnixStream, stop: &AtomicBool) {
    let mut raw = RawSocket::new(name, Medium::Ethernet).expect("AF_PACKET is the namespace's own");
    let fd = raw.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).expect("a socket is polled");
    poll.registry()
        .register(&mut stream, Token(1), Interest::READABLE | Interest::WRITABLE)
        .expect("a socket is polled");
    let (mut inward, mut outward, mut events) = (Deframer::default(), Outbox::default(), Events::with_capacity(8));
    while !stop.load(Ordering::Acquire) {
        poll.poll(&mut events, None).expect("epoll waits");
        loop {
            match inward.fill(&mut stream) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the fabric's socket: {error}"),
            }
            while let Some(frame) = inward.next_frame().expect("the fabric keeps step") {
                let bytes = inward.bytes(frame);
                let token = raw.transmit(Instant::now()).expect("a raw socket sends always");
                token.consume(bytes.len(), |buffer| buffer.copy_from_slice(bytes));
                gather(&mut raw, &mut outward);
            }
        }
        gather(&mut raw, &mut outward);
        while !outward.flush(&mut stream).expect("the fabric reads") {
            poll.poll(&mut events, None).expect("epoll waits");
        }
    }
}

/// Takes what the kernel sent, and finishes its checksums as a NIC with offload does.
fn gather(raw: &mut RawSocket, outward: &mut Outbox) {
    while let Some((token, _)) = raw.receive(Instant::now()) {
        token.consume(|bytes| {
            let mut frame = bytes.to_vec();
            let start = match Packet::of(&frame) {
                Packet::Ip(ip @ Ip { protocol: IpProtocol::Tcp, .. }) => Some((
                    ip.source,
                    ip.target,
                    ip.payload.as_ptr() as usize - frame.as_ptr() as usize,
                    ip.payload.len(),
                )),
                _ => None,
            };
            if let Some((source, target, start, length)) = start {
                TcpPacket::new_unchecked(&mut frame[start..start + length])
                    .fill_checksum(&IpAddress::from(source), &IpAddress::from(target));
            }
            assert!(outward.push(&frame), "the fabric reads");
        });
    }
}
