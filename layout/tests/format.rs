//! The style of specs: what it changes and what it never does, over all specs there are and specs with bytes changed.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dmhost_layout::{format, plan_from_toml};
use fs_err as fs;
use proptest::prelude::*;

/// The specs of a folder.
fn specs_of(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no spec", folder.display());
    // One defect is bytes that are no text.
    paths.into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(&path).ok()?))).collect()
}

static SPECS: LazyLock<Vec<(PathBuf, String)>> =
    LazyLock::new(|| ["../examples", "tests/scenarios", "tests/defects"].into_iter().flat_map(specs_of).collect());

fn styled(text: &str) -> Option<String> {
    format("host.toml", text.as_bytes()).ok()
}

/// Every comment in order, found without the formatter's parser: from a `#` outside of strings to the end of its line.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        rest = &rest[at..];
        if rest.starts_with('#') {
            let end = rest.find('\n').unwrap_or(rest.len());
            found.push(rest[..end].trim_end().to_owned());
            rest = &rest[end..];
            continue;
        }
        let quote = &rest[..1];
        let triple = quote.repeat(3);
        let (open, multi) = if rest.starts_with(&triple) { (triple.as_str(), true) } else { (quote, false) };
        rest = &rest[open.len()..];
        loop {
            if quote == "\"" && rest.starts_with('\\') {
                rest = &rest[1..];
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            } else if let Some(after) = rest.strip_prefix(open) {
                // Up to two more quotes may belong to a string that ends in quotes.
                rest = if multi { after.trim_start_matches(quote) } else { after };
                break;
            } else if let Some(character) = rest.chars().next() {
                rest = &rest[character.len_utf8()..];
            } else {
                break;
            }
        }
    }
    found
}

/// What holds for the style of any TOML.
fn judge(text: &str) {
    let Some(once) = styled(text) else { return };
    assert_eq!(styled(&once).as_deref(), Some(once.as_str()), "formatted twice it is another text");
    assert_eq!(comments(&once), comments(text), "comments were lost or moved:\n{once}");
    let (before, _) = plan_from_toml("host.toml", text);
    let (after, _) = plan_from_toml("host.toml", &once);
    assert_eq!(before, after, "the plan has changed");
    let values = |text: &str| text.parse::<toml::Table>().map(|table| format!("{table:?}")).expect("it is TOML");
    assert_eq!(values(text.strip_prefix('\u{feff}').unwrap_or(text)), values(&once));
}

#[test]
fn every_spec_keeps_its_meaning_and_its_comments() {
    for (_, text) in SPECS.iter() {
        judge(text);
    }
}

#[test]
fn the_examples_and_scenarios_are_in_style() {
    for (path, text) in specs_of("../examples").iter().chain(&specs_of("tests/scenarios")) {
        assert_eq!(styled(text).as_deref(), Some(text.as_str()), "run `dmhost fmt {}`", path.display());
    }
}

#[test]
fn the_style_by_example() {
    let untidy = r#"

# A host.
version=1


  [ host ] # the machine
"name"   =   'atlas'  # its name
  disk='C:\no'
# Nobody
   # logs in.
[interfaces . lan]

nic={mac="52:54:00:00:00:01"}            # the first
addresses = [ "192.0.2.10/24" ,"2001:db8::10/64", ]     # aligned
gateways=["192.0.2.1"] # near
[interfaces."with space"]
dns = [ # servers
  "192.0.2.53" # one
  , # own


  "192.0.2.54", "192.0.2.55"

  # the end
]
x.'y' . "z z" = { a . b=1,c = [ 1,2 ,3 ] , d={} }
authorized-keys = ["0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789", "01234567890123456789"] # long
empty = [
]
[[  expect ]]
from = """
  # no comment"""   # one
"#;
    insta::assert_snapshot!("style-by-example", styled(untidy).expect("it is TOML"));
    judge(untidy);
}

#[test]
fn line_ends_stay_and_a_byte_order_mark_goes() {
    assert_eq!(styled("\u{feff}a=1 # x\r\nb=[\r\n1]\r\n").as_deref(), Some("a = 1 # x\r\nb = [\r\n    1,\r\n]\r\n"));
    assert_eq!(styled("").as_deref(), Some(""));
    assert_eq!(styled("a=1").as_deref(), Some("a = 1\n"));
    assert_eq!(styled("# only").as_deref(), Some("# only\n"));
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let refused = format("host.toml", b"version = 1\n[host\nname = \"a\"\n").expect_err("it is no TOML");
    insta::assert_snapshot!("style-of-no-toml", refused.render(false));
    let refused = format("host.toml", b"name = \"\xff\"\n").expect_err("it is no UTF-8");
    assert!(refused.render(false).contains("error[not-utf8]"), "{}", refused.render(false));
    let huge = ["# ", &"x".repeat(1 << 20)].concat();
    let refused = format("host.toml", huge.as_bytes()).expect_err("it is too large");
    assert!(refused.render(false).contains("error[file-too-big]"), "{}", refused.render(false));
}

/// What changes a text and often leaves it TOML.
const PIECES: [&str; 30] = [
    "\n",
    "\n\n\n",
    "\r\n",
    " ",
    "   ",
    "\t",
    "# note\n",
    " # note ' \" [\n",
    "#",
    "\n#x\n\n# y\n",
    ",",
    ", ",
    "[",
    "]",
    "{ ",
    " }",
    "=",
    " = ",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "a = 1\n",
    "[ x . 'y' ]\n",
    "[[z]]\n",
    "b.\"c d\" = [ [1,2],\n{ k=1 } ]\n",
    "[\n# in\n1 # one\n,2]",
    "\\",
    "é",
    "0x1f",
];

/// Cases of each property: `PROPTEST_CASES`, or as many as a test run has time for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(5_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_specs_keep_their_meaning(
        spec in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..4, proptest::sample::select(&PIECES[..])), 1..4),
    ) {
        let mut text: Vec<char> = spec.get(&SPECS).1.chars().collect();
        for (at, length, piece) in changes {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        judge(&text.into_iter().collect::<String>());
    }

    #[test]
    fn arbitrary_pieces_keep_their_meaning(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)) {
        judge(&pieces.concat());
    }
}
