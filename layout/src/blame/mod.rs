//! Which lines of a spec made which lines of its layout, found by asking what would be if a line were another.
//!
//! No renderer keeps books. For each value and section of the spec, the spec with that one thing changed is planned and
//! rendered as well, and the lines of the true layout that are not in the other are due to it. So what is said here is
//! seen, not claimed; and a key that changes nothing anywhere is found by the same way.

mod ask;
mod document;
mod face;
mod rank;
mod values;
mod whatif;

use camino::{Utf8Path, Utf8PathBuf};
use toml::de::DeTable;

use crate::diagnostics::Diagnostics;
use crate::plan::plan_from_toml;
use whatif::Kind;

/// A spec and its layout, each line with what it has to do with the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// Every value and section of the spec, in source order.
    pub origins: Vec<Origin>,
    /// Every entry of the layout, in path order.
    pub files: Vec<File>,
}

/// A value or a section of the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its dotted path.
    pub path: String,
    /// The line it stands on, from 1.
    pub line: usize,
    /// The last line of it, from 1; of a section with a header, the header's.
    pub last_line: usize,
    /// What it decides; `None` if it was not asked about.
    pub effect: Option<Effect>,
}

/// What a value or a section of the spec decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Lines of the layout.
    Layout,
    /// Which base, kernel and disk the image has.
    Image,
    /// What the proof asks.
    Proof,
    /// Nothing: without it all is the same, since it says what is so anyway.
    Default,
    /// Nothing that could be otherwise: there is no other value that plans.
    Fixed,
}

/// An entry of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its absolute path.
    pub path: Utf8PathBuf,
    /// Its lines. A link, a folder and a secret have one that says so; a certificate also whom it is for.
    pub lines: Vec<Line>,
}

/// A line of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line as it is.
    pub text: String,
    /// What made it, the most telling first: what changes the fewest lines with it. Empty: every host has this line.
    pub causes: Vec<Cause>,
}

/// Something in the spec without which a line would be another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Index into [`Blame::origins`].
    pub origin: usize,
    /// What was asked: `were it 11`, `named web2`, `without it`.
    pub what_if: String,
    /// The line as it would be; `None`: it would not be there.
    pub becomes: Option<String>,
    /// How many lines of the layout the same change would change.
    pub lines: usize,
    kind: Kind,
}

impl Blame {
    /// The entry at `path`.
    pub fn file(&self, path: &Utf8Path) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// What stands on a line of the spec, from 1: what begins there, else the innermost of what goes on there; of a
    /// table or an array that has no header, its parts as well.
    pub fn origins_at(&self, line: usize) -> Vec<usize> {
        let numbered = || self.origins.iter().enumerate();
        let mut at: Vec<usize> = numbered().filter(|(_, origin)| origin.line == line).map(|(n, _)| n).collect();
        if at.is_empty() {
            let around = numbered().filter(|(_, origin)| (origin.line..=origin.last_line).contains(&line));
            at.extend(around.max_by_key(|(_, origin)| origin.line).map(|(n, _)| n));
        }
        let within = |part: &Origin, whole: &Origin| {
            part.line <= whole.last_line
                && part.path.strip_prefix(&whole.path).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let parts: Vec<usize> =
            numbered().filter(|(_, part)| at.iter().any(|n| within(part, &self.origins[*n]))).map(|(n, _)| n).collect();
        at.extend(parts);
        at.sort_unstable();
        at.dedup();
        at
    }

    /// The lines that some of these origins made, by file: index into [`Blame::files`], and line numbers from 1.
    pub fn lines_of(&self, origins: &[usize]) -> Vec<(usize, Vec<usize>)> {
        let made = |line: &Line| line.causes.iter().any(|cause| origins.contains(&cause.origin));
        let files = self.files.iter().enumerate().map(|(n, file)| {
            let lines = file.lines.iter().enumerate().filter(|(_, line)| made(line)).map(|(n, _)| n + 1);
            (n, lines.collect::<Vec<_>>())
        });
        files.filter(|(_, lines)| !lines.is_empty()).collect()
    }
}

/// How much of a spec and its layout is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'s> {
    /// Every value and section.
    Everything,
    /// What one line of the spec made, from 1.
    Spec(usize),
    /// What made one file of the layout. Values are asked about in those sections alone without which the file would be
    /// another.
    File(&'s Utf8Path),
    /// What made one line of a file, from 1; sections as for a file.
    Line(&'s Utf8Path, usize),
}

/// Asks about the values and sections of a spec.
///
/// The blame is there exactly if the diagnostics have no error. Origins that were not asked about have no effect told.
pub fn blame(file: &str, text: &str, scope: Scope<'_>) -> (Option<Blame>, Diagnostics) {
    let (plan, diagnostics) = plan_from_toml(file, text);
    let blame = plan.and_then(|plan| {
        let document = DeTable::parse(text).ok()?;
        Some(ask::asked(&plan, document.get_ref(), &diagnostics, scope))
    });
    (blame, diagnostics)
}
