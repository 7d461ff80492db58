//! `dmhost graph`: on a terminal, in a file, in the README.

use crate::bed::{Bed, GOOD};

#[test]
fn the_drawing_of_the_readme_is_that_of_its_example() {
    let bed = Bed::new();
    let ran = bed.run("graph host.toml");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("```\n{}```\n", ran.out)), "README.md does not show\n{}", ran.out);
    let ascii = bed.run("graph host.toml --format ascii").out;
    assert!(ascii.is_ascii() && ascii.contains("| VLAN 10 "), "{ascii}");
    assert_eq!(bed.json("graph host.toml")["drawing"], ran.out);
}

#[test]
fn the_picture_in_the_docs_is_that_of_the_example() {
    let bed = Bed::new();
    let ran = bed.run("graph host.toml --out host.svg");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let drawn = fs_err::read_to_string(bed.path().join("host.svg")).unwrap();
    assert_eq!(drawn, include_str!("../../docs/two-vlans.svg"), "docs/two-vlans.svg is not what `dmhost graph` draws");
    assert_eq!(bed.run("graph host.toml --format svg").out, drawn);
    assert!(!drawn.contains("<script") && !drawn.contains("href"));
}

#[test]
fn nothing_is_overwritten_unasked() {
    let bed = Bed::new();
    bed.write("theirs.svg", "mine\n");
    let before = bed.tree(".");
    bed.run("graph host.toml --out theirs.svg").refuses(2, &["theirs.svg is there already", "--force"]);
    bed.run("graph host.toml --out nowhere/host.svg").refuses(2, &["nowhere is not a folder"]);
    bed.run("graph host.toml --out .").refuses(2, &[". is a folder"]);
    bed.run("graph nothing.toml").refuses(2, &["cannot read nothing.toml"]);
    bed.write("bad.toml", &GOOD.replace("id = 20", "id = 4095"));
    let bad = bed.run("graph bad.toml --out bad.svg");
    assert_eq!((bad.code, bad.out.as_str()), (1, ""));
    assert!(bad.err.contains("error[vlan-id-out-of-range]"), "{}", bad.err);
    fs_err::remove_file(bed.path().join("bad.toml")).unwrap();
    assert_eq!(bed.tree("."), before);
    assert_eq!(bed.run("graph host.toml --out theirs.svg --force").code, 0);
    assert_eq!(bed.names(), ["host.toml", "theirs.svg"]);
}
