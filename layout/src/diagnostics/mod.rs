//! What is wrong with a spec, and where: [`Diagnostic`]s over one file's text.
//!
//! The reader ([`crate::spec`]) and the resolver ([`crate::plan`]) both find problems; a [`Diagnostics`] holds them in
//! source order with the text they point into, and gives them out as rustc-like text or as JSON.

mod codes;
mod json;
mod position;
mod text;

use std::ops::Range;

pub use codes::{Code, codes, explain};
pub use position::Position;

/// A byte range of the spec's text.
pub type Span = Range<usize>;

/// Whether a plan can be made all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No plan is made.
    Error,
    /// The plan is made, and probably is not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the plan.
    pub severity: Severity,
    /// Stable, kebab-case, for example `vlan-id-out-of-range`.
    pub code: &'static str,
    /// The dotted TOML path of the value, for example `interfaces.web.vlan.id`; empty for the file as a whole.
    pub path: String,
    /// Where it is.
    pub span: Span,
    /// What is wrong: one line, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
}

/// Another place that a problem has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where it is.
    pub span: Span,
    /// What is there.
    pub message: String,
}

impl Diagnostic {
    /// An error without help or a second place.
    pub fn error(code: &'static str, path: impl Into<String>, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            path: path.into(),
            span,
            message: message.into(),
            help: None,
            related: Vec::new(),
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// With a text that says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place.
    #[must_use]
    pub fn related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { span, message: message.into() });
        self
    }
}

/// All problems of one file, in source order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    source: String,
    /// Where each line begins.
    lines: Vec<usize>,
    list: Vec<Diagnostic>,
}

/// The most problems that are told of one file. What follows is counted in one more.
pub const MOST: usize = 1000;

impl Diagnostics {
    /// Problems of `source`, which came from `file`. They are put in source order, and repetitions are dropped.
    pub fn new(file: impl Into<String>, source: impl Into<String>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by(|a, b| (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code)));
        list.dedup();
        if let Some(rest) = list.get(MOST..).filter(|rest| !rest.is_empty()) {
            let worst = rest.iter().map(|diagnostic| diagnostic.severity).min().unwrap_or(Severity::Error);
            let message = format!("{} more problems follow", rest.len());
            let mut more = Diagnostic::error("more", "", rest[0].span.clone(), message).help("put these right first");
            more.severity = worst;
            list.truncate(MOST);
            list.push(more);
        }
        let source = source.into();
        Self { file: file.into(), lines: position::lines(&source), source, list }
    }

    /// One error for a file that is no text, such as invalid UTF-8.
    pub fn whole_file(file: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(file, "", vec![Diagnostic::error(code, "", 0..0, message)])
    }

    /// The file's name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text that spans point into.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether any of them stops the plan.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there are none, not even warnings.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, warnings among them.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them in source order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }
}
