//! JSON as dockerd reads it: strict, the last of two equal keys, an empty file for `{}`.

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::Reports;
use crate::diagnostics::Diagnostic;
use crate::engine::{Member, Node, Value};
use crate::spec::words::{plain, quoted};

/// What JSON allows, and no more.
fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// The object of a file, if it is one.
pub(super) fn read(file: usize, text: &str, reports: &mut Reports<'_>) -> Option<Node> {
    // dockerd 26.1 takes a byte order mark away.
    let body = text.trim_start_matches('\u{feff}');
    let shift = text.len() - body.len();
    let empty = Node { span: 0..0, value: Value::Object(Vec::new()) };
    let report = &mut reports.all[file];
    let parsed = match parse_to_ast(body, &CollectOptions::default(), &strict()) {
        Ok(parsed) => parsed.value,
        Err(error) => {
            let range = error.range();
            let message = plain(&error.kind().to_string(), 200);
            let message = format!("this is no JSON: {}", lower_first(&message));
            let diagnostic = Diagnostic::error("json-syntax", "", range.start + shift..range.end + shift, message);
            report.push(diagnostic.help(
                "JSON has no comments, no comma before a closing bracket, and quotes around every key and string",
            ));
            return None;
        }
    };
    let node = parsed.map_or(empty, |value| node(&value, shift, report));
    if matches!(node.value, Value::Object(_) | Value::Null) {
        return Some(node);
    }
    let message = format!("expected a table, found {}", node.kind());
    report.push(Diagnostic::error("engine-type", "", node.span, message).help("put the keys between `{` and `}`"));
    None
}

fn node(value: &ast::Value<'_>, shift: usize, report: &mut Vec<Diagnostic>) -> Node {
    let (range, value) = match value {
        ast::Value::NullKeyword(null) => (null.range, Value::Null),
        ast::Value::BooleanLit(boolean) => (boolean.range, Value::Bool(boolean.value)),
        ast::Value::StringLit(text) => (text.range, Value::String(text.value.clone().into_owned())),
        ast::Value::NumberLit(number) => {
            // What serde_json takes for a number and does not fit is a float, as in Go.
            let parsed = serde_json::from_str(number.value).unwrap_or_else(|_| 0.into());
            (number.range, Value::Number(parsed))
        }
        ast::Value::Array(array) => {
            (array.range, Value::Array(array.elements.iter().map(|item| node(item, shift, report)).collect()))
        }
        ast::Value::Object(object) => {
            let mut members: Vec<Member> = Vec::new();
            for property in &object.properties {
                let range = match &property.name {
                    ObjectPropName::String(name) => name.range,
                    ObjectPropName::Word(name) => name.range,
                };
                let key_span = range.start + shift..range.end + shift;
                let key = property.name.as_str().to_owned();
                if let Some(first) = members.iter().find(|member| member.key == key) {
                    let message = format!("{} is there twice: dockerd takes the last and says nothing", quoted(&key));
                    let diagnostic = Diagnostic::error("json-duplicate-key", &key, key_span.clone(), message);
                    report.push(diagnostic.help("leave one of them out").related(first.key_span.clone(), "the first"));
                }
                members.push(Member { key, key_span, node: node(&property.value, shift, report) });
            }
            (object.range, Value::Object(members))
        }
    };
    Node { span: range.start + shift..range.end + shift, value }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
