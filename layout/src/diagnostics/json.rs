//! Diagnostics for programs: one object with a list, positions in Unicode scalars from 1.

use serde_json::{Value, json};

use super::position::fit;
use super::{Diagnostic, Diagnostics, Position, Span};

impl Diagnostics {
    /// `{"diagnostics": [{file, path, line, column, severity, code, message, help, related: [{line, column, message}]}]}`.
    pub fn to_json(&self) -> Value {
        let list: Vec<_> = self.list.iter().map(|diagnostic| self.one(diagnostic)).collect();
        json!({ "diagnostics": list })
    }

    /// Where a span begins, as people count it.
    pub fn position(&self, span: &Span) -> Position {
        Position::of(&self.source, &self.lines, fit(&self.source, span).start)
    }

    fn one(&self, diagnostic: &Diagnostic) -> Value {
        let Diagnostic { severity, code, path, span, message, help, related } = diagnostic;
        let at = self.position(span);
        let related: Vec<_> = related
            .iter()
            .map(|related| {
                let at = self.position(&related.span);
                json!({ "line": at.line, "column": at.column, "message": related.message })
            })
            .collect();
        json!({
            "file": self.file,
            "path": path,
            "line": at.line,
            "column": at.column,
            "severity": severity.as_str(),
            "code": code,
            "message": message,
            "help": help,
            "related": related,
        })
    }
}
