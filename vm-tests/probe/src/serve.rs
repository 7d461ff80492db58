//! What there is to reach in a probe container: one text, over HTTP and as a datagram's answer, on port 8000 of both IP
//! versions.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};

use anyhow::{Context, Result};

const PORT: u16 = 8000;

pub(crate) fn run(text: &str) -> Result<()> {
    // Linux gives an IPv6 wildcard socket IPv4 too (`bindv6only`, 0 unless somebody changed it).
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).context("cannot listen on TCP port 8000")?;
    let datagrams = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).context("cannot listen on UDP port 8000")?;
    let page = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            // Who has gone takes no answer; that says nothing about the next one.
            while let Ok((_, from)) = datagrams.recv_from(&mut buffer) {
                let _ = datagrams.send_to(text.as_bytes(), from);
            }
        });
        for connection in listener.incoming().flatten() {
            let page = page.as_bytes();
            // One thread each: a scan leaves connections that never ask.
            scope.spawn(move || {
                let mut connection = connection;
                let _ = connection.set_read_timeout(Some(std::time::Duration::from_secs(20)));
                let mut request = [0; 2048];
                if matches!(connection.read(&mut request), Ok(1..)) {
                    let _ = connection.write_all(page);
                }
            });
        }
    });
    Ok(())
}
