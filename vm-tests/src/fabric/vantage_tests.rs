//! Vantages against a real peer: the Linux kernel, and TLS and HTTP servers on its sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::judge::Cause;
use super::kernel_bed::{Nic, figure, in_namespace, ip};
use super::{
    Canary, CanaryKind, ClientTls, Fabric, Finding, Host, HttpReply, Infrastructure, Mac, Outcome, PortId, Segment,
    Terms, Vantage,
};

const NIC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const FOUR: &str = "192.0.2.1";
const SIX: &str = "2001:db8::1";

/// One NIC of the kernel, as the untagged side of a trunk.
struct Bed {
    // Unplugged before the fabric goes.
    _nic: Nic,
    fabric: Fabric,
    lan: Segment,
    nic: PortId,
    _dir: tempfile::TempDir,
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn bed() -> (Bed, Vantage) {
    let dir = tempfile::tempdir().expect("a folder for sockets");
    let mut builder = Fabric::builder(dir.path(), dir.path().join("frames.pcapng"));
    let (lan, web) = (builder.segment("lan"), builder.segment("web"));
    let nic = builder.guest_trunk("nic0", &[(10, web)], Some(lan)).expect("a trunk");
    let fabric = builder.start().expect("the fabric starts");
    let addresses = [format!("{FOUR}/24"), format!("{SIX}/64")];
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let plugged = Nic::plug("nic0", "02:00:00:00:00:01", &addresses, fabric.socket_path(nic).expect("a guest's port"));
    fabric.wait_linked(nic, Instant::now() + Duration::from_secs(10)).expect("nic0 dials");
    let own = [address("192.0.2.50"), address("2001:db8::50")];
    let vantage = fabric.vantage(lan, Mac([2, 1, 0, 0, 0, 5]), &own).expect("the fabric runs");
    (Bed { _nic: plugged, fabric, lan, nic, _dir: dir }, vantage)
}

impl Bed {
    fn terms(&self) -> Terms {
        let canary = Canary {
            nic: self.nic,
            segment: self.lan,
            source: Host { mac: Mac([2, 1, 0, 0, 0, 1]), ip: address("192.0.2.200") },
            target: Host { mac: NIC, ip: address(FOUR) },
            kind: CanaryKind::Echo,
            patience: Duration::from_millis(500),
        };
        Terms { canary, others: Vec::new(), grace: Duration::ZERO, deadline: Instant::now() + Duration::from_secs(20) }
    }
}

/// Serves each connection on a port of both addresses by `serve`, in threads that end with the test's process.
fn serve(port: u16, serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) {
    for ip in [FOUR, SIX] {
        let listener = TcpListener::bind(SocketAddr::new(address(ip), port)).expect("a free port");
        let serve = serve.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(&serve));
    }
}

/// Reads one request, and answers with the number of bytes in its body, in two chunks.
fn answer(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            break;
        }
    }
    let body = std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    let text = body.to_string();
    let size = text.len();
    let stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n{size:x}\r\n{text}\r\n0\r\n\r\n"
    )?;
    stream.flush()
}

fn served(body: &str) -> Outcome<HttpReply> {
    Outcome::Serves(HttpReply { status: 200, body: body.as_bytes().to_vec() })
}

fn clean<T: std::fmt::Debug>(finding: Result<Finding<T>, Infrastructure>) -> Outcome<T> {
    let finding = finding.expect("canaries are answered");
    assert!(finding.stray.is_empty(), "{finding:?}");
    if matches!(finding.outcome, Outcome::Silent) {
        assert!(finding.closed.is_some() && finding.asked.is_empty(), "{finding:?}");
    } else {
        assert!(finding.frame.is_some(), "{finding:?}");
    }
    finding.outcome
}

#[test]
fn one_frame_questions_are_answered_refused_or_silent() {
    in_namespace("fabric::vantage_tests::one_frame_questions_are_answered_refused_or_silent", || {
        let (bed, mut vantage) = bed();
        for (own, absent) in [(FOUR, "203.0.113.9"), (SIX, "2001:db8:20::2")] {
            let (own, absent) = (address(own), Host { mac: NIC, ip: address(absent) });
            if own.is_ipv6() {
                // Where no route leads the kernel says so, for all that it forwards nothing.
                let refused = vantage.ping(absent, 5, &bed.terms()).expect("canaries are answered");
                assert_eq!(refused.outcome, Outcome::Refused);
                assert!(matches!(refused.stray[0].cause, Cause::IcmpError { unreachable: true, .. }));
                ip("-6 route add blackhole 2001:db8:20::/64");
            }
            assert_eq!(clean(vantage.who_has(own, &bed.terms())), Outcome::Serves(NIC));
            assert_eq!(clean(vantage.who_has(absent.ip, &bed.terms())), Outcome::Silent);
            assert_eq!(clean(vantage.ping(own, 1, &bed.terms())), Outcome::Serves(()));
            assert_eq!(clean(vantage.ping(absent, 2, &bed.terms())), Outcome::Silent);
            assert_eq!(clean(vantage.ping(absent.ip, 3, &bed.terms())), Outcome::Silent);
        }
    });
}

/// A CA, with what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("ring makes keys");
        Self(CertifiedIssuer::self_signed(params, key).expect("ring signs"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("ring makes keys");
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.0).expect("ring signs");
        (certificate.pem(), key.serialize_pem())
    }
}

fn server(
    own: &Authority,
    clients: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().expect("a CA");
    let (certificate, key) = own.issue(&["web.example.org", FOUR, SIX]);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring has them")
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
        )
        .expect("key and certificate fit");
    Arc::new(config)
}

#[test]
fn https_tells_served_from_denied_refused_and_silent() {
    in_namespace("fabric::vantage_tests::https_tells_served_from_denied_refused_and_silent", || {
        let (bed, mut vantage) = bed();
        let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
        for (port, version) in [(2376, &rustls::version::TLS13), (2377, &rustls::version::TLS12)] {
            let config = server(&authority, &clients, &[version]);
            serve(port, move |stream| {
                let connection = ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
                let mut stream = StreamOwned::new(connection, stream);
                // A client that is turned away is an error here; the alert goes out first.
                if answer(&mut stream).is_ok() {
                    stream.conn.send_close_notify();
                }
                let _ = stream.conn.write_tls(&mut stream.sock);
            });
        }
        serve(80, |mut stream| answer(&mut stream).expect("a whole request"));
        let root = authority.pem();
        let client = |issuer: &Authority| {
            let (certificate, key) = issuer.issue(&["client"]);
            ClientTls::new(root.as_bytes(), Some((certificate.as_bytes(), key.as_bytes()))).expect("PEM")
        };
        let (good, bad) = (client(&clients), client(&strangers));
        let none = ClientTls::new(root.as_bytes(), None).expect("PEM");
        let mut get = |to: &str, port, name: &str, tls: &ClientTls| {
            vantage.https_get(address(to), port, name, tls, "/version", &bed.terms())
        };
        for (to, port) in [(FOUR, 2376), (SIX, 2376), (FOUR, 2377)] {
            for name in ["web.example.org", to] {
                assert_eq!(clean(get(to, port, name, &good)), served("body0"));
            }
            for tls in [&bad, &none] {
                let outcome = clean(get(to, port, to, tls));
                assert!(matches!(outcome, Outcome::Denied(_)), "{to} {port}: {outcome:?}");
            }
            let Outcome::Other(text) = clean(get(to, port, "other.example.org", &good)) else { panic!("a wrong name") };
            assert!(text.contains("certificate"), "{text}");
        }
        assert_eq!(clean(get(FOUR, 2378, FOUR, &good)), Outcome::Refused);
        let Outcome::Other(text) = clean(get(FOUR, 80, FOUR, &good)) else { panic!("no TLS there") };
        assert!(text.starts_with("TLS: ") || text.starts_with("the connection ended"), "{text}");
        let absent = Host { mac: NIC, ip: address("203.0.113.9") };
        let patient = Terms { grace: Duration::from_millis(300), ..bed.terms() };
        assert_eq!(clean(vantage.https_get(absent, 2376, FOUR, &good, "/", &patient)), Outcome::Silent);

        assert_eq!(clean(vantage.http_get(address(SIX), 80, "/", &bed.terms())), served("body0"));
        let Outcome::Other(text) = clean(vantage.http_get(address(FOUR), 2376, "/", &bed.terms())) else {
            panic!("no plain HTTP there")
        };
        assert!(text.starts_with("no HTTP response") || text.starts_with("the connection ended"), "{text}");

        let length: u64 = 8 << 20;
        let begun = Instant::now();
        let body: &mut dyn Read = &mut std::io::repeat(7);
        let kind = "application/x-tar";
        let to = address(FOUR);
        let (what, content) = (("POST", "/images/load"), (kind, length, body));
        let posted = vantage.send_body(to, 2376, FOUR, Some(&good), what, content, &bed.terms());
        assert_eq!(clean(posted), served(&format!("body{length}")));
        let content = ("text/plain", 5, &mut &b"hello"[..] as &mut dyn Read);
        let plain = vantage.send_body(address(SIX), 80, SIX, None, what, content, &bed.terms());
        assert_eq!(clean(plain), served("body5"));
        figure(&format!("figure: 8 MiB over TLS to the kernel: {:.3} s", begun.elapsed().as_secs_f64()));
    });
}

/// As dockerd does with the stream of an exec: it says that nothing more comes, and waits for the client to hang up.
#[test]
fn a_response_ends_where_the_server_says_so() {
    in_namespace("fabric::vantage_tests::a_response_ends_where_the_server_says_so", || {
        let (bed, mut vantage) = bed();
        let authority = Authority::new();
        let config = server(&authority, &authority, &[&rustls::version::TLS13]);
        serve(2376, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a good configuration");
            let mut stream = StreamOwned::new(connection, stream);
            let mut head = [0; 4];
            stream.read_exact(&mut head).expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbody").expect("a client that listens");
            stream.conn.send_close_notify();
            stream.flush().expect("a client that listens");
            // Until the client hangs up.
            while stream.sock.read(&mut head).is_ok_and(|read| read > 0) {}
        });
        let (certificate, key) = authority.issue(&["client"]);
        let identity = Some((certificate.as_bytes(), key.as_bytes()));
        let client = ClientTls::new(authority.pem().as_bytes(), identity).expect("PEM");
        let got = vantage.https_get(address(FOUR), 2376, FOUR, &client, "/", &bed.terms());
        assert_eq!(clean(got), served("body"));

        serve(80, |mut stream| {
            let mut head = [0; 4];
            stream.read_exact(&mut head).expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbody").expect("a client that listens");
            stream.shutdown(std::net::Shutdown::Write).expect("a client that listens");
            while stream.read(&mut head).is_ok_and(|read| read > 0) {}
        });
        assert_eq!(clean(vantage.http_get(address(FOUR), 80, "/", &bed.terms())), served("body"));
    });
}

#[test]
fn a_vantage_beyond_a_gateway_is_answered_through_it() {
    in_namespace("fabric::vantage_tests::a_vantage_beyond_a_gateway_is_answered_through_it", || {
        let (bed, _) = bed();
        ip("route add default via 192.0.2.254");
        serve(80, |mut stream| answer(&mut stream).expect("a whole request"));
        let (mac, far) = (Mac([2, 1, 0, 0, 0, 6]), address("198.51.100.9"));
        let mut beyond =
            bed.fabric.vantage_via(bed.lan, mac, &[far], &[address("192.0.2.254")]).expect("the fabric runs");
        let peer = Host { mac: NIC, ip: address(FOUR) };
        assert_eq!(clean(beyond.http_get(peer, 80, "/", &bed.terms())), served("body0"));
        assert_eq!(clean(beyond.http_get(peer, 81, "/", &bed.terms())), Outcome::Refused);
        let finding = beyond.ping(address(SIX), 4, &bed.terms());
        assert!(
            finding.expect_err("it has no such address").to_string().contains("has no address to ask 2001:db8::1 from")
        );
    });
}
