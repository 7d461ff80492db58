//! An archive of packages on this machine that can lie, fail and go away at will, and locks that pin what it has.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use dmhost_images::pins::{Archive, Package, Pins};
use dmhost_images::recipe::{Recipe, System};
use dmhost_layout::plan::{Base, Engine, Kernel};

use crate::bed::{Bed, ran};

/// What the server says to a request of a path.
pub(crate) enum Answer {
    /// These bytes.
    Whole(Vec<u8>),
    /// The first half of these bytes, and the end of the connection when the other side of this is dropped.
    Half(Vec<u8>, Receiver<()>),
}

type Files = Arc<Mutex<BTreeMap<String, Answer>>>;

/// A server of files; each is given once.
pub(crate) struct Server {
    pub(crate) uri: String,
    files: Files,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let files = Files::default();
        let theirs = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let files = Arc::clone(&theirs);
                std::thread::spawn(move || serve(stream, &files));
            }
        });
        Self { uri, files }
    }

    pub(crate) fn put(&self, path: &str, answer: Answer) {
        self.files.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Half of a file; the connection ends when what is given back is dropped.
    pub(crate) fn put_half(&self, path: &str, bytes: Vec<u8>) -> Sender<()> {
        let (send, receive) = channel();
        self.put(path, Answer::Half(bytes, receive));
        send
    }
}

/// One request per connection. A client that went away is none of the server's business.
fn serve(mut stream: TcpStream, files: &Files) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let answer = files.lock().unwrap().remove(path);
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        None => stream.write_all(head("404 Not Found", 0).as_bytes()),
        Some(Answer::Whole(bytes)) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes)
        }
        Some(Answer::Half(bytes, until)) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes[..bytes.len() / 2])?;
            // An error is what is waited for: the sender was dropped.
            let _ = until.recv();
            Ok(())
        }
    }
}

/// Pins one package with these bytes in the bed's lock; gives its path in an archive.
pub(crate) fn pin(bed: &Bed, name: &str, bytes: &[u8]) -> String {
    let file = bed.path().join(name);
    fs_err::write(&file, bytes).unwrap();
    let sum = ran(Command::new("sha256sum").arg(&file)).out;
    fs_err::remove_file(&file).unwrap();
    let path = format!("pool/main/{name}_1_all.deb");
    let package = Package {
        name: name.to_owned(),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        archive: Archive::Main,
        path: path.clone(),
        size: bytes.len() as u64,
        sha256: sum.split(' ').next().unwrap().to_owned(),
    };
    let system = System { base: Base::Debian13, engine: Engine::DockerIo, kernel: Kernel::Cloud };
    let recipe = Recipe::of(system.base, system.engine, None).unwrap();
    let pins = Pins::new(system, &recipe, 0, vec![package]);
    bed.write("host.lock", &pins.text().unwrap());
    format!("/{path}")
}
