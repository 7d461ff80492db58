//! `dmhost fmt` and `dmhost man`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::bed::{Bed, GOOD, ran};

/// The good spec, untidy.
fn untidy() -> String {
    GOOD.replace("version = 1", "version=1").replace("[interfaces.web]", "\n\n[ interfaces . web ]")
}

#[test]
fn what_is_in_style_is_left_alone_and_a_yes() {
    let bed = Bed::new();
    let before = bed.tree(".");
    for words in ["fmt host.toml", "fmt --check host.toml"] {
        let ran = bed.run(words);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{words}");
    }
    assert_eq!(bed.tree("."), before);
}

#[test]
fn check_shows_the_difference_and_writes_nothing() {
    let bed = Bed::new();
    bed.write("untidy.toml", &untidy());
    let before = bed.tree(".");
    let ran = bed.run("fmt --check host.toml untidy.toml");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!("fmt-check", ran.out);
    let json = bed.json("fmt --check host.toml untidy.toml");
    assert_eq!(json["files"][0], serde_json::json!({ "file": "host.toml", "changed": false, "diff": null }));
    assert_eq!((&json["files"][1]["changed"], &json["files"][1]["diff"]), (&true.into(), &ran.out.into()));
    assert_eq!(bed.tree("."), before);
    let colored = bed.run("fmt --check untidy.toml --color always");
    assert!(colored.out.contains("\u{1b}[32m+version = 1\u{1b}[0m\n"), "{colored:?}");
}

#[test]
fn a_file_is_replaced_with_its_mode_also_through_a_link() {
    let bed = Bed::new();
    let path = bed.write("untidy.toml", &untidy());
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("untidy.toml", bed.path().join("link.toml")).unwrap();
    let ran = bed.run("fmt link.toml host.toml");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "link.toml\n", ""));
    assert_eq!(fs_err::read_to_string(&path).unwrap(), GOOD);
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(bed.path().join("link.toml").is_symlink());
    assert_eq!(bed.names(), ["host.toml", "link.toml", "untidy.toml"]);
}

#[test]
fn one_that_is_no_toml_leaves_all_as_they_are() {
    let bed = Bed::new();
    bed.write("untidy.toml", &untidy());
    bed.write("bad.toml", "version = 1\n[host\n");
    let before = bed.tree(".");
    let ran = bed.run("fmt untidy.toml bad.toml");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("error[toml-syntax]: ") && ran.err.contains("bad.toml:2:6"), "{ran:?}");
    assert_eq!(bed.tree("."), before);
    bed.run("fmt nowhere.toml").refuses(2, &["cannot read nowhere.toml"]);
    bed.run("fmt .").refuses(2, &[". is a folder"]);
}

#[test]
fn a_dash_goes_from_stream_to_stream() {
    let bed = Bed::new();
    bed.write("untidy.toml", &untidy());
    let stdin = || fs_err::File::open(bed.path().join("untidy.toml")).unwrap().into_parts().0;
    let styled = ran(bed.command("fmt -").stdin(stdin()));
    assert_eq!((styled.code, styled.out.as_str(), styled.err.as_str()), (0, GOOD, ""));
    let checked = ran(bed.command("fmt --check -").stdin(stdin()));
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("--- a/stdin\n+++ b/stdin\n"), "{checked:?}");
}

#[test]
fn every_command_has_a_man_page() {
    let bed = Bed::new();
    let page = bed.run("man");
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.contains(".TH dmhost 1") && page.out.contains("dmhost\\-check(1)"), "{page:?}");
    let json = bed.json("man --out share/man1");
    let files: Vec<_> = json["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    for name in ["dmhost.1", "dmhost-check.1", "dmhost-fmt.1", "dmhost-pki-init.1"] {
        assert!(files.contains(&name), "{name} is not in {files:?}");
    }
    let mut made: Vec<_> = bed.tree("share/man1").into_keys().collect();
    made.retain(|path| path.extension().is_some_and(|extension| extension == "1"));
    assert_eq!(made.len(), files.len());
    let check = fs_err::read_to_string(bed.path().join("share/man1/dmhost-check.1")).unwrap();
    assert!(check.contains("\\fBdmhost check\\fR"), "the synopsis is what is typed: {check}");
    for path in made {
        let judged = ran(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&path).stdin(Stdio::null()));
        let told: Vec<_> = judged.out.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(told.is_empty() && judged.err.is_empty(), "{judged:?}");
    }
}
