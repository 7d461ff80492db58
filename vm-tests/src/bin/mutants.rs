//! The proof of the proof, whole: every mutant of a host is proven, and the score told.
#![expect(clippy::print_stdout, reason = "the score is what it is for")]

use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use dmhost_layout::{plan_from_toml, render};
use dmhost_pki::Pki;
use vm_tests::bed::image_of;
use vm_tests::mutants::{Laboratory, Score};
use vm_tests::vm::cache_dir;

/// Proves every mutant of a host: each rule, bind address, sysctl, unit dependency and TLS key of its layout, changed one by one.
///
/// A mutant is killed if the proof turns red. Exit code 0 only if none survives but those that are known to change nothing.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  mutants examples/two-vlans.toml --list\n  mutants examples/two-vlans.toml nftables.conf sysctl"
)]
struct Args {
    /// The host spec
    spec: Utf8PathBuf,
    /// Only mutants whose names have one of these in them
    part: Vec<String>,
    /// Print their names alone
    #[arg(long)]
    list: bool,
    /// Do not prove the host without a mutant first: it was seen to be as planned
    #[arg(long)]
    no_baseline: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let text = fs_err::read_to_string(&args.spec)?;
    let (plan, diagnostics) = plan_from_toml(args.spec.as_str(), &text);
    let plan = plan.ok_or_else(|| anyhow!("{}", diagnostics.render(false)))?;
    let folder = tempfile::Builder::new().prefix("dmhost-mutants-").tempdir().context("cannot make a folder")?;
    let path = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?;
    let keys = path.join("host.pki");
    dmhost_pki::init(&plan, &keys, SystemTime::now())?;
    let pki = Pki::open(&keys)?;
    let image = path.join("host.raw");
    let cache_dir = cache_dir()?;
    let laboratory =
        Laboratory { plan: &plan, pki: &pki, image: &image, folder: path.to_owned(), cache_dir: &cache_dir };
    let asked = |name: &str| args.part.is_empty() || args.part.iter().any(|part| name.contains(part));
    let mutants: Vec<_> = laboratory.mutants().into_iter().filter(|mutant| asked(&mutant.name)).collect();
    if args.list {
        for mutant in &mutants {
            println!("{}", mutant.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    image_of(&plan, &render(&plan), &pki, &image)?;
    if !args.no_baseline {
        let begun = Instant::now();
        laboratory.baseline()?;
        println!("baseline {:3} s  as planned", begun.elapsed().as_secs());
    }
    let (mut score, mut failed) = (Score::default(), 0);
    for (nth, mutant) in mutants.iter().enumerate() {
        let begun = Instant::now();
        // A machine that fails says nothing of the mutant: it is told, and counts for none.
        let told = match laboratory.try_one(mutant) {
            Ok(outcome) => {
                score.count(&outcome);
                outcome.to_string()
            }
            Err(error) => {
                failed += 1;
                format!("NO VERDICT  {error:#}")
            }
        };
        let (of, seconds) = (mutants.len(), begun.elapsed().as_secs());
        println!("{:3}/{of} {seconds:3} s  {}\n      {told}", nth + 1, mutant.name);
    }
    println!("{score}; {failed} without a verdict");
    Ok(if score.is_full() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
