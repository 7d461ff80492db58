//! The schema takes every good spec of the repository, and of the bad ones refuses those that are bad in shape.

use std::collections::{BTreeMap, BTreeSet};

use dmhost_layout::plan_from_toml;
use dmhost_layout::reference::schema;
use fs_err as fs;
use jsonschema::Validator;
use serde_json::Value;

use super::repository;

/// Codes whose every problem the schema refuses, at its place.
const SEEN: &[&str] = &[
    "daemon-name",
    "daemon-name-reserved",
    "daemon-without-interface",
    "disk-size",
    "egress-syntax",
    "empty-string",
    "engine-key-ignored",
    "engine-type",
    "expect-target",
    "expose-protocol",
    "expose-syntax",
    "file-mode",
    "file-owner",
    "from-empty",
    "host-name",
    "interface-kind-missing",
    "interface-kind-twice",
    "interface-name",
    "interface-name-reserved",
    "interface-name-too-long",
    "interface-twice",
    "mac-address",
    "member-missing",
    "missing-key",
    "network-name",
    "nic-match-missing",
    "nic-match-twice",
    "nic-name",
    "nic-path",
    "number-out-of-range",
    "package-name",
    "port-out-of-range",
    "resources-out-of-range",
    "settings-key-owned",
    "unknown-key",
    "unknown-value",
    "user-name",
    "version-missing",
    "version-newer",
    "version-unknown",
    "vlan-id-out-of-range",
    "wrong-type",
];

/// Codes some of whose problems it refuses: the rest take a parser (base64, IPv6), or another key beside them.
const PARTLY: &[&str] = &[
    "address",
    "address-duplicate",
    "api-name",
    "authorized-key",
    "cidr",
    "egress-overlap",
    "engine-key-unknown",
    "engine-value",
    "expect-vantage",
    "expose-overlap",
    "file-path",
    "network-label",
    "no-effect",
    "not-yet",
    "package-duplicate",
    "size",
];

fn specs(folder: &str) -> BTreeMap<String, String> {
    let files = fs::read_dir(repository(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a spec is text"))
    };
    files.map(read).collect()
}

fn validator() -> Validator {
    let schema = schema();
    jsonschema::meta::validate(&schema).expect("a schema of the draft that it names");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// The dotted paths of what the schema refuses; `None` if the text is no TOML.
fn refused(validator: &Validator, text: &str) -> Option<Vec<String>> {
    let json: Value = serde_json::to_value(toml::from_str::<toml::Table>(text).ok()?).expect("TOML is JSON");
    let dotted = |pointer: String| {
        pointer.split('/').skip(1).fold(String::new(), |path, step| match step.parse::<usize>() {
            Ok(at) => format!("{path}[{at}]"),
            Err(_) if path.is_empty() => step.to_owned(),
            Err(_) => format!("{path}.{step}"),
        })
    };
    Some(validator.iter_errors(&json).map(|error| dotted(error.instance_path().to_string())).collect())
}

#[test]
fn every_good_spec_is_taken() {
    let validator = validator();
    for folder in ["examples", "layout/tests/scenarios"] {
        let all = specs(folder);
        assert!(!all.is_empty(), "{folder} holds no spec");
        for (name, text) in all {
            assert_eq!(refused(&validator, &text), Some(Vec::new()), "{folder}/{name}.toml");
        }
    }
}

/// Whether a refusal at `place` is one of the problem at `path`: there, above it or below. The whole is above its own keys.
fn is_of(place: &str, path: &str) -> bool {
    if place.is_empty() { !path.contains('.') } else { path.starts_with(place) || place.starts_with(path) }
}

#[test]
fn every_bad_shape_is_refused_where_it_is() {
    let validator = validator();
    let (mut seen, mut partly) = (BTreeSet::new(), BTreeSet::new());
    for (name, text) in specs("layout/tests/defects") {
        let diagnostics = plan_from_toml(&name, &text).1;
        let codes: BTreeSet<_> = diagnostics.iter().map(|one| one.code).collect();
        let Some(places) = refused(&validator, &text) else {
            // A number beyond 64 bits is one that no parser of TOML hands on.
            let beyond = ["toml-syntax", "number-out-of-range"].iter().any(|code| codes.contains(code));
            assert!(beyond, "{name} is no TOML, and the reader says {codes:?}");
            continue;
        };
        for one in diagnostics.iter() {
            let path = one.path.replace('"', "");
            let refused = places.iter().any(|place| is_of(place, &path));
            if SEEN.contains(&one.code) {
                assert!(refused, "{name}: the schema does not see {} at {}, only {places:?}", one.code, one.path);
                seen.insert(one.code);
            } else if PARTLY.contains(&one.code) && refused {
                partly.insert(one.code);
            }
        }
        let of_shape = codes.iter().any(|code| SEEN.contains(code) || PARTLY.contains(code));
        assert!(of_shape || places.is_empty(), "{name}: nothing of shape is wrong, and the schema refuses {places:?}");
    }
    assert_eq!(seen, SEEN.iter().copied().collect(), "a defect for each code that is seen");
    assert_eq!(partly, PARTLY.iter().copied().collect(), "a defect for each code that is seen in part");
}
