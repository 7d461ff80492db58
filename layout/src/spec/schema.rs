//! How the spec's types look to `schemars`: a field is its value, and names of tables are the user's.
//!
//! A key is required unless its field says `#[schemars(default)]`. The reader is written by hand and knows nothing of
//! this; `tests/reference.rs` holds the two against each other, table by table.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::pattern;
use super::place::{Field, List};
use super::settings::Settings;
use super::{Daemon, Expect, Interface};
use crate::engine::{KEYS, Key, OFFERED, Shape};
use crate::plan::settings::owner_of;

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// What is written twice in a list is reported, whatever it is.
impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>(), "uniqueItems": true })
    }
}

/// Every key that the engine reads and dmhost does not own.
impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What one engine alone has is completed for all: the reader knows which engine the host has.
        let offered = |key: &&Key| OFFERED.iter().any(|(version, _)| key.versions.hold(*version));
        let free = KEYS.iter().filter(offered).filter(|key| key.ignored.is_none() && owner_of(key.name).is_none());
        let properties: Map<_, _> = free.map(|key| (key.name.to_owned(), shape(key.shape))).collect();
        json_schema!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "minProperties": 1,
        })
    }
}

/// A value of daemon.json. What stands inside a table is described and not closed: dockerd reads `Soft` and `soft` alike.
fn shape(shape: Shape) -> Value {
    let string = || json!({ "type": "string" });
    let map = |of: Value| json!({ "type": "object", "additionalProperties": of });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let table = |properties: Value| json!({ "type": "object", "properties": properties });
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer { least } => json!({ "type": "integer", "minimum": least }),
        Shape::String | Shape::Address | Shape::Size => string(),
        Shape::OneOf(words) => json!({ "enum": words }),
        Shape::Addresses | Shape::Strings => list(string()),
        Shape::MapOfStrings => map(string()),
        Shape::MapOfBools => map(json!({ "type": "boolean" })),
        Shape::MapOfStringMaps => map(map(string())),
        Shape::Pools => list(table(json!({ "base": string(), "size": { "type": "integer", "minimum": 1 } }))),
        Shape::Ulimits => {
            let number = json!({ "type": "integer", "minimum": -1 });
            map(table(json!({ "Name": string(), "Soft": number, "Hard": number })))
        }
        Shape::Runtimes => map(table(json!({
            "path": string(),
            "runtimeArgs": list(string()),
            "runtimeType": string(),
            "options": { "type": "object" },
        }))),
        Shape::Builder => table(json!({
            "gc": self::shape(Shape::Collection),
            "entitlements": map(json!({ "type": "boolean" })),
            "history": self::shape(Shape::History),
        })),
        Shape::Collection => table(json!({
            "enabled": { "type": "boolean" },
            "defaultKeepStorage": string(),
            "defaultReservedSpace": string(),
            "defaultMaxUsedSpace": string(),
            "defaultMinFreeSpace": string(),
            "policy": self::shape(Shape::Policies),
        })),
        Shape::Policies => list(table(json!({
            "all": { "type": "boolean" },
            "keepStorage": string(),
            "reservedSpace": string(),
            "maxUsedSpace": string(),
            "minFreeSpace": string(),
        }))),
        Shape::History => table(json!({ "maxEntries": { "type": "integer", "minimum": 0 } })),
        Shape::Proxies => table(json!({ "http-proxy": string(), "https-proxy": string(), "no-proxy": string() })),
    }
}

/// `[interfaces.*]`.
pub(super) fn interfaces(generator: &mut SchemaGenerator) -> Schema {
    named(
        &json!({ "pattern": pattern::INTERFACE, "not": { "pattern": pattern::RESERVED_INTERFACE } }),
        &generator.subschema_for::<Interface>(),
    )
}

/// `[daemons.*]`.
pub(super) fn daemons(generator: &mut SchemaGenerator) -> Schema {
    named(
        &json!({ "pattern": pattern::DAEMON, "not": { "pattern": pattern::RESERVED_DAEMON } }),
        &generator.subschema_for::<Daemon>(),
    )
}

fn named(names: &Value, table: &Schema) -> Schema {
    json_schema!({ "type": "object", "propertyNames": names, "additionalProperties": table, "minProperties": 1 })
}

/// `[[expect]]`.
pub(super) fn expects(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": generator.subschema_for::<Expect>(), "minItems": 1 })
}

/// A string of this pattern, or several.
fn one_or_more(pattern: &str) -> Schema {
    let string = json!({ "type": "string", "pattern": pattern });
    json_schema!({ "anyOf": [string, { "type": "array", "items": string, "uniqueItems": true }] })
}

/// One range, or one of each IP version.
pub(super) fn ranges(_: &mut SchemaGenerator) -> Schema {
    one_or_more(pattern::CIDR)
}

/// One address, or one of each IP version.
pub(super) fn addresses(_: &mut SchemaGenerator) -> Schema {
    one_or_more(pattern::ADDRESS)
}

/// `any`, or where something may go.
pub(super) fn destinations(_: &mut SchemaGenerator) -> Schema {
    one_or_more(pattern::DESTINATION)
}

/// Puts the kinds of an interface beside its other keys, exactly one of which must be there. What `schemars` makes of a
/// flattened enum says the same in words that editors do not follow.
pub(super) fn one_kind(schema: &mut Schema) {
    let Some(Value::Array(kinds)) = schema.remove("oneOf") else { return };
    schema.remove("unevaluatedProperties");
    let mut properties = Map::new();
    let mut one_of = Vec::new();
    for mut kind in kinds {
        let about = kind.get("description").cloned();
        for (key, mut value) in
            kind.get_mut("properties").and_then(Value::as_object_mut).map(std::mem::take).into_iter().flatten()
        {
            one_of.push(json!({ "required": [key] }));
            if let (Some(value), Some(about)) = (value.as_object_mut(), &about) {
                value.insert("description".to_owned(), about.clone());
            }
            properties.insert(key, value);
        }
    }
    if let Some(Value::Object(own)) = schema.remove("properties") {
        properties.extend(own);
    }
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("oneOf".to_owned(), one_of.into());
    schema.insert("additionalProperties".to_owned(), false.into());
}
