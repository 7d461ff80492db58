//! The tables of the schema, one after the other, and documents with something at one place.

use dmhost_layout::reference::schema;
use serde_json::Value;
use toml::Table as Toml;

use super::repository;

/// A table of the spec.
pub(crate) struct Table {
    /// The keys that lead to it; `NAME` is a name that the user chooses, `0` an item of an array.
    pub(crate) path: Vec<String>,
    /// What may stand in it.
    pub(crate) schema: Value,
}

impl Table {
    /// Its keys with their schemas.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        let properties = self.schema["properties"].as_object().expect("a table has properties");
        properties.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether it is a `settings`, whose keys are the engine's.
    pub(crate) fn is_settings(&self) -> bool {
        self.path.last().is_some_and(|key| key == "settings")
    }

    /// The way to one of its keys, with these names for `NAME`.
    pub(crate) fn way(&self, key: Option<&str>, interface: &str, daemon: &str) -> Vec<String> {
        let name = |at: usize| if self.path[at - 1] == "interfaces" { interface } else { daemon };
        let steps = self.path.iter().enumerate();
        let steps = steps.map(|(at, step)| if step == "NAME" { name(at) } else { step.as_str() }.to_owned());
        steps.chain(key.map(str::to_owned)).collect()
    }
}

/// Every table, the whole spec first.
pub(crate) fn tables() -> Vec<Table> {
    fn gather(path: &[String], schema: &Value, all: &mut Vec<Table>) {
        all.push(Table { path: path.to_vec(), schema: schema.clone() });
        let settings = path.last().is_some_and(|last| last == "settings");
        for (key, value) in schema["properties"].as_object().into_iter().flatten().filter(|_| !settings) {
            let below = |step: Option<&str>| {
                [path, std::slice::from_ref(key), &step.map(str::to_owned).into_iter().collect::<Vec<_>>()].concat()
            };
            if value["additionalProperties"]["properties"].is_object() {
                gather(&below(Some("NAME")), &value["additionalProperties"], all);
            } else if value["items"]["properties"].is_object() {
                gather(&below(Some("0")), &value["items"], all);
            } else if value["properties"].is_object() {
                gather(&below(None), value, all);
            }
        }
    }
    let mut all = Vec::new();
    gather(&[], &schema(), &mut all);
    assert!(all.len() > 15, "{} tables", all.len());
    all
}

/// The dotted path of a way, as diagnostics have it.
pub(crate) fn dotted(way: &[String]) -> String {
    way.iter().fold(String::new(), |path, step| match step.as_str() {
        "0" => format!("{path}[0]"),
        step if path.is_empty() => step.to_owned(),
        step => format!("{path}.{step}"),
    })
}

/// Puts a value into a document, and what must be there on the way.
pub(crate) fn put(document: &mut Toml, way: &[String], value: toml::Value) {
    let [step, rest @ ..] = way else { unreachable!("a way has a step") };
    match rest {
        [] => {
            document.insert(step.clone(), value);
        }
        [item, rest @ ..] if item == "0" => {
            let empty = || toml::Value::Array(vec![Toml::new().into()]);
            let items = document.entry(step).or_insert_with(empty).as_array_mut().expect("an array on the way");
            match rest {
                [] => items[0] = value,
                _ => put(items[0].as_table_mut().expect("a table in the array"), rest, value),
            }
        }
        _ => {
            let below = document.entry(step).or_insert_with(|| Toml::new().into());
            put(below.as_table_mut().expect("a table on the way"), rest, value);
        }
    }
}

/// A document with this value alone at the end of the way, and what is needed for it to be read at all.
pub(crate) fn alone(way: &[String], value: toml::Value) -> String {
    let mut document = Toml::from_iter([("version".to_owned(), toml::Value::Integer(1))]);
    match way {
        [] => document = value.try_into().expect("the whole is a table"),
        _ => put(&mut document, way, value),
    }
    // Values of the defaults are judged where they count: in a daemon.
    if way.first().is_some_and(|first| first == "defaults") {
        let interfaces = toml::Value::Array(vec!["web".into()]);
        put(&mut document, &["daemons", "web", "interfaces"].map(str::to_owned), interfaces);
    }
    toml::to_string(&document).expect("a document can be written")
}

/// The example that has every key.
pub(crate) fn atlas() -> Toml {
    let text = fs_err::read_to_string(repository("examples/atlas.toml")).expect("an example is text");
    toml::from_str(&text).expect("an example is TOML")
}
