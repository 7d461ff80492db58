//! The one place that writes to the streams: results on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Color, Output};
use crate::failure::Failure;

/// How this run speaks.
#[derive(Debug)]
pub(crate) struct Terminal {
    output: Output,
    color_out: bool,
    color_err: bool,
    live: bool,
}

impl Terminal {
    /// Looks at the streams and at NO_COLOR (no-color.org) once.
    pub(crate) fn new(output: Output, color: Color) -> Self {
        let wanted = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            output,
            color_out: wanted(std::io::stdout().is_terminal()),
            color_err: wanted(std::io::stderr().is_terminal()),
            live: std::io::stderr().is_terminal(),
        }
    }

    /// Whether results are JSON.
    pub(crate) fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether results may be coloured.
    pub(crate) fn color_out(&self) -> bool {
        self.color_out
    }

    /// Whether messages may be coloured.
    pub(crate) fn color_err(&self) -> bool {
        self.color_err
    }

    /// A result, on standard output. A reader that went away (`| head`) has what it wants: the answer stays what it is.
    ///
    /// # Errors
    /// If the result cannot be written: a full disk, for example.
    #[expect(clippy::unused_self, reason = "who has no terminal cannot write")]
    pub(crate) fn print(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut stream = std::io::stdout().lock();
        let text = text.as_ref();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        match write!(stream, "{text}{end}").and_then(|()| stream.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::Machine(anyhow::Error::from(error).context("cannot write to standard output")))
            }
            _ => Ok(()),
        }
    }

    /// A message, on standard error. Where even that is closed there is nobody to tell.
    #[expect(clippy::unused_self, reason = "who has no terminal cannot write")]
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        let text = text.as_ref().trim_end();
        if !text.is_empty() {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// A step of long work: a moving line on a terminal, one plain line at its end in a pipe.
    pub(crate) fn step(&self, name: impl Into<String>) -> Step<'_> {
        let name = name.into();
        let bar = self.live.then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.clone());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Step { terminal: self, name, bar, since: Instant::now() }
    }
}

/// Work under way.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    terminal: &'a Terminal,
    name: String,
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Step<'_> {
    /// Ends the step with what came of it; empty: its name alone.
    pub(crate) fn done(mut self, result: impl AsRef<str>) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let result = result.as_ref();
        let gap = if result.is_empty() { "" } else { ": " };
        self.terminal.say(format!("{}{gap}{result} ({:.1} s)", self.name, self.since.elapsed().as_secs_f64()));
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
