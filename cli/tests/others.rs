//! `dmhost lint`, `dmhost explain` and `dmhost schema`.

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

#[test]
fn the_schema_and_its_page_are_those_of_the_repository() {
    let bed = Bed::new();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    for (command, file) in [("schema", "host-spec.schema.json"), ("schema --markdown", "spec.md")] {
        let ran = bed.run(command);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(ran.out == fs_err::read_to_string(format!("{docs}/{file}")).unwrap(), "{command} is not docs/{file}");
    }
    assert_eq!(bed.json("schema")["title"], "dmhost host spec");
    assert!(bed.json("schema --markdown")["markdown"].as_str().unwrap().starts_with("<!-- Made by"));
}
