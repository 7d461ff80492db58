//! What a daemon pulls from in the tests of the lab: a registry and the name server that knows it, on one address.
//!
//! `lab-registry NAME ADDRESS FOLDER` serves what `docker save` has put into FOLDER (the OCI image layout) by the OCI distribution
//! specification's pull, over HTTP on port 5000 and under every repository and tag; and answers questions for NAME's addresses on port 53
//! (RFC 1035 section 4). Each that asks is told on standard output.
#![expect(clippy::print_stdout, reason = "who asks is what a test looks at")]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const REGISTRY: u16 = 5000;
const NAMES: u16 = 53;
/// An answer is this old at most, in seconds.
const TTL: u32 = 60;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, address, folder] = &words[..] else { bail!("usage: lab-registry NAME ADDRESS FOLDER") };
    let address: IpAddr = address.parse().with_context(|| format!("{address} is no address"))?;
    let names = UdpSocket::bind((address, NAMES)).context("cannot take the port of names")?;
    let registry = TcpListener::bind((address, REGISTRY)).context("cannot take the registry's port")?;
    let (name, folder) = (name.clone(), PathBuf::from(folder));
    thread::spawn(move || tell_names(&names, &name, address));
    for stream in registry.incoming() {
        let folder = folder.clone();
        let stream = stream.context("nobody can ask any more")?;
        // A client that goes away in the middle asks again.
        thread::spawn(move || serve(&stream, &folder));
    }
    Ok(())
}

fn tell_names(socket: &UdpSocket, name: &str, address: IpAddr) -> Result<()> {
    let mut buffer = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        if let Some(answer) = answer(&buffer[..length], name, address) {
            println!("names {}", from.ip());
            socket.send_to(&answer, from)?;
        }
    }
}

/// The answer to a question: the address if it is asked for, else that there is nothing of that kind, or no such name.
fn answer(question: &[u8], name: &str, address: IpAddr) -> Option<Vec<u8>> {
    let mut asked = String::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        asked += &String::from_utf8_lossy(question.get(at..at + length)?).to_lowercase();
        asked.push('.');
        at += length;
    }
    let kind = u16::from_be_bytes(question.get(at..at + 2)?.try_into().ok()?);
    let known = asked.trim_end_matches('.') == name;
    let data = match address {
        IpAddr::V4(v4) if kind == 1 => v4.octets().to_vec(),
        IpAddr::V6(v6) if kind == 28 => v6.octets().to_vec(),
        _ => Vec::new(),
    };
    let found = known && !data.is_empty();
    let mut answer = question.get(..2)?.to_vec();
    // A response, with recursion asked for and had; 3 is "no such name".
    answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(question.get(12..at + 4)?);
    if found {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(TTL.to_be_bytes());
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

fn serve(mut stream: &TcpStream, folder: &Path) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().context("nothing is asked")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let [method, path, _] = request.split(' ').collect::<Vec<_>>()[..] else { bail!("no HTTP: {request}") };
    println!("{method} {path} {}", stream.peer_addr()?.ip());
    let (status, kind, body) = match content(folder, path) {
        Ok(Some((kind, body))) => ("200 OK", kind, body),
        Ok(None) => ("404 Not Found", "text/plain".to_owned(), Vec::new()),
        Err(error) => ("500 Internal Server Error", "text/plain".to_owned(), format!("{error:#}\n").into_bytes()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len())?;
    write!(stream, "Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n")?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// What is at a path of the registry, with its media type.
fn content(folder: &Path, path: &str) -> Result<Option<(String, Vec<u8>)>> {
    let blob = |digest: &str| fs_err::read(folder.join("blobs").join(digest.replace(':', "/")));
    if path == "/v2/" {
        return Ok(Some(("application/json".to_owned(), b"{}".to_vec())));
    }
    if let Some((_, digest)) = path.split_once("/blobs/") {
        return Ok(Some(("application/octet-stream".to_owned(), blob(digest)?)));
    }
    if !path.contains("/manifests/") {
        return Ok(None);
    }
    let index: Value = serde_json::from_slice(&fs_err::read(folder.join("index.json"))?)?;
    let manifest = &index["manifests"][0];
    let text = |key: &str| manifest[key].as_str().with_context(|| format!("index.json has no {key}"));
    Ok(Some((text("mediaType")?.to_owned(), blob(text("digest")?)?)))
}
