//! What the tests of the lab run in its namespace: `dmhost lab-inside` in a program of its own.

use std::path::Path;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (file, program) = words.split_first().ok_or_else(|| anyhow::anyhow!("no place is named"))?;
    Ok(ExitCode::from(vm_tests::lab::inside::run(Path::new(file), program)?))
}
