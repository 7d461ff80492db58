//! The one place that writes to the streams: results on standard output, everything else on standard error.
//!
//! With `--output json` the result is one JSON value, and standard error has an event in each line.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

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
        let json = output == Output::Json;
        let error = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            output,
            color_out: wanted(std::io::stdout().is_terminal()),
            color_err: wanted(error) && !json,
            live: error && !dumb && !json,
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
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        let text = text.as_ref().trim_end();
        if text.is_empty() {
        } else if self.json() {
            self.event("message", json!({ "text": text }));
        } else {
            write_line(text);
        }
    }

    /// How the run failed, on standard error.
    pub(crate) fn fail(&self, failure: &Failure) {
        let text = failure.to_string();
        if self.json() && !text.is_empty() {
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            self.event("error", json!({ "message": text, "exit_code": failure.code() }));
        } else {
            self.say(text);
        }
    }

    /// With `--output json`, standard error is JSON too: an object in each line, `event` being its kind.
    #[expect(clippy::unused_self, reason = "who has no terminal cannot write")]
    pub(crate) fn event(&self, kind: &str, fields: Value) {
        let mut line = json!({ "event": kind });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        write_line(&line.to_string());
    }

    /// A step of long work: a moving line on a terminal, one plain line at its end in a pipe, events for programs.
    pub(crate) fn step(&self, name: impl Into<String>) -> Step<'_> {
        Step::new(self, name.into(), None)
    }

    /// A step whose place among the others is known: its index, from 0, and how many there are.
    pub(crate) fn step_of(&self, name: impl Into<String>, index: usize, count: usize) -> Step<'_> {
        Step::new(self, name.into(), Some((index, count)))
    }
}

fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How often a program hears of bytes, and a reader of a pipe.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(10);

/// Work under way.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    terminal: &'a Terminal,
    name: String,
    place: Option<(usize, usize)>,
    bar: Option<ProgressBar>,
    since: Instant,
    /// When bytes were last told of, by a line or an event.
    told: Instant,
}

impl<'a> Step<'a> {
    fn new(terminal: &'a Terminal, name: String, place: Option<(usize, usize)>) -> Self {
        let bar = terminal.live.then(|| {
            let bar = ProgressBar::new_spinner();
            // Written out, since a style of indicatif's goes by its own reading of the environment.
            let (dim, plain) = if terminal.color_err { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
            let template = format!("{{spinner}} {{wide_msg}} {dim}{{elapsed:>4}}{plain}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let now = Instant::now();
        let step = Self { terminal, name, place, bar, since: now, told: now };
        step.show("");
        if terminal.json() {
            terminal.event("step-started", step.fields());
        }
        step
    }

    fn fields(&self) -> Value {
        let Self { name, place, .. } = self;
        match place {
            Some((index, count)) => json!({ "step": name, "index": index, "count": count }),
            None => json!({ "step": name }),
        }
    }

    fn with(&self, more: &Value) -> Value {
        let mut fields = self.fields();
        for (key, value) in more.as_object().into_iter().flatten() {
            fields[key] = value.clone();
        }
        fields
    }

    /// The moving line.
    fn show(&self, more: &str) {
        if let Some(bar) = &self.bar {
            let place = self.place.map(|(index, count)| format!("{}/{count} ", index + 1)).unwrap_or_default();
            bar.set_message(format!("{place}{}{more}", self.name));
        }
    }

    /// So much is done, of so much in all where that is known.
    pub(crate) fn measure(&mut self, done: u64, total: Option<u64>) {
        let amount = match total {
            Some(total) => format!("{} of {} MiB", done.div_ceil(1 << 20), total.div_ceil(1 << 20)),
            None => format!("{} MiB", done.div_ceil(1 << 20)),
        };
        let since = self.since.elapsed();
        if self.bar.is_some() {
            // For a line that people read, what f64 leaves out of a count of bytes is nothing.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            let rate = done as f64 / since.as_secs_f64().max(0.1) / f64::from(1 << 20);
            self.show(&format!(": {amount}, {rate:.1} MiB/s"));
            return;
        }
        let json = self.terminal.json();
        if self.told.elapsed() < if json { OFTEN } else { SELDOM } {
            return;
        }
        self.told = Instant::now();
        if json {
            self.terminal.event("bytes", self.with(&json!({ "done": done, "total": total })));
        } else {
            self.terminal.say(format!("{}: {amount} ({:.1} s)", self.name, since.as_secs_f64()));
        }
    }

    /// What a program that is under way says: for the moving line alone, until the next.
    pub(crate) fn hear(&self, line: &str) {
        if self.bar.is_some() && !line.trim().is_empty() {
            self.show(&format!(": {}", line.trim()));
        }
    }

    /// A message while the line moves.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.terminal.say(text)),
            None => self.terminal.say(text),
        }
    }

    /// Ends the step with what came of it; empty: its name alone.
    pub(crate) fn done(self, result: impl AsRef<str>) {
        self.end(result.as_ref(), &json!({}));
    }

    /// The same, with fields for programs.
    pub(crate) fn end(mut self, result: &str, fields: &Value) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.since.elapsed().as_secs_f64();
        if self.terminal.json() {
            let mut all = self.with(&json!({ "seconds": seconds }));
            for (key, value) in fields.as_object().into_iter().flatten() {
                all[key] = value.clone();
            }
            self.terminal.event("step-finished", all);
            return;
        }
        let gap = if result.is_empty() { "" } else { ": " };
        self.terminal.say(format!("{}{gap}{result} ({seconds:.1} s)", self.name));
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
