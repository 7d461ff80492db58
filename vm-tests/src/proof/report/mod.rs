//! What the proof found: cells of the matrix and facts from inside.
//!
//! * `table`: the matrix as text; `record`: as JSON, with its schema; `junit`: for CI services;
//! * `html`: as a page, with the `frames` behind each cell; `write`: all of them in a folder.

mod frames;
mod html;
mod junit;
mod record;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use record::schema;

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::question::{Ask, Credential, Question, Subject, Verdict};
use super::timeline::Span;

/// One question with what was seen.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The question and its promise.
    pub question: Question,
    /// What was seen.
    pub observed: Verdict,
    /// Numbers of the frames in the capture that show it, as Wireshark counts them: the answer, or the probe itself where
    /// there was none.
    pub frames: Vec<u64>,
    /// What else is worth telling: ports that answered, an error of TLS, what the answer was.
    pub note: String,
}

impl Cell {
    /// Whether it came as promised.
    pub fn holds(&self) -> bool {
        self.question.expected == self.observed
    }

    /// Whether it shows an API that serves whoever reaches it, by the spec's own word.
    fn is_open(&self) -> bool {
        let Question { ask, expected, .. } = &self.question;
        matches!(ask, Ask::Api { credential: Credential::Plaintext, .. }) && *expected == Verdict::Serves
    }
}

/// Something seen from inside the guest, against the plan.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fact {
    /// What was looked at, for example `sockets of zone web`.
    pub name: String,
    /// Whether it is as planned.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

/// The whole proof.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Whether it is no more than [`super::Extent::Quick`].
    pub quick: bool,
    /// The matrix.
    pub cells: Vec<Cell>,
    /// What the guest says of itself.
    pub facts: Vec<Fact>,
    /// Frames that crossed a port of the fabric.
    pub frames: u64,
    /// Probes that were sent, TCP ports each counted.
    pub probes: u64,
    /// How the host booted; empty where nobody inside could tell.
    pub boot: Vec<Span>,
}

impl Report {
    /// Whether everything is as planned.
    pub fn holds(&self) -> bool {
        self.cells.iter().all(Cell::holds) && self.facts.iter().all(|fact| fact.holds)
    }

    /// The first of what is not as planned, in one line.
    pub fn first_red(&self) -> Option<String> {
        let fact = self.facts.iter().find(|fact| !fact.holds);
        let fact = fact.map(|fact| format!("{}: {}", fact.name, fact.found.lines().next().unwrap_or_default()));
        fact.or_else(|| {
            let Cell { question: Question { vantage, target, ask, expected }, observed, .. } =
                self.cells.iter().find(|cell| !cell.holds())?;
            Some(format!("{vantage} -> {target} {ask}: expected {expected}, observed {observed}"))
        })
    }

    /// What is not as planned, a paragraph each; empty if all is.
    pub fn red(&self, color: bool) -> String {
        let (mut text, paint) = (String::new(), Paint { color });
        for fact in self.facts.iter().filter(|fact| !fact.holds) {
            let _ = write!(
                text,
                "\n{} {}\n    {}\n",
                paint.red("FAIL"),
                fact.name,
                fact.found.trim_end().replace('\n', "\n    ")
            );
        }
        for cell in self.cells.iter().filter(|cell| !cell.holds()) {
            let Question { vantage, target, ask, expected } = &cell.question;
            let frames: Vec<_> = cell.frames.iter().take(5).map(ToString::to_string).collect();
            let frames = if frames.is_empty() { "none".to_owned() } else { frames.join(", ") };
            let _ = write!(
                text,
                "\n{} {vantage} -> {target} {ask}\n    expected {expected}, observed {}; frame {frames}\n",
                paint.red("FAIL"),
                cell.observed
            );
            if !cell.note.is_empty() {
                let _ = writeln!(text, "    {}", cell.note.trim_end().replace('\n', "\n    "));
            }
        }
        text
    }

    /// The table, the red cells below it, and one line that sums up.
    pub fn text(&self, color: bool) -> String {
        let paint = Paint { color };
        let mut text = table::overview(&self.cells, paint);
        text.push_str(&table::blocks(&self.cells, paint));
        text.push_str(
            "S serves  D denies  R refuses  · silent  U unproven  ? strange;  ! after a letter: not as planned\n\
             API: with its certificate, none, another daemon's, in plain text; free: exposed and vacant; tcp, udp: all others asked\n",
        );
        if self.cells.iter().any(Cell::is_open) {
            text.push_str("* after a letter: an API in plain text, open by the spec's own word\n");
        }
        let held: Vec<_> = self.facts.iter().filter(|fact| fact.holds).collect();
        let width = held.iter().map(|fact| fact.name.chars().count()).max().unwrap_or(0);
        text.push_str(if held.is_empty() { "" } else { "\n" });
        for fact in held {
            let _ = writeln!(text, "{} {:width$}  {}", paint.green("ok"), fact.name, fact.found);
        }
        text.push_str(&self.red(color));
        let red = self.cells.iter().filter(|cell| !cell.holds()).count()
            + self.facts.iter().filter(|fact| !fact.holds).count();
        let sum = format!(
            "{} cells and {} facts, {} probes, {} frames",
            self.cells.len(),
            self.facts.len(),
            self.probes,
            self.frames
        );
        let end = if red == 0 {
            let quick = if self.quick { " (quick: not every TCP port, no hostile frames)" } else { "" };
            format!("{}: {sum}{quick}", paint.green("All as planned"))
        } else {
            format!("{}: {sum}", paint.red(&format!("{red} not as planned")))
        };
        let _ = write!(text, "\n{end}\n");
        for warning in self.warnings() {
            let _ = writeln!(text, "{}: {warning}", paint.red("warning"));
        }
        text
    }

    /// What is as planned, and should not be.
    fn warnings(&self) -> Vec<String> {
        let open = self.cells.iter().filter(|cell| cell.is_open());
        let mut of: Vec<&Subject> = open.map(|cell| &cell.question.target.subject).collect();
        of.sort();
        of.dedup();
        let text = |of: &Subject| format!("the API of {of} is in plain text: whoever reaches it is root on this host");
        of.into_iter().map(text).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }
}
