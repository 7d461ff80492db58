//! Diagnostics for people, in the look of rustc and cargo.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::position::{fit, line_end, line_start};
use super::{Diagnostic, Diagnostics, Position, Severity, Span};

/// The longest line that is shown, in bytes: in a longer one a caret is of no use, and drawing it takes long.
const WIDEST: usize = 4096;

impl Diagnostics {
    /// All of them as text, an empty line between two; the caret's label is the dotted path. Ends in a newline unless
    /// there are none.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for diagnostic in &self.list {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&self.render_one(&renderer, diagnostic));
            text.push('\n');
        }
        text
    }

    fn render_one(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let Diagnostic { severity, code, path, span, message, help, related } = diagnostic;
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let primary = self.first_line(span);
        let related: Vec<_> =
            related.iter().map(|related| (self.first_line(&related.span), related.message.as_str())).collect();

        // The renderer walks its whole source for each snippet: it gets the lines in question alone.
        let first = related.iter().map(|(span, _)| span.start).fold(primary.start, usize::min);
        let last = related.iter().map(|(span, _)| span.end).fold(primary.end, usize::max);
        let window = line_start(&self.source, first)..line_end(&self.source, last);
        let inside = |span: &Span| span.start - window.start..span.end - window.start;

        let shown = &self.source[window.clone()];
        let title = level.primary_title(message.as_str()).id(*code);
        let mut group = if shown.lines().any(|line| line.len() > WIDEST) {
            let at = Position::of(&self.source, &self.lines, primary.start);
            title.element(Origin::path(self.file.as_str()).line(at.line).char_column(at.column))
        } else {
            let mut snippet = Snippet::source(shown)
                .line_start(Position::of(&self.source, &self.lines, window.start).line)
                .path(self.file.as_str())
                .annotation(AnnotationKind::Primary.span(inside(&primary)).label(path.as_str()));
            for (span, message) in &related {
                snippet = snippet.annotation(AnnotationKind::Context.span(inside(span)).label(*message));
            }
            title.element(snippet)
        };
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// A span as far as its first line goes: a caret under a whole table shows nothing.
    fn first_line(&self, span: &Span) -> Span {
        let span = fit(&self.source, span);
        let end = line_end(&self.source, span.start);
        span.start..span.end.min(end).max(span.start)
    }
}
