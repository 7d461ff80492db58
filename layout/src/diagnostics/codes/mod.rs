//! Every code a diagnostic can have, with what it means and what is right: the text of `dmhost explain CODE`.
//!
//! A code is never used again for something else. To add one: an entry in the file of its subject here, and a defect in
//! `tests/defects` or `tests/lint` that shows it; a test compares the two.

mod addresses;
mod budgets;
mod daemons;
mod engine;
mod extras;
mod file;
mod interfaces;
mod lint;

/// A code of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code itself: stable, kebab-case.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it is wrong, and what would come of it.
    pub explanation: &'static str,
    /// How it is right: lines of TOML, or of JSON for files that are not dmhost's.
    pub example: &'static str,
}

const fn code(code: &'static str, title: &'static str, explanation: &'static str, example: &'static str) -> Code {
    Code { code, title, explanation, example }
}

/// All codes, by subject.
const SUBJECTS: [&[Code]; 8] = [
    file::CODES,
    interfaces::CODES,
    addresses::CODES,
    daemons::CODES,
    budgets::CODES,
    engine::CODES,
    extras::CODES,
    lint::CODES,
];

/// Every code there is, by name.
pub fn codes() -> Vec<&'static Code> {
    let mut all: Vec<_> = SUBJECTS.into_iter().flatten().collect();
    all.sort_by_key(|code| code.code);
    all
}

/// The entry of a code.
pub fn explain(code: &str) -> Option<&'static Code> {
    SUBJECTS.into_iter().flatten().find(|entry| entry.code == code)
}
