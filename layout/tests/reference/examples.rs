//! Every key has a text that says what absence means and shows an example; examples plan, and defaults are what absence is.

use std::sync::LazyLock;

use dmhost_layout::diagnostics::Severity;
use dmhost_layout::reference::schema;
use dmhost_layout::{HostPlan, plan, plan_from_toml};
use jsonschema::Validator;
use serde_json::Value;
use toml::Table as Toml;

use super::tables::{Table, atlas, put, tables};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).expect("a schema"));

fn toml_of(value: &Value) -> toml::Value {
    toml::Value::try_from(value).expect("a value that TOML has")
}

/// Takes a document through the schema and the plan; only what is not made yet may be wrong.
fn planned(document: &Toml, what: &str) -> Option<HostPlan> {
    let json = serde_json::to_value(document).expect("TOML is JSON");
    let errors: Vec<_> = SCHEMA.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
    let text = toml::to_string(document).expect("a document can be written");
    let (plan, diagnostics) = plan_from_toml("host.toml", &text);
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error);
    let wrong = errors.filter(|one| one.code != "not-yet").count();
    assert_eq!(wrong, 0, "{what}\n{}", diagnostics.render(false));
    plan
}

/// The kinds of interfaces that are read and not planned yet.
const LATER: [&str; 4] = ["bond", "bridge", "macvlan", "ipvlan"];

/// A document in which this key of the table can stand, and the way to it.
fn around(table: &Table, key: &str) -> (Toml, Vec<String>) {
    let mut document = atlas();
    let steps = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Vec<_>>();
    let kind = table.path.get(2).map_or(key, String::as_str);
    let interface = table.path.first().is_some_and(|first| first == "interfaces");
    if interface && LATER.contains(&kind) {
        let all = tables();
        let interface = all.iter().find(|table| table.path == ["interfaces", "NAME"]).expect("a table of interfaces");
        let example = &interface.schema["properties"][kind]["examples"][0];
        let on = if example.get("members").is_some() { vec!["left", "right"] } else { vec!["left"] };
        for (at, name) in on.into_iter().enumerate() {
            put(&mut document, &steps(&["interfaces", name, "nic", "mac"]), format!("52:54:00:00:02:0{at}").into());
        }
        put(&mut document, &steps(&["interfaces", "team", kind]), toml_of(example));
        put(&mut document, &steps(&["interfaces", "team", "addresses"]), vec!["198.18.0.2/24"].into());
        return (document, table.way(Some(key), "team", "web"));
    }
    match (table.path.first().map(String::as_str), key) {
        (None, "interfaces") => {
            document.retain(|key, _| key == "version" || key == "host");
            document["host"].as_table_mut().expect("a table").remove("admin");
        }
        (Some("host"), "disk") => {
            document["daemons"]["web"].as_table_mut().expect("a table").remove("storage");
        }
        (Some("daemons"), _) if table.path.contains(&"networks".to_owned()) => {
            let subnet = &table.schema["properties"]["subnet"]["examples"][0];
            let network =
                Toml::from_iter([("name".to_owned(), "front".into()), ("subnet".to_owned(), toml_of(subnet))]);
            put(&mut document, &steps(&["daemons", "web", "networks", "0"]), network.into());
            if key == "parent" {
                // On the segment: without lists of ports, with a part of the interface's subnet.
                let web = document["daemons"]["web"].as_table_mut().expect("a table");
                web.retain(|key, _| key != "expose" && key != "egress");
                let text = "driver = \"ipvlan\"\nsubnet = \"198.51.100.0/24\"\nip-range = \"198.51.100.192/26\"";
                for (key, value) in text.parse::<Toml>().expect("TOML") {
                    put(&mut document, &steps(&["daemons", "web", "networks", "0", &key]), value);
                }
            }
        }
        (Some("daemons"), "pools") => {
            document["daemons"]["web"].as_table_mut().expect("a table").remove("routed");
        }
        (Some("daemons"), "routed") => {
            // A range of containers' own networks.
            let range = &table.schema["properties"]["routed"]["examples"][0][0];
            let pools = toml::Value::from(vec!["172.28.0.0/14".into(), toml_of(range)]);
            put(&mut document, &steps(&["daemons", "web", "pools"]), pools);
        }
        _ => {}
    }
    let nic = interface && kind == "nic";
    if nic && table.path.len() > 2 {
        put(&mut document, &steps(&["interfaces", "trunk", "nic"]), Toml::new().into());
    }
    let way = table.way(Some(key), if nic { "trunk" } else { "web" }, "web");
    (document, way)
}

#[test]
fn every_example_of_a_key_plans() {
    let mut seen = 0;
    for table in tables().iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties() {
            let what = format!("{}.{key}", table.path.join("."));
            let text = schema["description"].as_str().unwrap_or_else(|| panic!("{what} has a text"));
            let Some(example) = schema["examples"].get(0) else {
                assert!(text.contains("```toml"), "{what} has an example: {text}");
                continue;
            };
            assert!(text.contains(&format!("\n\nExample: `{key} = ")), "the example of {what} is its own: {text}");
            let (mut document, way) = around(table, key);
            put(&mut document, &way, toml_of(example));
            let later = table.path.first().is_some_and(|first| first == "interfaces")
                && (LATER.contains(&key) || table.path.get(2).is_some_and(|kind| LATER.contains(&kind.as_str())));
            assert_eq!(planned(&document, &what).is_none(), later, "{what}");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} examples");
}

#[test]
fn every_key_that_may_be_absent_says_what_that_means() {
    for table in tables().iter().filter(|table| !table.is_settings()) {
        let required =
            |key: &str| table.schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key));
        let kinds = |key: &str| {
            let one_of = table.schema["oneOf"].as_array().into_iter().flatten();
            table.path.len() == 2 && one_of.filter_map(|one| one["required"][0].as_str()).any(|kind| kind == key)
        };
        for (key, schema) in table.properties() {
            let text = schema["description"].as_str().expect("a text");
            let says = text.contains("\n\nAbsent: ");
            assert_eq!(says, !required(key) && !kinds(key), "{}.{key}: {text}", table.path.join("."));
            assert!(text.starts_with(char::is_uppercase) || text.starts_with('`'), "{text}");
        }
    }
}

#[test]
fn numbers_in_the_texts_are_those_that_are_judged_by() {
    let all = tables();
    let text = |path: &[&str], key: &str| {
        let table = all.iter().find(|table| table.path == path).unwrap_or_else(|| panic!("there is a table {path:?}"));
        table.schema["properties"][key]["description"].as_str().expect("a text").to_owned()
    };
    let says = |path: &[&str], key: &str, what: String| {
        let text = text(path, key);
        assert!(text.contains(&what), "{path:?} {key} says {what}: {text}");
    };
    let resources = ["daemons", "NAME", "resources"];
    says(&["host"], "disk", format!("{} GiB", plan::LEAST_DISK >> 30));
    says(&resources, "memory-max", format!("from {} MiB", plan::LEAST_MEMORY >> 20));
    says(&resources, "memory-max", format!("to {} TiB", plan::MOST_MEMORY >> 40));
    says(&["daemons", "NAME", "storage"], "quota", format!("from {} MiB", plan::LEAST_QUOTA >> 20));
    for path in [&["defaults"][..], &["daemons", "NAME"]] {
        says(path, "pools", format!("`{}` and `{}`", plan::DEFAULT_POOL_V4.base, plan::DEFAULT_POOL_V6.base));
    }
    for table in all.iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties().filter(|(_, schema)| schema["minimum"].is_number()) {
            let path: Vec<_> = table.path.iter().map(String::as_str).collect();
            says(&path, key, format!("{} to {}", schema["minimum"], schema["maximum"]));
        }
        for (key, schema) in
            table.properties().filter(|(_, schema)| schema["default"].is_string() || schema["default"].is_number())
        {
            let path: Vec<_> = table.path.iter().map(String::as_str).collect();
            says(&path, key, format!("\n\nAbsent: `{}`", schema["default"].to_string().trim_matches('"')));
        }
    }
}

#[test]
fn a_default_is_what_absence_is() {
    let mut seen = 0;
    for table in tables().iter().filter(|table| !table.is_settings()) {
        for (key, schema) in table.properties() {
            let Some(default) = schema.get("default") else { continue };
            let what = format!("{}.{key}", table.path.join("."));
            if LATER.contains(&table.path.last().map_or("", String::as_str)) {
                continue;
            }
            let (mut without, way) = around(table, key);
            let mut with = without.clone();
            put(&mut with, &way, toml_of(default));
            put(&mut without, &way, true.into());
            remove(&mut without, &way);
            let (with, without) = (planned(&with, &what), planned(&without, &what));
            assert!(with.is_some() && with == without, "{what} absent is {default}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen} defaults");
}

/// Takes out what stands at the end of a way.
fn remove(document: &mut Toml, way: &[String]) {
    let (last, before) = way.split_last().expect("a way has a step");
    let mut whole = toml::Value::Table(std::mem::take(document));
    let mut at = &mut whole;
    for step in before {
        at = match step.as_str() {
            "0" => &mut at[0],
            step => &mut at[step],
        };
    }
    at.as_table_mut().expect("a table at the end").remove(last);
    *document = whole.try_into().expect("the whole is a table");
}
