//! Values that containers are started with: runtimes and limits.

use super::node::{Member, Node, Value};
use super::shape::below;
use crate::diagnostics::Diagnostic;
use crate::spec::words::{nearest, quoted};

/// `runtimes`: a path with arguments, or a type with options.
pub(super) fn runtimes(node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    for Member { key, key_span, node } in node.members() {
        let given = |name: &str| {
            let found = node.members().iter().find(|member| member.key.eq_ignore_ascii_case(name));
            found.filter(|member| !matches!(&member.node.value, Value::Null) && member.node.as_str() != Some(""))
        };
        let (by_path, by_type) = (given("path"), given("runtimeType"));
        let refusal = if key == "runc" {
            ("the runtime `runc` is there by itself, and its name is taken", "use another name")
        } else if by_path.is_some() && by_type.is_some() {
            ("a runtime has a `path` or a `runtimeType`, not both", "leave one of them out")
        } else if by_path.is_none() && by_type.is_none() {
            ("a runtime has a `path` or a `runtimeType`", "write `path = \"/usr/local/bin/crun\"`")
        } else if by_type.is_some() && given("runtimeArgs").is_some() {
            ("`runtimeArgs` go with `path` alone", "write `options`, which go with `runtimeType`")
        } else if by_path.is_some() && given("options").is_some() {
            ("`options` go with `runtimeType` alone", "write `runtimeArgs`, which go with `path`")
        } else {
            continue;
        };
        let message = format!("{}: dockerd does not start", refusal.0);
        let diagnostic = Diagnostic::error("engine-value", below(path, key), key_span.clone(), message);
        report.push(diagnostic.help(refusal.1));
    }
}

/// Limits of setrlimit(2), as Docker names them.
const ULIMITS: [&str; 15] = [
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "stack",
];

/// `default-ulimits`: each under its own name, the soft limit within the hard one.
pub(super) fn ulimits(node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    for Member { key, key_span, node } in node.members() {
        let path = below(path, key);
        let given = |name: &str| {
            node.members().iter().find(|member| member.key.eq_ignore_ascii_case(name)).map(|member| &member.node)
        };
        let error = |span, message: String| Diagnostic::error("engine-value", path.clone(), span, message);
        if !ULIMITS.contains(&key.as_str()) && key != "sigpending" {
            let message = format!("there is no limit {}: no container starts with it", quoted(key));
            let help = match nearest(key, ULIMITS) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("limits: `{}`, `sigpending`", ULIMITS.join("`, `")),
            };
            report.push(error(key_span.clone(), message).help(help));
            continue;
        }
        match given("Name") {
            Some(name) if name.as_str() == Some(key) => {}
            Some(name) => {
                let message = format!("`Name` is another limit than {}", quoted(key));
                report.push(error(name.span.clone(), message).help(format!("write `Name = \"{key}\"`")));
            }
            None => {
                let message = format!("the limit {} has no `Name`: no container starts with it", quoted(key));
                report.push(error(key_span.clone(), message).help(format!("write `Name = \"{key}\"` too")));
            }
        }
        let (soft, hard) = (given("Soft").and_then(Node::as_i64), given("Hard").and_then(Node::as_i64));
        // -1 is "unlimited".
        if let (Some(soft), Some(hard), Some(at)) = (soft, hard, given("Soft"))
            && hard != -1
            && (soft > hard || soft == -1)
        {
            let message = "the soft limit is over the hard one: no container starts with it".to_owned();
            report.push(error(at.span.clone(), message).help("write a smaller `Soft` or a larger `Hard`"));
        }
    }
}
