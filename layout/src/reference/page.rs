//! The page: a section for each table in the order of the spec, with a list of its keys and then each key by itself.

use serde_json::Value;

use super::prose;
use crate::engine::{KEYS, Key, OFFERED, Version, find};
use crate::plan::settings::{OWNED, owner_of};

/// What stands before the first section.
const OPENING: &str = "\
<!-- Made by `dmhost schema --markdown` from the doc comments in layout/src/spec. Do not edit: change those. -->

# The host spec

";

/// How to use the schema in an editor, and how to read the page.
const USE: &str = "
Every key stands in this page in the order of the file. *Required* means that a spec without the key is refused; for all
others the text says what their absence means. Blocks that are no whole spec are parts of [`examples/atlas.toml`](../examples/atlas.toml),
put in place of what it has there.

## In an editor

`dmhost schema` prints this page's content as a JSON Schema (draft 2020-12); [`host-spec.schema.json`](host-spec.schema.json) is
its output. With it, an editor completes keys, shows their text and marks what is wrong by itself. Editors with
[taplo](https://taplo.tamasfe.dev) in them (Even Better TOML in VS Code, and others by its language server) take it from the first
line of the spec, a comment that names the schema's place:

```text
#:schema ./host-spec.schema.json
version = 1
```

Write the schema beside the spec with `dmhost schema > host-spec.schema.json`, and again when dmhost is newer. The schema sees
the form of each value; what does not fit together, such as an address beside its gateway, `dmhost check` tells.
";

/// The whole page.
pub(super) fn page(schema: &Value) -> String {
    let mut tables = Vec::new();
    gather("", schema, &mut tables);
    let mut out = OPENING.to_owned();
    out.push_str(&text(schema));
    out.push_str(USE);
    out.push_str("\n## Sections\n\n");
    for Table { path, array, .. } in &tables {
        let header = header(path, *array);
        out.push_str(&format!("{}- [`{header}`](#{})\n", "  ".repeat(level(path)), anchor(&header)));
    }
    keys(&mut out, "", schema);
    for Table { path, array, schema } in &tables {
        out.push_str(&format!("\n## `{}`\n\n{}", header(path, *array), text(schema)));
        if path.ends_with(".settings") {
            settings(&mut out, schema);
        } else {
            keys(&mut out, path, schema);
        }
    }
    out
}

/// A table of the spec: its dotted path with `NAME` for what the user chooses, and whether there are several, `[[..]]`.
struct Table<'s> {
    path: String,
    array: bool,
    schema: &'s Value,
}

/// All tables below this one, depth first. Those of `[defaults]` are the daemons'.
fn gather<'s>(path: &str, schema: &'s Value, tables: &mut Vec<Table<'s>>) {
    for (key, value) in properties(schema).filter(|_| path != "defaults" && !path.ends_with(".settings")) {
        let below = dotted(path, key);
        let (below, array, schema) =
            if let Some(of_names) = value.get("additionalProperties").filter(|of| of.is_object()) {
                (format!("{below}.NAME"), false, of_names)
            } else if let Some(items) = value.get("items").filter(|items| is_table(items)) {
                (below, true, items)
            } else if is_table(value) {
                (below, false, value)
            } else {
                continue;
            };
        tables.push(Table { path: below.clone(), array, schema });
        gather(&below, schema, tables);
    }
}

/// The list of a table's keys, and then each of them that is no table.
fn keys(out: &mut String, path: &str, schema: &Value) {
    let heading = |key: &str| dotted(path, key);
    out.push_str("\n| key | value | |\n|---|---|---|\n");
    for (key, value) in properties(schema) {
        let absence = match value.get("default") {
            _ if is_required(schema, key) => "required".to_owned(),
            Some(default) => format!("default `{}`", toml(default)),
            None => String::new(),
        };
        let target = anchor(&target(path, key, value));
        out.push_str(&format!("| [`{key}`](#{target}) | {} | {absence} |\n", kind(value)));
    }
    let own = |value: &Value| path == "defaults" || !(is_table(value) || value.get("items").is_some_and(is_table));
    for (key, value) in properties(schema).filter(|(_, value)| own(value)) {
        let required = if is_required(schema, key) { " Required." } else { "" };
        out.push_str(&format!("\n### `{}`\n\n", heading(key)));
        out.push_str(&format!("Value: {}.{required}\n\n{}", kind(value), text(value)));
        if path == "defaults" && is_table(value) {
            let same = format!("daemons.NAME.{key}");
            out.push_str(&format!("\nIts keys are those of [`{same}`](#{}).\n", anchor(&same)));
        }
    }
}

/// The keys of daemon.json: those that a user may write, and those that dmhost does.
fn settings(out: &mut String, schema: &Value) {
    let engines: Vec<_> = OFFERED.iter().map(|(version, how)| format!("{version} (`{how}`)")).collect();
    out.push_str(&format!(
        "\nA key without engines beside it is a key of all: of {}. One that the host's engine does not have is refused.\n",
        engines.join(", ")
    ));
    out.push_str("\n| key | value | engines |\n|---|---|---|\n");
    for (key, value) in properties(schema) {
        out.push_str(&format!("| `{key}` | {} | {} |\n", kind(value), having(find(key))));
    }
    out.push_str("\nWhat dmhost decides is refused here:\n\n| key | instead |\n|---|---|\n");
    for owned in OWNED {
        out.push_str(&format!("| `{}` | {} |\n", owned.key, owned.instead));
    }
    let ignored =
        KEYS.iter().filter(|key| owner_of(key.name).is_none()).filter_map(|key| Some((key.name, key.ignored?)));
    out.push_str("\nAnd so is what an engine reads and does nothing with:\n\n| key | instead |\n|---|---|\n");
    for (name, instead) in ignored {
        out.push_str(&format!("| `{name}` | {instead} |\n"));
    }
}

/// The engines that read a key and use it; empty: all of them.
fn having(lines: &[Key]) -> String {
    let used = |version: Version| lines.iter().any(|line| line.ignored.is_none() && line.versions.hold(version));
    let engines: Vec<_> = OFFERED.iter().filter(|(version, _)| used(*version)).map(|(version, _)| version).collect();
    if engines.len() == OFFERED.len() {
        return String::new();
    }
    engines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The heading that a key's line leads to.
fn target(path: &str, key: &str, value: &Value) -> String {
    let own = dotted(path, key);
    if value.get("additionalProperties").is_some_and(Value::is_object) { format!("{own}.NAME") } else { own }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn is_required(schema: &Value, key: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|required| required == key))
}

fn is_table(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// How a table is headed in a spec, or where it stands if it is written in one line.
fn header(path: &str, array: bool) -> String {
    let inline = path.split('.').count() > 2;
    match (array, inline) {
        (true, _) => format!("[[{path}]]"),
        (false, true) => path.to_owned(),
        (false, false) => format!("[{path}]"),
    }
}

/// How deep a table is in the list of sections: names of the user's own do not count.
fn level(path: &str) -> usize {
    path.split('.').filter(|step| *step != "NAME").count() - 1
}

/// The anchor that a heading gets where Markdown is shown: small letters, digits, `_` and `-` are left of it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    heading.chars().filter(kept).map(|c| c.to_ascii_lowercase()).collect()
}

/// What a value is, in words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<_> = words.iter().map(|word| format!("`{}`", toml(word))).collect();
        return words.join(", ");
    }
    if let Some(kinds) = schema.get("anyOf").and_then(Value::as_array) {
        return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let bound = |key: &str| schema.get(key).map(Value::to_string);
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "string".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some(number @ ("integer" | "number")) => match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("{number} from {least} to {most}"),
            (Some(least), None) => format!("{number} from {least}"),
            (None, _) => number.to_owned(),
        },
        Some("array") => {
            let items =
                schema.get("items").map_or("values", |items| if is_table(items) { "tables" } else { "strings" });
            format!("array of {items}")
        }
        _ if schema.get("propertyNames").is_some() => "tables by name".to_owned(),
        _ => "table".to_owned(),
    }
}

/// A value as TOML has it: for all that a default or a word can be, JSON writes the same.
fn toml(value: &Value) -> String {
    value.to_string()
}

/// The text of a table or a key, with what absence means set off.
fn text(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut out = String::new();
    for line in text.lines() {
        match ["Absent", "Example"].into_iter().find_map(|word| Some((word, prose::after(line, word)?))) {
            Some((word, rest)) => out.push_str(&format!("**{word}:** {rest}\n")),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}
