//! The Linux kernel as a guest of the fabric: one end of a veth pair has addresses, and AF_PACKET carries the frames of the
//! other end to a port's socket, as QEMU would. In a user and network namespace of one's own that takes no privilege.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use smoltcp::phy::{Device, Medium, RawSocket, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpProtocol, TcpPacket, UdpPacket};

use super::link::{Deframer, Outbox};
use super::packet::{Ip, Packet};

/// Frames on their way between a link and a port, until this is dropped.
#[derive(Debug)]
pub(crate) struct Carrier {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Carrier {
    /// Carries frames between the link `wire`, which must be up, and the socket of a port.
    ///
    /// # Errors
    /// If nobody listens at the socket, or the link is not this namespace's.
    pub(crate) fn start(wire: &str, socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| format!("no fabric is at {}", socket.display()))?;
        let poll = Poll::new().context("cannot make a poll")?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(2)).context("cannot make a waker")?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let wire = wire.to_owned();
        let (ready, opened) = std::sync::mpsc::channel();
        // The socket stays in the thread that made it.
        let thread = std::thread::spawn(move || {
            let raw =
                RawSocket::new(&wire, Medium::Ethernet).with_context(|| format!("cannot open the link {wire}"))?;
            // Whoever waits for it holds the other end.
            let _ = ready.send(());
            carry(poll, raw, stream, &stopped)
        });
        let carrier = Self { stop, waker, thread: Some(thread) };
        match opened.recv() {
            Ok(()) => Ok(carrier),
            Err(_) => Err(carrier.end().err().unwrap_or_else(|| anyhow!("the link was not opened"))),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// Whatever ended it before.
    pub(crate) fn end(mut self) -> Result<()> {
        self.halt()
    }

    fn halt(&mut self) -> Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stop.store(true, Ordering::Release);
        self.waker.wake().context("cannot wake the thread that carries frames")?;
        thread.join().map_err(|_| anyhow!("the thread that carries frames panicked"))?
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // `end` is the way to hear of an error.
        let _ = self.halt();
    }
}

fn carry(mut poll: Poll, mut raw: RawSocket, mut stream: UnixStream, stop: &AtomicBool) -> Result<()> {
    let fd = raw.as_raw_fd();
    let registry = poll.registry();
    registry.register(&mut SourceFd(&fd), Token(0), Interest::READABLE).context("cannot watch the link")?;
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut stream, Token(1), both).context("cannot watch the fabric's socket")?;
    let (mut inward, mut outward, mut events) = (Deframer::default(), Outbox::default(), Events::with_capacity(8));
    while !stop.load(Ordering::Acquire) {
        wait(&mut poll, &mut events)?;
        loop {
            match inward.fill(&mut stream) {
                // The fabric has ended.
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the fabric's socket is broken"),
            }
            while let Some(frame) = inward.next_frame().context("the fabric is out of step")? {
                let bytes = inward.bytes(frame);
                // A link that takes no more loses frames, as links do.
                if let Some(token) = raw.transmit(Instant::now()) {
                    token.consume(bytes.len(), |buffer| buffer.copy_from_slice(bytes));
                }
                gather(&mut raw, &mut outward)?;
            }
        }
        gather(&mut raw, &mut outward)?;
        while !outward.flush(&mut stream).context("the fabric's socket is broken")? {
            wait(&mut poll, &mut events)?;
        }
    }
    Ok(())
}

fn wait(poll: &mut Poll, events: &mut Events) -> Result<()> {
    match poll.poll(events, None) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        other => other.context("cannot wait for frames"),
    }
}

/// Takes what the kernel sent, and finishes its checksums as a NIC with offload does.
fn gather(raw: &mut RawSocket, outward: &mut Outbox) -> Result<()> {
    while let Some((token, _)) = raw.receive(Instant::now()) {
        let taken = token.consume(|bytes| {
            let mut frame = bytes.to_vec();
            finish(&mut frame);
            outward.push(&frame)
        });
        ensure!(taken, "the fabric does not read");
    }
    Ok(())
}

/// Fills a TCP or UDP checksum in that the kernel left to the card.
fn finish(frame: &mut [u8]) {
    let Packet::Ip(Ip { source, target, protocol, payload }) = Packet::of(frame) else { return };
    // The payload is a part of the frame.
    let start = payload.as_ptr() as usize - frame.as_ptr() as usize;
    let end = start + payload.len();
    let (source, target) = (IpAddress::from(source), IpAddress::from(target));
    let bytes = &mut frame[start..end];
    match protocol {
        IpProtocol::Tcp if bytes.len() >= 20 => TcpPacket::new_unchecked(bytes).fill_checksum(&source, &target),
        IpProtocol::Udp if bytes.len() >= 8 => UdpPacket::new_unchecked(bytes).fill_checksum(&source, &target),
        _ => {}
    }
}
