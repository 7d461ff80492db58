//! A connection of a real client on this machine, carried on over the fabric: what `ssh` or `curl` says on loopback is said
//! by the vantage to the guest.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use anyhow::{Context, Result};
use smoltcp::socket::tcp::Socket;

use super::session::Exchange;
use super::{Finding, Outcome, Peer, Vantage};
use crate::fabric::canary::Terms;
use crate::fabric::watchers::Infrastructure;

/// Pieces of up to [`PIECE`] bytes that a client may be ahead of the guest.
const AHEAD: usize = 16;
const PIECE: usize = 16 * 1024;

impl Vantage {
    /// Connects to a port of the guest and carries `client`'s bytes there and back until either side closes.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered or the client's connection fails.
    pub fn forward(
        &mut self,
        peer: impl Into<Peer>,
        port: u16,
        client: &TcpStream,
        terms: &Terms,
    ) -> Result<Finding<()>, Infrastructure> {
        let (pieces, said) = sync_channel(AHEAD);
        let mut ear = client.try_clone().context("cannot share the client's connection")?;
        let wake = self.inbox.waker();
        let reader = std::thread::spawn(move || {
            let mut piece = vec![0; PIECE];
            // A client that is gone and one that has said all end alike: with the channel.
            while let Ok(length @ 1..) = ear.read(&mut piece) {
                if pieces.send(piece[..length].to_vec()).is_err() {
                    return;
                }
                wake();
            }
            drop(pieces);
            wake();
        });
        let mut exchange = Forward { client, said, unsent: Vec::new() };
        let finding = self.session(peer.into(), port, terms, &mut exchange);
        // The thread may wait for room in the channel or for the client: neither comes any more.
        drop(exchange);
        let _ = client.shutdown(Shutdown::Both);
        reader.join().map_err(|_| anyhow::anyhow!("the thread that hears the client panicked"))?;
        finding
    }
}

struct Forward<'a> {
    client: &'a TcpStream,
    said: Receiver<Vec<u8>>,
    unsent: Vec<u8>,
}

impl Exchange for Forward<'_> {
    type Answer = ();

    fn advance(&mut self, socket: &mut Socket<'_>) -> Result<Option<Outcome<()>>> {
        while socket.can_recv() {
            let mut client = self.client;
            let written = socket.recv(|data| (data.len(), client.write_all(data)));
            match written {
                Ok(Ok(())) => {}
                // The client has enough.
                Ok(Err(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(Some(Outcome::Serves(())));
                }
                Ok(Err(error)) => return Err(error).context("cannot hand on to the client what the guest says"),
                // `can_recv` has just said that there is something; a socket that differs has nothing more.
                Err(_) => break,
            }
        }
        if !socket.may_recv() {
            return Ok(Some(Outcome::Serves(())));
        }
        while socket.can_send() {
            if self.unsent.is_empty() {
                match self.said.try_recv() {
                    Ok(piece) => self.unsent = piece,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        socket.close();
                        break;
                    }
                }
            }
            let taken = socket.send_slice(&self.unsent).unwrap_or(0);
            self.unsent.drain(..taken);
        }
        Ok(None)
    }
}
