//! The list of codes and the codes that snapshots show are the same: none without an explanation, none without a defect.

use std::collections::BTreeSet;
use std::path::Path;

use dmhost_layout::diagnostics::{codes, explain};
use fs_err as fs;

/// Codes shown at the beginning of a line, as `error[code]` or `warning[code]`.
fn shown(text: &str, found: &mut BTreeSet<String>) {
    for line in text.lines().map(str::trim_start) {
        let rest = line.strip_prefix("error[").or_else(|| line.strip_prefix("warning["));
        if let Some((code, _)) = rest.and_then(|rest| rest.split_once("]: ")) {
            found.insert(code.to_owned());
        }
    }
}

#[test]
fn every_code_is_explained_and_every_explanation_has_a_defect() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    // The last code has no file of its own: a test of tests/plan.rs makes a flood.
    let mut found = BTreeSet::from(["more".to_owned()]);
    shown(&fs::read_to_string(tests.join("defects.rs")).expect("the inline snapshots are text"), &mut found);
    for folder in ["defects", "lint"] {
        for entry in fs::read_dir(tests.join(folder)).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|extension| extension == "snap") {
                shown(&fs::read_to_string(path).expect("a snapshot is text"), &mut found);
            }
        }
    }
    let listed: BTreeSet<_> = codes().into_iter().map(|code| code.code.to_owned()).collect();
    assert_eq!(listed.len(), codes().len(), "no code is there twice");
    let unexplained: Vec<_> = found.difference(&listed).collect();
    let unshown: Vec<_> = listed.difference(&found).collect();
    assert!(unexplained.is_empty() && unshown.is_empty(), "not explained: {unexplained:?}; not shown: {unshown:?}");
}

#[test]
fn every_entry_has_all_its_parts() {
    for entry in codes() {
        assert_eq!(explain(entry.code), Some(entry));
        assert!(!entry.title.ends_with('.') && !entry.title.is_empty(), "{}", entry.code);
        assert!(entry.explanation.ends_with('.'), "{}", entry.code);
        assert!(!entry.example.is_empty(), "{}", entry.code);
    }
    assert_eq!(explain("no-such-code"), None);
}

#[test]
fn toml_examples_are_toml() {
    for entry in codes().into_iter().filter(|entry| !entry.example.starts_with(['{', '#'])) {
        let prose = ["dmhost ", "ExecStart="].into_iter().any(|start| entry.example.starts_with(start));
        let parsed = toml::from_str::<toml::Table>(entry.example);
        assert!(prose || parsed.is_ok(), "{}: {}", entry.code, entry.example);
    }
    for entry in codes().into_iter().filter(|entry| entry.example.starts_with('{')) {
        let json: serde_json::Value = serde_json::from_str(entry.example).expect("a JSON example is JSON");
        let reports = dmhost_layout::lint(&[("daemon.json", entry.example)]);
        assert!(json.is_object() && !reports[0].has_errors(), "{}: {}", entry.code, reports[0].render(false));
    }
}
