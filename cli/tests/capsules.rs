//! `dmhost verify --keep` and `dmhost open`: what is refused before anything is made or started.

use crate::bed::Bed;

#[test]
fn what_is_no_capsule_is_usage() {
    let bed = Bed::new();
    bed.run("open nowhere").refuses(2, &["nowhere is no capsule", "`dmhost verify --keep` makes one"]);
    bed.run("open host.toml").refuses(2, &["host.toml is no capsule"]);
    fs_err::create_dir(bed.path().join("empty")).unwrap();
    bed.run("open empty").refuses(2, &["empty is no capsule"]);
    bed.write("empty/capsule.json", "{}");
    bed.run("open empty").refuses(2, &["empty/capsule.json is not a capsule's", "missing field"]);
}

#[test]
fn a_capsule_is_opened_at_a_terminal() {
    let bed = Bed::new();
    fs_err::create_dir(bed.path().join("capsule")).unwrap();
    let note = r#"{ "dmhost": "0.1.0", "machine": "0", "booted": { "secs": 9, "nanos": 0 } }"#;
    bed.write("capsule/capsule.json", note);
    for name in ["host.toml", "image.raw", "memory", "disk.qcow2"] {
        bed.write(&format!("capsule/{name}"), "");
    }
    bed.run("open capsule").refuses(2, &["capsule is no whole capsule: there is no capsule/console.log"]);
    bed.write("capsule/console.log", "");
    bed.run("open capsule").refuses(2, &["`dmhost open` is a session: standard input has to be a terminal"]);
}

#[test]
fn a_capsule_takes_no_place_that_is_taken() {
    let bed = Bed::new().with_pki();
    let before = bed.names();
    bed.run("verify host.toml --keep host.pki")
        .refuses(2, &["host.pki is there already, and a capsule goes into a folder of its own"]);
    let both = bed.run("verify host.toml --truth --keep capsule");
    assert!(both.code == 2 && both.err.contains("cannot be used with"), "{both:?}");
    assert_eq!(bed.names(), before);
}
