//! File systems that are full or closed, as small ones mounted where only the executable under test sees them.

use std::process::Command;

use crate::archive::{Answer, Server, pin};
use crate::bed::{Bed, Ran, ran};

/// Runs the executable where `out` is a file system of its own, mounted with these options. The cache is the user's, whose
/// base the first of all tests makes, unless the words name one.
fn run_with(bed: &Bed, options: &str, words: &str) -> Ran {
    fs_err::create_dir_all(bed.path().join("out")).unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} test out && {{ \"$@\"; code=$?; ls -A out >left; mount | grep -c dmhost-build >mounts; exit $code; }}"
    );
    let root = ran(Command::new("id").arg("-u")).out == "0\n";
    let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user", "--map-auto"] };
    let mut command = Command::new("unshare");
    command.args(user).args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_dmhost")).args(words.split_whitespace()).current_dir(bed.path());
    ran(command.env_remove("DMHOST_CACHE_DIR"))
}

fn left(bed: &Bed) -> (String, String) {
    let read = |name: &str| fs_err::read_to_string(bed.path().join(name)).unwrap();
    (read("left"), read("mounts"))
}

#[test]
fn a_full_disk_is_named_and_holds_no_half_image() {
    let bed = Bed::new().with_pki();
    let ran = run_with(&bed, "size=48m", "build host.toml --out out/host.raw");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("no space left on the device: "), "{ran:?}");
    assert_eq!(left(&bed), (String::new(), "0\n".to_owned()));
    assert!(!bed.names().contains(&"host.lock".to_owned()), "a lock was written for an image that is not there");
}

#[test]
fn a_closed_disk_is_named() {
    let bed = Bed::new().with_pki();
    let ran = run_with(&bed, "ro", "build host.toml --out out/host.raw");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("Read-only file system") && ran.err.contains("out/.host.raw.dmhost-build"), "{ran:?}");
    assert_eq!(left(&bed), (String::new(), "0\n".to_owned()));
}

#[test]
fn a_full_cache_is_named_and_holds_no_half_package() {
    let bed = Bed::new().with_pki();
    let server = Server::new();
    let bytes = vec![7; 4 << 20];
    server.put(&pin(&bed, "large", &bytes), Answer::Whole(bytes));
    let words = format!("build host.toml --out host.raw --cache-dir out/cache --mirror {}", server.uri);
    let ran = run_with(&bed, "size=2m", &words);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("no space left on the device: "), "{ran:?}");
    assert_eq!(left(&bed), ("cache\n".to_owned(), "0\n".to_owned()));
    assert!(!bed.names().iter().any(|name| name.contains("host.raw")), "{:?}", bed.names());
}

#[test]
fn a_closed_cache_is_named() {
    let bed = Bed::new().with_pki();
    let ran = run_with(&bed, "ro", "build host.toml --out host.raw --cache-dir out/cache");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
    assert!(ran.err.contains("Read-only file system") && ran.err.contains("out/cache"), "{ran:?}");
    assert!(!bed.names().iter().any(|name| name.contains("host.raw")), "{:?}", bed.names());
}
