//! What goes wrong between the archive and the cache: each fault has a clear word, and leaves the cache intact and no image.
//!
//! The archive is a server in this process, so that it can lie, fail and go away at will.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::pins::{Archive, Package};
use dmhost_images::recipe::{Recipe, System};
use dmhost_images::{BuildRequest, Event, LockFile, LockMode, MachineError, Mirror, Pins, build};
use dmhost_layout::layout::{CredentialId, Layout};
use dmhost_layout::plan::{Base, Engine, Host, HostPlan, Kernel};
use sha2::{Digest, Sha256};

/// What the server says to a request of a path.
#[derive(Clone)]
enum Answer {
    /// These bytes.
    Whole(Vec<u8>),
    /// The first half of these bytes, and then nothing more.
    Half(Vec<u8>),
}

type Files = Arc<Mutex<BTreeMap<String, Answer>>>;

/// A server of files on this machine, and every path that it was asked for.
struct Server {
    uri: String,
    files: Files,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let uri = format!("http://{}", listener.local_addr()?);
        let (files, asked) = (Files::default(), Arc::<Mutex<Vec<String>>>::default());
        let (theirs, heard) = (Arc::clone(&files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (files, asked) = (Arc::clone(&theirs), Arc::clone(&heard));
                std::thread::spawn(move || serve(stream, &files, &asked));
            }
        });
        Ok(Self { uri, files, asked })
    }

    fn put(&self, path: &str, answer: Answer) {
        self.files.lock().expect("no thread panics with it").insert(path.to_owned(), answer);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no thread panics with it"))
    }
}

/// One request per connection. A client that went away is none of the server's business.
fn serve(stream: TcpStream, files: &Files, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().expect("no thread panics with it").push(path.clone());
    let answer = files.lock().expect("no thread panics with it").get(&path).cloned();
    let mut stream = stream;
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        None => stream.write_all(head("404 Not Found", 0).as_bytes()),
        Some(Answer::Whole(bytes)) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes)
        }
        Some(Answer::Half(bytes)) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes[..bytes.len() / 2])
        }
    }
}

/// A folder with a cache and a lock, and an archive for them.
struct Bed {
    _folder: tempfile::TempDir,
    path: Utf8PathBuf,
    server: Server,
}

impl Bed {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Utf8PathBuf::try_from(folder.path().to_owned())?;
        Ok(Self { _folder: folder, path, server: Server::new()? })
    }

    /// Pins packages with these bytes: name and content.
    fn pin(&self, packages: &[(&str, &[u8])]) -> anyhow::Result<Pins> {
        let package = |(name, bytes): &(&str, &[u8])| Package {
            name: (*name).to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            archive: Archive::Main,
            path: format!("pool/{name}_1_all.deb"),
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        };
        let system = System { base: Base::Debian13, engine: Engine::DockerIo, kernel: Kernel::Cloud };
        let recipe = Recipe::of(system.base, system.engine, None)?;
        let pins = Pins::new(system, &recipe, 0, packages.iter().map(package).collect());
        fs_err::write(self.path.join("host.lock"), pins.text()?)?;
        Ok(pins)
    }

    /// Builds, which has to fail, and gives the whole chain of causes. Nothing but the cache may be left.
    fn refusal(&self, mode: LockMode, offline: bool) -> anyhow::Result<(Option<MachineError>, String)> {
        let host = Host {
            name: "atlas".to_owned(),
            base: Base::Debian13,
            engine: Engine::DockerIo,
            kernel: Kernel::Cloud,
            disk: 3 << 30,
            admin: None,
            packages: Vec::new(),
            files: Vec::new(),
        };
        let plan = HostPlan { host, interfaces: BTreeMap::new(), daemons: BTreeMap::new(), expects: Vec::new() };
        let mut layout = Layout::new();
        layout.subvolume("@", Some("/".into()));
        let (out, cache) = (self.path.join("host.raw"), self.path.join("cache"));
        let secrets = |id: &CredentialId| anyhow::bail!("there is no {id}");
        let request = BuildRequest {
            cache_dir: Some(&cache),
            lock: Some(LockFile { path: self.path.join("host.lock"), mode }),
            mirror: Some(Mirror::at(&self.server.uri)),
            offline,
            ..BuildRequest::new(&plan, &layout, &secrets, &out)
        };
        let error = build(&request, &mut |_: Event<'_>| {}).err().context("such a build cannot succeed")?;
        let mut names: Vec<_> = self
            .path
            .read_dir_utf8()?
            .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
            .collect::<Result<_, _>>()?;
        names.retain(|name| name != "cache" && name != "host.lock");
        assert_eq!(names, [""; 0], "something is left behind");
        let bases = cache.join("bases");
        if bases.is_dir() {
            let left = bases.read_dir_utf8()?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
            let left: Vec<_> = left.collect::<Result<_, _>>()?;
            assert!(
                left.iter().all(|name| Utf8Path::new(name).extension() == Some("lock")),
                "a base is left: {left:?}"
            );
        }
        Ok((error.downcast_ref().cloned(), format!("{error:#}")))
    }

    /// The hashes that the names of cached packages say, each being true.
    fn cached(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in self.path.join("cache/packages").read_dir_utf8()? {
            let path = entry?.into_path();
            let name = path.file_stem().context("a package has a name")?.to_owned();
            assert_eq!(hex(&Sha256::digest(fs_err::read(&path)?)), name, "{path}");
            found.push(name);
        }
        Ok(found)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_pin_that_the_archive_no_longer_has_names_the_flag() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let pins = bed.pin(&[("gone", b"g"), ("there", b"t")])?;
    bed.server.put("/pool/there_1_all.deb", Answer::Whole(b"t".to_vec()));
    let (cause, said) = bed.refusal(LockMode::Locked, false)?;
    assert_eq!(cause, Some(MachineError::PinGone { file: "gone_1_all.deb".to_owned() }), "{said}");
    assert!(said.contains("say --update-lock to take what it has now"), "{said}");
    assert_eq!(bed.cached()?, [pins.packages[1].sha256.as_str()], "what came is kept");

    // What is cached is not asked for again.
    bed.server.asked();
    bed.refusal(LockMode::Locked, false)?;
    assert_eq!(bed.server.asked(), ["/pool/gone_1_all.deb"]);
    Ok(())
}

#[test]
fn a_file_of_other_bytes_than_pinned_is_refused() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    bed.pin(&[("one", b"right")])?;
    bed.server.put("/pool/one_1_all.deb", Answer::Whole(b"wrong".to_vec()));
    let (_, said) = bed.refusal(LockMode::Keep, false)?;
    assert!(said.contains("Hash Sum mismatch") || said.contains("Hashes of received file"), "{said}");
    assert_eq!(bed.cached()?, [""; 0]);
    Ok(())
}

#[test]
fn a_network_that_goes_in_the_middle_is_the_machines() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let large = vec![7; 1 << 20];
    bed.pin(&[("cut", &large)])?;
    bed.server.put("/pool/cut_1_all.deb", Answer::Half(large));
    let (cause, said) = bed.refusal(LockMode::Keep, false)?;
    assert!(matches!(cause, Some(MachineError::NoNetwork { .. })), "{cause:?}: {said}");
    assert_eq!(bed.cached()?, [""; 0]);
    Ok(())
}

#[test]
fn a_damaged_package_is_noticed_and_fetched_again() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let pins = bed.pin(&[("gone", b"g"), ("one", b"right")])?;
    let packages = bed.path.join("cache/packages");
    fs_err::create_dir_all(&packages)?;
    fs_err::write(packages.join(format!("{}.deb", pins.packages[1].sha256)), b"damaged")?;
    bed.server.put("/pool/one_1_all.deb", Answer::Whole(b"right".to_vec()));
    bed.refusal(LockMode::Keep, false)?;
    assert_eq!(bed.cached()?, [pins.packages[1].sha256.as_str()]);
    Ok(())
}

#[test]
fn without_network_what_is_missing_is_named_and_nobody_asked() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let (cause, said) = bed.refusal(LockMode::Keep, true)?;
    let detail = "a list of the packages of debian-13 with the cloud kernel".to_owned();
    assert_eq!(cause, Some(MachineError::NotCached { detail }), "{said}");
    bed.pin(&[("one", b"1"), ("two", b"2")])?;
    let (cause, said) = bed.refusal(LockMode::Locked, true)?;
    let detail = "2 of 2 packages, the first being one 1".to_owned();
    assert_eq!(cause, Some(MachineError::NotCached { detail }), "{said}");
    assert_eq!(bed.server.asked(), [""; 0]);
    Ok(())
}

#[test]
fn a_lock_is_used_as_it_is_or_not_at_all() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let (_, said) = bed.refusal(LockMode::Locked, false)?;
    assert!(said.starts_with("there is no lock ") && said.contains("build once without it"), "{said}");
    let other = bed.pin(&[("one", b"1")])?.text()?.replace("kernel = \"cloud\"", "kernel = \"generic\"");
    fs_err::write(bed.path.join("host.lock"), &other)?;
    let (_, said) = bed.refusal(LockMode::Locked, false)?;
    assert!(said.contains("it is for the kernel generic, not cloud; --update-lock makes it fit"), "{said}");
    for text in ["", "version = 9\n", "not TOML at all"] {
        fs_err::write(bed.path.join("host.lock"), text)?;
        let (_, said) = bed.refusal(LockMode::Keep, false)?;
        assert!(said.contains("host.lock is no lock of dmhost's; --update-lock writes it anew"), "{text}: {said}");
        assert_eq!(fs_err::read_to_string(bed.path.join("host.lock"))?, text, "it was changed");
    }
    assert_eq!(bed.server.asked(), [""; 0]);
    Ok(())
}

#[test]
fn an_archive_that_is_not_debians_is_refused() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let home = bed.path.join("cache/gnupg");
    fs_err::create_dir_all(&home)?;
    let gpg = |words: &[&str]| -> anyhow::Result<()> {
        let output =
            Command::new("gpg").args(["--homedir", home.as_str(), "--batch", "--quiet"]).args(words).output()?;
        anyhow::ensure!(output.status.success(), "gpg {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    gpg(&["--passphrase", "", "--quick-generate-key", "nobody@example.org", "ed25519", "sign", "never"])?;
    let release = "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 09 Aug 2025 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n";
    let (plain, signed) = (home.join("Release"), home.join("InRelease"));
    fs_err::write(&plain, release)?;
    gpg(&["--output", signed.as_str(), "--clearsign", plain.as_str()])?;
    // An agent that gpg started ends with its folder; this one is told.
    let ended = Command::new("gpgconf").args(["--homedir", home.as_str(), "--kill", "all"]).status()?;
    assert!(ended.success());
    for suite in ["trixie", "trixie-updates"] {
        bed.server.put(&format!("/dists/{suite}/InRelease"), Answer::Whole(fs_err::read(&signed)?));
    }
    let (cause, said) = bed.refusal(LockMode::Keep, false)?;
    assert!(matches!(cause, Some(MachineError::BadSignature { .. })), "{cause:?}: {said}");
    assert!(said.contains("is not signed with its own key, and is not used"), "{said}");
    assert!(!bed.path.join("host.lock").exists() && !bed.path.join("cache/resolutions").exists());
    Ok(())
}
