//! The reader is written by hand and the schema is derived: table by table, they know the same keys, types, words and
//! ranges, and require the same.

use std::collections::BTreeSet;

use dmhost_layout::diagnostics::Diagnostic;
use dmhost_layout::engine::{KEYS, Key, OFFERED};
use dmhost_layout::plan::settings::owner_of;
use dmhost_layout::plan_from_toml;
use serde_json::Value;
use toml::Table as Toml;

use super::tables::{Table, alone, dotted, tables};

/// A word that is near to none.
const NOBODY: &str = "????????????????????????";

/// What the reader and the plan say of a document.
fn said(text: &str) -> Vec<Diagnostic> {
    plan_from_toml("host.toml", text).1.iter().cloned().collect()
}

/// Words between backticks.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn way(table: &Table, key: Option<&str>) -> Vec<String> {
    table.way(key, "lan", "web")
}

#[test]
fn they_know_the_same_keys() {
    for table in tables().iter().filter(|table| !table.is_settings()) {
        let mut unknown = Toml::from_iter([(NOBODY.to_owned(), 1.into())]);
        if table.path.is_empty() {
            unknown.insert("version".to_owned(), 1.into());
        }
        let path = dotted(&way(table, None));
        let all = said(&alone(&way(table, None), unknown.into()));
        let told = all
            .iter()
            .find(|one| one.code == "unknown-key" && one.path.starts_with(&path) && one.path.contains(NOBODY));
        let help = told.and_then(|one| one.help.as_deref()).unwrap_or_else(|| panic!("{path} takes any key: {all:?}"));
        assert!(help.starts_with("known keys: ") && !help.ends_with("more"), "{path}: {help}");
        let known: BTreeSet<_> = table.properties().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(words(help), known, "the reader's keys of `{path}`, and the schema's");
        assert_eq!(table.schema["additionalProperties"], false, "`{path}` is closed");
    }
}

#[test]
fn settings_are_what_the_engine_reads_and_dmhost_does_not_own() {
    for table in tables().iter().filter(|table| table.is_settings()) {
        let names: BTreeSet<_> = table.properties().map(|(key, _)| key).collect();
        let offered = |key: &&Key| OFFERED.iter().any(|(version, _)| key.versions.hold(*version));
        let free = |key: &&Key| key.ignored.is_none() && owner_of(key.name).is_none();
        assert_eq!(names, KEYS.iter().filter(offered).filter(free).map(|key| key.name).collect());
        for key in KEYS {
            // Without a `[host]` in the probe any engine may be meant.
            let refused = said(&alone(&way(table, Some(key.name)), 1.into()));
            let codes = ["settings-key-owned", "engine-key-ignored", "engine-key-unknown"];
            let refused = refused.iter().any(|one| codes.contains(&one.code));
            assert_eq!(refused, !names.contains(key.name), "{}", key.name);
        }
        assert_eq!(table.schema["additionalProperties"], false);
    }
}

/// A value of every type that TOML has and the reader tells apart.
fn probes() -> Vec<(&'static str, toml::Value)> {
    let table = || toml::Value::from(Toml::from_iter([(NOBODY.to_owned(), true.into())]));
    vec![
        ("string", NOBODY.into()),
        ("integer", 7.into()),
        ("float", 1.5.into()),
        ("boolean", true.into()),
        ("datetime", toml::Value::Datetime("2026-01-01".parse().expect("a date"))),
        ("strings", vec![NOBODY].into()),
        ("tables", toml::Value::Array(vec![table()])),
        ("table", table()),
    ]
}

/// The names of the probes that a schema takes by type.
fn types(schema: &Value) -> BTreeSet<&'static str> {
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().flat_map(types).collect();
    }
    match schema["type"].as_str().expect("a key has a type") {
        "string" => BTreeSet::from(["string"]),
        "integer" => BTreeSet::from(["integer"]),
        "number" => BTreeSet::from(["integer", "float"]),
        "boolean" => BTreeSet::from(["boolean"]),
        "array" if schema["items"]["type"] == "string" => BTreeSet::from(["strings"]),
        "array" if schema["items"]["type"] == "object" => BTreeSet::from(["tables"]),
        "object" => BTreeSet::from(["table"]),
        other => panic!("no key is of type {other}: {schema}"),
    }
}

#[test]
fn they_take_the_same_types() {
    for table in tables().iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties() {
            let way = way(table, Some(key));
            let (path, item) = (dotted(&way), format!("{}[0]", dotted(&way)));
            let reads = |value: &toml::Value| {
                let all = said(&alone(&way, value.clone()));
                !all.iter().any(|one| one.code == "wrong-type" && (one.path == path || one.path == item))
            };
            let taken: BTreeSet<_> = probes().iter().filter(|(_, value)| reads(value)).map(|(name, _)| *name).collect();
            assert_eq!(taken, types(schema), "types of {path}: the reader's, and the schema's");
        }
    }
}

#[test]
fn they_require_the_same_keys() {
    for table in &tables() {
        let path = dotted(&way(table, None));
        let all = said(&alone(&way(table, None), Toml::new().into()));
        let here: Vec<_> = all.iter().filter(|one| one.path == path).collect();
        let missing: BTreeSet<_> = here
            .iter()
            .filter_map(|one| match one.code {
                "missing-key" => words(&one.message).into_iter().find(|word| *word != path),
                "version-missing" => Some("version".to_owned()),
                "daemon-without-interface" => Some("interfaces".to_owned()),
                _ => None,
            })
            .map(|word| word.trim_matches(['[', ']']).to_owned())
            .collect();
        let required = table.schema["required"].as_array().into_iter().flatten();
        let required: BTreeSet<_> = required.filter_map(Value::as_str).map(str::to_owned).collect();
        assert_eq!(missing, required, "what `{path}` must have: the reader's, and the schema's");
        let one_of = here.iter().any(|one| ["interface-kind-missing", "nic-match-missing"].contains(&one.code));
        assert_eq!(one_of, table.schema["oneOf"].is_array(), "whether `{path}` has one of several keys");
        for one in table.schema["oneOf"].as_array().into_iter().flatten() {
            let key = one["required"][0].as_str().expect("each of them names a key");
            assert!(table.properties().any(|(known, _)| known == key), "{path} has {key}");
        }
    }
}

#[test]
fn they_refuse_the_same_empty_tables_and_lists() {
    for table in &tables() {
        for (key, schema) in table.properties().filter(|_| !table.is_settings()) {
            let way = way(table, Some(key));
            let path = dotted(&way);
            let says = |value: toml::Value, codes: &[&str]| {
                let all = said(&alone(&way, value));
                all.iter().any(|one| one.path == path && (codes.is_empty() || codes.contains(&one.code)))
            };
            if types(schema).contains("table") {
                let least = schema["minProperties"] == 1;
                assert_eq!(says(Toml::new().into(), &["no-effect"]), least, "an empty {path}");
            } else if schema["type"] == "array" {
                let least = schema["minItems"] == 1;
                assert_eq!(says(toml::Value::Array(Vec::new()), &[]), least, "an empty {path}");
            }
        }
    }
}

#[test]
fn they_know_the_same_words() {
    let mut seen = 0;
    for table in tables().iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties() {
            let way = way(table, Some(key));
            let path = dotted(&way);
            let all = said(&alone(&way, NOBODY.into()));
            let told = all.iter().find(|one| one.code == "unknown-value" && one.path == path);
            let known = told.and_then(|one| one.help.as_deref()).map(words);
            let listed = schema["enum"].as_array().filter(|_| schema["type"] == "string");
            let listed = listed.map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            assert_eq!(known, listed, "the words of {path}: the plan's, and the schema's");
            seen += usize::from(known.is_some());
        }
    }
    assert!(seen > 8, "{seen} keys with words of their own");
}

#[test]
fn they_know_the_same_ranges() {
    let mut seen = 0;
    for table in tables().iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties().filter(|(_, schema)| schema["minimum"].is_number()) {
            let way = way(table, Some(key));
            let path = dotted(&way);
            let good = |value: toml::Value| {
                let all = said(&alone(&way, value));
                !all.iter().any(|one| one.path == path && one.code.ends_with("out-of-range"))
            };
            let bounds = (&schema["minimum"], &schema["maximum"]);
            if let (Some(least), Some(most)) = (bounds.0.as_i64(), bounds.1.as_i64()) {
                let found = [least - 1, least, most, most + 1].map(|value| good(value.into()));
                assert_eq!(found, [false, true, true, false], "{path} goes from {least} to {most}");
            } else {
                let least = bounds.0.as_f64().expect("a least number");
                let most = bounds.1.as_f64().expect("a most number");
                let found = [least / 2.0, least, most, most + 1.0].map(|value| good(value.into()));
                assert_eq!(found, [false, true, true, false], "{path} goes from {least} to {most}");
            }
            seen += 1;
        }
    }
    assert!(seen > 7, "{seen} keys with ranges");
}
