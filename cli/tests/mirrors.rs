//! Archives that are not there, go away, lie, or are somebody else's: what the executable says, and what is left.

use std::process::Command;

use crate::archive::{Answer, Server, pin};
use crate::bed::{Bed, Ran, ran};
use crate::signals::running;

/// Builds from this mirror, which has to fail, and gives what was said. Certificates, spec, lock and a cache without a
/// base are all that may be left.
fn refused(bed: &Bed, mirror: &str) -> Ran {
    let before = bed.tree("host.pki");
    let ran = bed.run(&format!("build host.toml --out host.raw --mirror {mirror}"));
    let mut names = bed.names();
    names.retain(|name| name != "host.lock");
    assert_eq!(names, ["cache", "host.pki", "host.toml"], "{ran:?}");
    assert_eq!(bed.tree("host.pki"), before);
    let bases = bed.path().join("cache/bases");
    let bases = fs_err::read_dir(bases).into_iter().flatten().map(|entry| entry.unwrap().path());
    let left: Vec<_> = bases.filter(|path| path.extension().is_none_or(|ending| ending != "lock")).collect();
    assert!(left.is_empty(), "half a base is left: {left:?}");
    assert_eq!(running(bed), [""; 0], "something runs on");
    ran
}

/// The last line but the steps.
#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    let error = ran.err.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{ran:?}"));
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {ran:?}");
    }
}

#[test]
fn nobody_answers() {
    let bed = Bed::new().with_pki();
    // A port that was free a moment ago.
    let mirror = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    says(&refused(&bed, &mirror), &["the package archive cannot be reached: "]);
    assert!(!bed.names().contains(&"host.lock".to_owned()), "a lock of nothing was written");
    pin(&bed, "one", b"one");
    says(&refused(&bed, &mirror), &["the package archive cannot be reached: "]);
}

#[test]
fn the_network_goes_in_the_middle_of_a_package() {
    let bed = Bed::new().with_pki();
    let server = Server::new();
    let bytes = vec![7; 4 << 20];
    let path = pin(&bed, "cut", &bytes);
    // Gone at once after the half.
    drop(server.put_half(&path, bytes.clone()));
    says(&refused(&bed, &server.uri), &["the package archive cannot be reached: "]);
    assert_eq!(fs_err::read_dir(bed.path().join("cache/packages")).unwrap().count(), 0);

    // The next build goes on from there: the package comes, and is kept although it is no package.
    server.put(&path, Answer::Whole(bytes));
    let next = refused(&bed, &server.uri);
    assert!(next.err.contains("could not index the packages of the base"), "{next:?}");
    assert_eq!(fs_err::read_dir(bed.path().join("cache/packages")).unwrap().count(), 1);
}

#[test]
fn a_package_of_other_bytes() {
    let bed = Bed::new().with_pki();
    let server = Server::new();
    let path = pin(&bed, "one", b"right");
    server.put(&path, Answer::Whole(b"wrong".to_vec()));
    let ran = refused(&bed, &server.uri);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("Hash Sum mismatch") || ran.err.contains("Hashes of received file"), "{ran:?}");
    assert_eq!(fs_err::read_dir(bed.path().join("cache/packages")).unwrap().count(), 0);
}

#[test]
fn a_package_that_is_gone() {
    let bed = Bed::new().with_pki();
    pin(&bed, "gone", b"gone");
    let lock = || fs_err::read_to_string(bed.path().join("host.lock")).unwrap();
    let before = lock();
    says(&refused(&bed, &Server::new().uri), &["the archive no longer has gone_1_all.deb", "say --update-lock"]);
    assert_eq!(lock(), before);
}

#[test]
fn an_archive_that_somebody_else_signed() {
    let bed = Bed::new().with_pki();
    let keys = tempfile::tempdir().unwrap();
    let gpg = |words: &[&str]| {
        let made = ran(Command::new("gpg").arg("--homedir").arg(keys.path()).args(["--batch", "--quiet"]).args(words));
        assert_eq!(made.code, 0, "{made:?}");
    };
    gpg(&["--passphrase", "", "--quick-generate-key", "nobody@example.org", "ed25519", "sign", "never"]);
    let (plain, signed) = (keys.path().join("Release"), keys.path().join("InRelease"));
    let release = "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 09 Aug 2025 00:00:00 UTC\n\
                   Architectures: amd64\nComponents: main\nSHA256:\n";
    fs_err::write(&plain, release).unwrap();
    gpg(&["--output", signed.to_str().unwrap(), "--clearsign", plain.to_str().unwrap()]);
    // The agent that gpg started would outlive its folder.
    assert_eq!(ran(Command::new("gpgconf").arg("--homedir").arg(keys.path()).args(["--kill", "all"])).code, 0);
    let server = Server::new();
    for suite in ["trixie", "trixie-updates"] {
        server.put(&format!("/dists/{suite}/InRelease"), Answer::Whole(fs_err::read(&signed).unwrap()));
    }
    says(&refused(&bed, &server.uri), &["the package archive is not signed with its own key, and is not used: "]);
    assert!(!bed.names().contains(&"host.lock".to_owned()) && !bed.path().join("cache/resolutions").exists());
}
