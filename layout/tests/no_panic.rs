//! Whatever comes in, a report comes out: arbitrary bytes, and examples and defects with bytes changed.

use std::path::Path;
use std::sync::LazyLock;

use dmhost_layout::{lint, plan_from_bytes};
use fs_err as fs;
use proptest::prelude::*;

/// All specs there are: the examples and the defects.
static SPECS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut specs = Vec::new();
    for folder in [root.join("../examples"), root.join("tests/defects")] {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        specs.extend(paths.iter().map(|path| fs::read(path).expect("a spec can be read")));
    }
    specs
});

/// What specs are made of, so that changes hit something.
const PIECES: [&str; 32] = [
    "\n",
    "\r\n",
    "\u{feff}",
    "ä",
    "🐳",
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "0",
    "-1",
    "4095",
    "65536",
    "/33",
    "::",
    "fe80::1",
    "198.51.100.0/24",
    "\"\"",
    "[]",
    "{}",
    "true",
    "nan",
    "1979-05-27",
    "\u{1b}[31m",
    "\0",
];

/// What daemon.json files and units are made of.
const LINTED: [&str; 28] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\n",
    "\u{feff}",
    "🐳",
    "\"hosts\": [\"tcp://[::]:2375\"]",
    "\"data-root\": \"/var/lib/docker\"",
    "\"default-address-pools\": [{\"base\": \"10.0.0.0/8\", \"size\": 24}]",
    "\"log-opts\": {\"max-size\": 1e99}",
    "\"bip\": \"::1/0\"",
    "null",
    "-0",
    "1e400",
    "\\ud800",
    "ExecStart=/usr/bin/dockerd ",
    "--config-file=/etc/%i.json ",
    "-H tcp://:1 ",
    "--bridge ",
    "$OPTS ",
    "EnvironmentFile=env\n",
    "OPTS=",
    "\\\n",
    "'",
];

fn check(bytes: &[u8]) {
    let (plan, diagnostics) = plan_from_bytes("host.toml", bytes);
    assert_eq!(plan.is_none(), diagnostics.has_errors());
    let json = diagnostics.to_json();
    let list = json["diagnostics"].as_array().expect("a list");
    assert_eq!(list.len(), diagnostics.len());
    let starts: Vec<_> = diagnostics.iter().map(|one| one.span.start).collect();
    assert!(starts.is_sorted());
    let positions: Vec<_> = list.iter().map(|one| (one["line"].as_u64(), one["column"].as_u64())).collect();
    assert!(positions.is_sorted() && positions.iter().all(|(line, column)| *line >= Some(1) && *column >= Some(1)));
    let text = diagnostics.render(false);
    assert_eq!(text.is_empty(), diagnostics.is_empty());
    assert!(!text.contains('\u{1b}'), "a report speaks to no terminal");
    diagnostics.render(true);
}

/// Cases of each property: `PROPTEST_CASES`, or what makes 102,000 specs in all.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(34_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_get_a_report(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_pieces_get_a_report(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn arbitrary_files_are_linted(pieces in proptest::collection::vec(proptest::sample::select(&LINTED[..]), 0..40), cut in 0_usize..60) {
        let text = pieces.concat();
        let half = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
        let files = [("web.json", &text[..half]), ("docker@.service", &text[half..]), ("lab.json", text.as_str()), ("env", text.as_str())];
        for report in lint(&files) {
            report.render(false);
            report.to_json();
        }
    }

    #[test]
    fn changed_specs_get_a_report(
        spec in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, proptest::sample::select(&PIECES[..])), 1..5),
    ) {
        let mut bytes = spec.get(&SPECS).clone();
        for (at, length, piece) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, piece.bytes());
        }
        check(&bytes);
    }
}
