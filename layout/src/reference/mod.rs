//! What a spec may say, for editors and for people: the schema of [`HostSpec`], and a page made of that schema.
//!
//! Both come from the types of [`crate::spec`] and their doc comments. `tests/reference.rs` holds them against the reader.

mod page;
mod prose;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::spec::HostSpec;

/// The JSON Schema of a host spec (draft 2020-12). It stands alone: every table is written out where it is used, since
/// editors that know an older draft ignore what stands beside a reference.
///
/// It refuses what is wrong by itself: unknown and missing keys, types, ranges, forms of addresses and names. What is wrong
/// only beside something else, `dmhost check` tells.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<HostSpec>().to_value();
    polish(&mut schema);
    for (at, key) in ["$schema", "title", "description"].into_iter().enumerate() {
        if let Some(object) = schema.as_object_mut()
            && let Some(value) = object.shift_remove(key)
        {
            object.shift_insert(at, key.to_owned(), value);
        }
    }
    schema
}

/// The page of every key, as Markdown.
pub fn markdown() -> String {
    page::page(&schema())
}

/// Makes of what `schemars` gives what editors show: whole paragraphs, examples as values, no formats of Rust's numbers.
fn polish(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(polish);
            if object.get("type").is_some() || object.get("anyOf").is_some() || object.get("enum").is_some() {
                describe(object);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(polish),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn describe(object: &mut Map<String, Value>) {
    if object.get("format").is_some_and(Value::is_string) {
        object.shift_remove("format");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = prose::paragraphs(text);
        if let Some(example) = prose::example(text) {
            object.insert("examples".to_owned(), Value::Array(vec![example]));
        }
    }
}
