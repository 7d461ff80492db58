//! (being written)
/// One problem.
#[derive(Debug)]
pub struct Diagnostic;
/// All problems.
#[derive(Debug)]
pub struct Diagnostics;
