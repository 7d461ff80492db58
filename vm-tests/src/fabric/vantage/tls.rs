//! TLS over a session: rustls with ring, a client that shows a certificate or none.
//!
//! In TLS 1.3 the server's refusal of a client certificate comes after the client's handshake has succeeded (RFC 8446
//! section 4.4.2.4): an alert decides, whenever it comes.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore};
use smoltcp::socket::tcp::Socket;

use super::Outcome;

/// A client's trust and identity.
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// A client that trusts the CAs in `roots` and shows `identity`, a certificate chain and its key. All are PEM.
    ///
    /// # Errors
    /// If a PEM does not parse, or key and certificate do not fit.
    pub fn new(roots: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            store.add(root.context("cannot read a CA's PEM")?).context("cannot trust a CA")?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("ring offers no version of TLS")?
            .with_root_certificates(store);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
                let chain = chain.context("cannot read the client certificate's PEM")?;
                let key = PrivateKeyDer::from_pem_slice(key).context("cannot read the client key's PEM")?;
                config.with_client_auth_cert(chain, key).context("the client's key and certificate do not fit")?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    /// A connection to a server of this name.
    pub(super) fn client(&self, name: &str) -> Result<Tls> {
        let server = ServerName::try_from(name.to_owned()).with_context(|| format!("{name} is no server's name"))?;
        let connection = ClientConnection::new(Arc::clone(&self.0), server).context("cannot begin TLS")?;
        Ok(Tls { connection, ended: false })
    }
}

/// One connection's TLS.
pub(super) struct Tls {
    connection: ClientConnection,
    ended: bool,
}

impl Tls {
    /// Takes bytes of the wire, and adds the plain text in them to `plain`.
    pub(super) fn receive(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<(), Outcome<Infallible>> {
        while !wire.is_empty() {
            let other = |error: &dyn std::fmt::Display| Outcome::Other(format!("TLS: {error}"));
            self.connection.read_tls(&mut wire).map_err(|error| other(&error))?;
            match self.connection.process_new_packets() {
                Ok(state) => self.ended |= state.peer_has_closed(),
                Err(Error::AlertReceived(alert)) if turns_away(alert) => {
                    return Err(Outcome::Denied(format!("{alert:?}")));
                }
                Err(error) => return Err(other(&error)),
            }
            match self.connection.reader().read_to_end(plain) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) => {}
                Err(error) => return Err(other(&error)),
            }
        }
        Ok(())
    }

    /// Whether the server has said that nothing more comes (`close_notify`, RFC 8446 section 6.1). It may keep the connection: dockerd does
    /// so after an exec, until its client hangs up.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes plain text to be sent; how many bytes it took.
    pub(super) fn accept(&mut self, plain: &[u8]) -> usize {
        // Writing into the connection's own buffer fails never; a full one takes nothing.
        self.connection.writer().write(plain).unwrap_or(0)
    }

    /// Gives the socket what it takes; whether that was anything.
    pub(super) fn transmit(&mut self, socket: &mut Socket<'_>) -> bool {
        let mut moved = false;
        while self.connection.wants_write() && socket.can_send() {
            match self.connection.write_tls(&mut Sink(socket)) {
                Ok(1..) => moved = true,
                Ok(0) | Err(_) => break,
            }
        }
        moved
    }
}

/// What servers send when a client's certificate is missing or not theirs (RFC 8446 section 6.2).
fn turns_away(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::NoCertificate
    )
}

struct Sink<'a, 'b>(&'a mut Socket<'b>);

impl Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_slice(bytes).map_err(|error| io::Error::other(error.to_string()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
