//! `dmhost lint` and `dmhost explain`.

use crate::bed::Bed;

#[test]
fn two_daemons_that_flush_each_others_chains_are_told() {
    let bed = Bed::new();
    bed.write("daemon-a.json", "{ \"data-root\": \"/var/lib/docker\", \"iptables\": true }\n");
    bed.write("daemon-b.json", "{ \"data-root\": \"/var/lib/docker-b\", \"iptables\": true }\n");
    let ran = bed.run("lint daemon-a.json daemon-b.json");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!("lint-as-text", ran.out);
    let json = bed.json("lint daemon-a.json daemon-b.json");
    let files: Vec<_> = json["diagnostics"].as_array().unwrap().iter().map(|found| found["file"].clone()).collect();
    assert!(files.contains(&"daemon-b.json".into()), "{json}");
}

#[test]
fn a_file_that_is_not_there_is_usage() {
    let ran = Bed::new().run("lint daemon.json");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(ran.err, "error: cannot read daemon.json: No such file or directory\n");
}

#[test]
fn every_code_that_is_listed_is_explained() {
    let bed = Bed::new();
    let list = bed.run("explain");
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    assert!(list.out.lines().count() > 100, "{}", list.out);
    let ran = bed.run("explain vlan-id-duplicate");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("explain-as-text", ran.out);
    let unknown = bed.run("explain no-such-code");
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
    assert_eq!(unknown.err, "error: there is no code \"no-such-code\"; `dmhost explain` lists them all\n");
}
