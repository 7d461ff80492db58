//! `dmhost pki init`: made once, kept, and never guessed around.

use crate::bed::{Bed, GOOD};

#[test]
fn a_second_time_changes_nothing() {
    let bed = Bed::new();
    let first = bed.run("pki init host.toml");
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert!(first.out.starts_with("made the server CA\n"), "{first:?}");
    let made = bed.tree("host.pki");
    assert!(made.iter().all(|(path, (mode, _))| !path.ends_with("key.pem") || *mode == 0o600));

    let second = bed.run("pki init host.toml");
    assert_eq!(second.code, 0);
    assert_eq!(second.out, "host.pki: everything is there and valid; nothing changed\n");
    let json = bed.json("pki init host.toml");
    assert_eq!(json, serde_json::json!({ "folder": "host.pki", "changes": [] }));
    assert_eq!(bed.tree("host.pki"), made);
}

#[test]
fn only_what_is_stale_is_made_again() {
    let bed = Bed::new().with_pki();
    let old = bed.tree("host.pki");
    bed.write("host.toml", &GOOD.replace("lab.internal", "lab.example.com"));
    let ran = bed.run("pki init host.toml");
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{ran:?}");
    let new = bed.tree("host.pki");
    let changed: Vec<_> = old.iter().filter(|(path, was)| new.get(*path) != Some(was)).map(|(path, _)| path).collect();
    assert_eq!(changed, [&bed.path().join("host.pki/lab/server/cert.pem")]);
}

#[test]
fn what_stands_in_its_place_is_left_alone() {
    let bed = Bed::new();
    bed.write("host.pki", "mine\n");
    let before = bed.tree(".");
    bed.run("pki init host.toml").refuses(2, &["host.pki should be a PKI folder and is something else"]);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn a_place_that_cannot_be_written_to_is_the_machines() {
    let bed = Bed::new();
    // Not even root makes folders there.
    let spec = std::path::Path::new("/proc/self/fd/0");
    let file = fs_err::File::open(bed.path().join("host.toml")).unwrap().into_parts().0;
    let mut command = bed.command("pki init");
    crate::bed::ran(command.arg(spec).stdin(file)).refuses(3, &["cannot make the PKI folder /proc/self/fd/0.pki"]);
}
