//! `dmhost pki`: made once, kept, never guessed around, and told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;

use crate::bed::{Bed, GOOD, ran};

#[test]
fn a_second_time_changes_nothing() {
    let bed = Bed::new();
    let first = bed.run("pki init host.toml");
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert!(first.out.starts_with("made the server CA\n"), "{first:?}");
    let made = bed.tree("host.pki");
    let times = times(&made);
    assert!(made.iter().all(|(path, (mode, _))| !path.ends_with("key.pem") || *mode == 0o600));

    let second = bed.run("pki init host.toml");
    assert_eq!(second.code, 0);
    assert_eq!(second.out, "host.pki: everything is there and valid; nothing changed\n");
    let json = bed.json("pki init host.toml");
    assert_eq!(json, serde_json::json!({ "folder": "host.pki", "changes": [] }));
    assert_eq!(bed.tree("host.pki"), made);
    assert_eq!(self::times(&made), times);
    assert_eq!(fs_err::read_to_string(bed.path().join("host.pki/.gitignore")).unwrap(), "*\n");
}

/// When each was written last.
fn times(tree: &BTreeMap<PathBuf, (u32, Vec<u8>)>) -> Vec<SystemTime> {
    tree.keys().map(|path| fs_err::metadata(path).unwrap().modified().unwrap()).collect()
}

#[test]
fn a_new_address_or_name_is_one_certificate_anew() {
    for (old, new) in
        [("198.51.100.2/24\"", "198.51.100.2/24\", \"198.51.100.9/24\""), ("web.example.org", "www.example.org")]
    {
        let bed = Bed::new().with_pki();
        let before = bed.tree("host.pki");
        let spec = GOOD.replace(old, new);
        assert_ne!(spec, GOOD);
        bed.write("host.toml", &spec);
        let shown = bed.run("pki show host.toml");
        assert_eq!(
            (shown.code, shown.out.matches("! host.pki/web/server/cert.pem lacks ").count()),
            (1, 1),
            "{shown:?}"
        );
        assert_eq!(bed.run("pki init host.toml").code, 0);
        let after = bed.tree("host.pki");
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        let changed: Vec<_> = after.iter().filter(|(path, is)| before[*path] != **is).map(|(path, _)| path).collect();
        assert_eq!(changed, [&bed.path().join("host.pki/web/server/cert.pem")]);
        assert_eq!(bed.run("pki show host.toml").code, 0);
    }
}

#[test]
fn show_tells_what_openssl_tells_and_no_key() {
    let bed = Bed::new().with_pki();
    let json = bed.json("pki show host.toml");
    let all = json["certificates"].as_array().unwrap();
    assert_eq!((all.len(), &json["usable"], &json["days"]), (7, &Value::Bool(true), &30.into()));
    for shown in all {
        let openssl = |what: &str| {
            let words = ["x509", "-noout", what, "-sha256", "-in", shown["path"].as_str().unwrap()];
            let ran = ran(Command::new("openssl").args(words).current_dir(bed.path()));
            ran.out.trim().split_once('=').unwrap().1.to_owned()
        };
        assert_eq!(shown["sha256"], openssl("-fingerprint"));
        // OpenSSL drops the zero that keeps a serial number from being negative.
        assert_eq!(shown["serial"].as_str().unwrap().trim_start_matches("00"), openssl("-serial"));
        assert_eq!(shown["subject"].as_str().unwrap().replace('=', " = "), openssl("-subject"));
    }
    let web = &all[5];
    assert_eq!(
        (&web["daemon"], &web["role"], &web["names"][0]),
        (&"web".into(), &"server".into(), &"web.example.org".into())
    );
    assert_eq!(web["addresses"], serde_json::json!(["198.51.100.2", "2001:db8:10::2"]));

    let text = bed.run("pki show host.toml");
    assert_eq!((text.code, text.err.as_str()), (0, ""));
    assert!(text.out.starts_with("daemon  role          ends        days  state  subject\n"), "{text:?}");
    for (path, (_, bytes)) in bed.tree("host.pki") {
        let Some(secret) = std::str::from_utf8(&bytes).unwrap().lines().nth(1).filter(|_| path.ends_with("key.pem"))
        else {
            continue;
        };
        assert!(!text.out.contains(secret) && !json.to_string().contains(secret), "{path:?}");
    }
}

#[test]
fn show_says_no_to_what_ends_soon_or_is_gone() {
    let bed = Bed::new().with_pki();
    assert_eq!(bed.run("pki show host.toml --days 824").code, 0);
    let soon = bed.run("pki show host.toml --days 825");
    assert_eq!(
        (soon.code, soon.out.matches("cert.pem expires on ").count(), soon.err.as_str()),
        (1, 4, ""),
        "{soon:?}"
    );
    fs_err::remove_file(bed.path().join("host.pki/server-ca/ca.pem")).unwrap();
    let gone = bed.run("pki show host.toml");
    assert_eq!((gone.code, gone.out.matches("! host.pki/server-ca/ca.pem is missing").count()), (1, 1), "{gone:?}");
    Bed::new().run("pki show host.toml").refuses(2, &["there is no PKI folder host.pki", "`dmhost pki init SPEC`"]);
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
    bed.run("pki init host.toml").refuses(2, &["host.pki should be a folder and is something else"]);
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
