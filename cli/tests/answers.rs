//! `dmhost check`: yes, no, and no such file.

use crate::bed::{Bed, GOOD};

/// Three things wrong: a VID, a key, and an address that stands twice.
fn bad() -> String {
    let text = GOOD.replace("id = 20", "id = 4095").replace("expose =", "exposes =");
    text.replace("\"203.0.113.3/24\"", "\"203.0.113.2/24\"")
}

#[test]
fn a_good_spec_is_a_silent_yes() {
    let bed = Bed::new();
    let ran = bed.run("check host.toml");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    assert_eq!(bed.json("check host.toml"), serde_json::json!({ "diagnostics": [] }));
}

#[test]
fn a_bad_spec_is_told_whole_and_is_a_no() {
    let bed = Bed::new();
    bed.write("bad.toml", &bad());
    let ran = bed.run("check bad.toml");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!("bad-spec-as-text", ran.out);
    insta::assert_snapshot!("bad-spec-as-json", format!("{:#}", bed.json("check bad.toml")));
}

#[test]
fn json_has_these_keys_and_no_others() {
    let bed = Bed::new();
    bed.write("bad.toml", &bad());
    let json = bed.json("check bad.toml");
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["diagnostics"]);
    let list = json["diagnostics"].as_array().unwrap();
    assert!(list.len() >= 3, "{json}");
    for diagnostic in list {
        let keys: Vec<_> = diagnostic.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["file", "path", "line", "column", "severity", "code", "message", "help", "related"]);
        assert_eq!(diagnostic["file"], "bad.toml");
    }
}

#[test]
fn other_commands_say_what_is_wrong_beside_their_results() {
    let bed = Bed::new();
    bed.write("bad.toml", &bad());
    let before = bed.tree(".");
    let text = bed.run("check bad.toml").out;
    for words in ["render bad.toml --out layout", "pki init bad.toml", "build bad.toml --out x.raw", "verify bad.toml"]
    {
        let ran = bed.run(words);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", text.as_str()), "{words}");
    }
    assert_eq!(bed.tree("."), before);
}

#[test]
fn warnings_are_told_once() {
    let bed = Bed::new();
    let text = GOOD.replace("[interfaces.lab]\n", "[interfaces.lab]\ndns = [\"192.0.2.53\"]\n");
    bed.write("host.toml", &text);
    let bed = bed.with_pki();
    let ran = bed.run("check host.toml");
    assert_eq!((ran.code, ran.out.matches("warning[").count()), (0, 1), "{ran:?}");
    let ran = bed.run("build host.toml --out x.raw --dry-run");
    assert_eq!((ran.code, ran.err.matches("warning[").count()), (0, 1), "{ran:?}");
    assert!(!ran.out.contains("warning["), "{ran:?}");
}

#[test]
fn what_is_no_spec_is_one_clear_error() {
    let bed = Bed::new();
    for command in ["check", "pki init", "render --out layout", "build --out x.raw", "verify"] {
        bed.run(&format!("{command} nowhere.toml"))
            .refuses(2, &["cannot read nowhere.toml: No such file or directory\n"]);
        bed.run(&format!("{command} .")).refuses(2, &[". is a folder; name the host spec, a TOML file\n"]);
    }
    bed.run("check -").refuses(2, &["cannot read -: No such file"]);
    assert_eq!(bed.names(), ["host.toml"]);
}

#[test]
fn a_spec_may_come_through_a_pipe_and_need_not_be_called_toml() {
    let bed = Bed::new();
    let file = fs_err::File::open(bed.path().join("host.toml")).unwrap().into_parts().0;
    let mut command = bed.command("check /dev/stdin");
    assert_eq!(crate::bed::ran(command.stdin(file)).code, 0);
    bed.write("my host", GOOD);
    let mut command = bed.command("pki init");
    assert_eq!(crate::bed::ran(command.arg("my host")).code, 0);
    assert_eq!(bed.names(), ["host.toml", "my host", "my host.pki"]);
}

#[test]
fn usage_is_two() {
    let bed = Bed::new();
    for words in
        ["", "chekc host.toml", "check", "check host.toml --outptu json", "build host.toml", "completions tcsh"]
    {
        let ran = bed.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words}: {ran:?}");
    }
    let mut command = bed.command("render host.toml --out");
    crate::bed::ran(command.arg("")).refuses(2, &["--out"]);
}
