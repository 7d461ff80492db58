//! A daemon's API as a client meets it: TLS with the daemon's own certificate, which asks for one of its own client CA,
//! and the two questions that `docker version` asks. It is reached as by a proxy (CONNECT), so that the client dials
//! the address of the spec, and judges the certificate by it, on a machine that does not have that address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// One daemon's API. Its thread ends with the test's process.
pub(crate) struct Endpoint {
    address: SocketAddr,
    dialled: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    /// The API of a daemon of a PKI folder.
    pub(crate) fn of(pki: &Path, daemon: &str) -> Self {
        let folder = pki.join(daemon);
        let certificates = |path: &str| {
            let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(folder.join(path)).unwrap().collect();
            found.unwrap()
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("client-ca/ca.pem") {
            roots.add(certificate).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("server/key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates("server/cert.pem"), key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = Self { address: listener.local_addr().unwrap(), dialled: Arc::default() };
        let dialled = Arc::clone(&endpoint.dialled);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, dialled) = (Arc::clone(&config), Arc::clone(&dialled));
                // A client that is refused hangs up: its error is what the test looks at, not ours.
                std::thread::spawn(move || drop(serve(stream, config, &dialled)));
            }
        });
        endpoint
    }

    /// What a client's HTTPS_PROXY has to be.
    pub(crate) fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whom clients wanted to reach, each once, in order.
    pub(crate) fn dialled(&self) -> Vec<String> {
        let mut all = self.dialled.lock().unwrap().clone();
        all.sort();
        all.dedup();
        all
    }
}

fn serve(mut stream: TcpStream, config: Arc<ServerConfig>, dialled: &Mutex<Vec<String>>) -> std::io::Result<()> {
    // The client waits for the answer before it says more, so nothing of TLS is taken by the buffer.
    let line = request(&mut BufReader::new(&stream))?;
    let target = line.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    dialled.lock().unwrap().push(target.to_owned());
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let line = request(&mut BufReader::new(Read::by_ref(&mut tls)))?;
    let body = if line.contains("/version") {
        r#"{"Version":"26.1.5","ApiVersion":"1.45","MinAPIVersion":"1.24","GitCommit":"x","GoVersion":"go1","Os":"linux","Arch":"amd64"}"#
    } else {
        "OK"
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nOstype: linux\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    tls.write_all(head.as_bytes())?;
    if !line.starts_with("HEAD ") {
        tls.write_all(body.as_bytes())?;
    }
    tls.conn.send_close_notify();
    tls.flush()
}

/// The first line of a request, read to its empty line.
fn request(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(first)
}
