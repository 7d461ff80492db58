//! HTTP/1.1 over a session: one request with `Connection: close`, one response, read by `httparse`.

use std::io::Read;

use anyhow::{Context, Result};
use smoltcp::socket::tcp::Socket;

use super::session::{Exchange, Opened};
use super::tls::{ClientTls, Tls};
use super::{Finding, Outcome, Peer, Vantage};
use crate::fabric::canary::Terms;
use crate::fabric::packet::Host;
use crate::fabric::watchers::Infrastructure;

/// The longest response that is kept, in bytes.
const MAX_RESPONSE: usize = 64 << 20;
/// What Go's `net/http` says to a plain request on a TLS port, with status 400.
const PLAIN_TO_TLS: &str = "Client sent an HTTP request to an HTTPS server";

/// What [`Outcome::Other`] says of a server that wants TLS and was asked without.
pub const WANTS_TLS: &str = "an HTTPS server, which does not serve plain HTTP";

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Vantage {
    /// `GET path` in plain HTTP. An HTTPS server that says it wants TLS does not serve: `Other`.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered.
    pub fn http_get(
        &mut self,
        peer: impl Into<Peer>,
        port: u16,
        path: &str,
        terms: &Terms,
    ) -> Result<Finding<HttpReply>, Infrastructure> {
        let peer = peer.into();
        let mut exchange = Http::new(Request::get(&peer.ip.to_string(), path), None);
        self.session(peer, port, terms, &mut exchange)
    }

    /// The same, until the server has closed the connection and this side after it; and how it was opened.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered, or the server does not close.
    pub fn http_get_until_closed(
        &mut self,
        peer: Host,
        port: u16,
        path: &str,
        terms: &Terms,
    ) -> Result<(Finding<HttpReply>, Opened), Infrastructure> {
        let mut exchange = Http::new(Request::get(&peer.ip.to_string(), path), None);
        self.session_until_closed(peer, port, terms, &mut exchange)
    }

    /// `GET path` over TLS. `name` is what the server's certificate must be for: a DNS name or an IP address.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered, or `name` is none.
    pub fn https_get(
        &mut self,
        peer: impl Into<Peer>,
        port: u16,
        name: &str,
        tls: &ClientTls,
        path: &str,
        terms: &Terms,
    ) -> Result<Finding<HttpReply>, Infrastructure> {
        let mut exchange = Http::new(Request::get(name, path), Some(tls.client(name)?));
        self.session(peer.into(), port, terms, &mut exchange)
    }

    /// A request by its method and path, over TLS if `tls` is given, with a body: its type, its length in bytes, and where it is
    /// read from as it is sent.
    ///
    /// # Errors
    /// [`Infrastructure`] if the canary is not answered, `name` is none, or the body cannot be read.
    #[expect(clippy::too_many_arguments, reason = "each is one part of one request")]
    pub fn send_body(
        &mut self,
        peer: impl Into<Peer>,
        port: u16,
        name: &str,
        tls: Option<&ClientTls>,
        (method, path): (&str, &str),
        (content_type, length, body): (&str, u64, &mut dyn Read),
        terms: &Terms,
    ) -> Result<Finding<HttpReply>, Infrastructure> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n",
            host = authority(name)
        );
        let request = Request { unsent: head.into_bytes(), body: Some(body.take(length)) };
        let tls = tls.map(|tls| tls.client(name)).transpose()?;
        self.session(peer.into(), port, terms, &mut Http::new(request, tls))
    }
}

/// An IPv6 address has brackets in a URI authority (RFC 3986 section 3.2.2).
fn authority(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

struct Request<'a> {
    unsent: Vec<u8>,
    body: Option<std::io::Take<&'a mut dyn Read>>,
}

impl Request<'_> {
    fn get(host: &str, path: &str) -> Self {
        let host = authority(host);
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Self { unsent: head.into_bytes(), body: None }
    }

    /// Sees to it that something waits to be sent, as long as there is something.
    fn refill(&mut self) -> Result<()> {
        if let Some(body) = self.body.as_mut().filter(|_| self.unsent.is_empty()) {
            self.unsent.resize(64 * 1024, 0);
            let read = body.read(&mut self.unsent).context("cannot read the body of the request")?;
            self.unsent.truncate(read);
            if read == 0 {
                self.body = None;
            }
        }
        Ok(())
    }
}

/// One request and its response.
struct Http<'a> {
    request: Request<'a>,
    tls: Option<Tls>,
    received: Vec<u8>,
}

impl<'a> Http<'a> {
    fn new(request: Request<'a>, tls: Option<Tls>) -> Self {
        Self { request, tls, received: Vec::new() }
    }

    fn receive(&mut self, socket: &mut Socket<'_>) -> Option<Outcome<HttpReply>> {
        while socket.can_recv() {
            let Self { tls, received, .. } = self;
            let taken = socket.recv(|data| {
                let taken = if let Some(tls) = tls {
                    tls.receive(data, received)
                } else {
                    received.extend_from_slice(data);
                    Ok(())
                };
                (data.len(), taken)
            });
            match taken {
                Ok(Ok(())) => {}
                Ok(Err(outcome)) => return Some(outcome.map(|never| match never {})),
                // `can_recv` has just said that there is something; a socket that differs has nothing more.
                Err(_) => return None,
            }
        }
        None
    }

    fn send(&mut self, socket: &mut Socket<'_>) -> Result<()> {
        loop {
            self.request.refill()?;
            let taken = match &mut self.tls {
                Some(tls) => tls.accept(&self.request.unsent),
                None if socket.can_send() => socket.send_slice(&self.request.unsent).unwrap_or(0),
                None => 0,
            };
            self.request.unsent.drain(..taken);
            let moved = self.tls.as_mut().is_some_and(|tls| tls.transmit(socket));
            if taken == 0 && !moved {
                return Ok(());
            }
        }
    }
}

impl Exchange for Http<'_> {
    type Answer = HttpReply;

    fn advance(&mut self, socket: &mut Socket<'_>) -> Result<Option<Outcome<HttpReply>>> {
        if let Some(outcome) = self.receive(socket) {
            return Ok(Some(outcome));
        }
        let ended = !socket.may_recv() || self.tls.as_ref().is_some_and(Tls::has_ended);
        match parse(&self.received, ended) {
            Ok(Some(reply)) => {
                let refusal = reply.status == 400 && self.tls.is_none();
                if refusal && String::from_utf8_lossy(&reply.body).contains(PLAIN_TO_TLS) {
                    return Ok(Some(Outcome::Other(WANTS_TLS.to_owned())));
                }
                return Ok(Some(Outcome::Serves(reply)));
            }
            Ok(None) if ended => {
                let text = format!("the connection ended after {} bytes, before the response did", self.received.len());
                return Ok(Some(Outcome::Other(text)));
            }
            Ok(None) => {}
            Err(text) => return Ok(Some(Outcome::Other(text))),
        }
        self.send(socket)?;
        Ok(None)
    }
}

/// The response, if it is whole.
fn parse(received: &[u8], ended: bool) -> Result<Option<HttpReply>, String> {
    if received.len() > MAX_RESPONSE {
        return Err(format!("a response of more than {MAX_RESPONSE} bytes"));
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(received) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("no HTTP response: {error}")),
    };
    let status = response.code.unwrap_or(0);
    if status == 100 {
        return parse(&received[head..], ended);
    }
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let rest = &received[head..];
    let reply = |body: &[u8]| Some(HttpReply { status, body: body.to_vec() });
    if matches!(status, 204 | 304) {
        return Ok(reply(&[]));
    }
    if header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        return Ok(unchunk(rest)?.map(|body| HttpReply { status, body }));
    }
    match header("content-length") {
        Some(length) => {
            let length: usize = length.parse().map_err(|_| format!("a response with Content-Length {length:?}"))?;
            Ok(rest.get(..length).and_then(reply))
        }
        None => Ok(if ended { reply(rest) } else { None }),
    }
}

/// The body of a chunked response, if its last chunk is there.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let (start, length) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("a chunk without a size in the response".to_owned()),
        };
        if length == 0 {
            return Ok(Some(body));
        }
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length)).unwrap_or(usize::MAX);
        let Some(chunk) = rest.get(start..end) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(after) = rest.get(end.saturating_add(2)..) else { return Ok(None) };
        rest = after;
    }
}
