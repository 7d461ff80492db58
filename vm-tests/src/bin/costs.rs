//! What a zone costs and what a shared daemon does, side by side.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for, and they take minutes")]

use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use dmhost_layout::{plan_from_toml, render};
use dmhost_pki::Pki;
use vm_tests::bed::{BedRequest, image_of};
use vm_tests::costs::compare;
use vm_tests::proof::containers;
use vm_tests::vm::{Accel, cache_dir};

/// Measures a zone and a shared daemon of one host in turns: memory, start, and the way between containers and the wire.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  costs vm-tests/tests/specs/costs.toml")]
struct Args {
    /// The host spec: the first zone and the first shared daemon are compared
    spec: Utf8PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let text = fs_err::read_to_string(&args.spec)?;
    let (plan, diagnostics) = plan_from_toml(args.spec.as_str(), &text);
    let plan = plan.ok_or_else(|| anyhow!("{}", diagnostics.render(false)))?;
    let folder = tempfile::Builder::new().prefix("dmhost-costs-").tempdir().context("cannot make a folder")?;
    let path = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?;
    let keys = path.join("host.pki");
    dmhost_pki::init(&plan, &keys, SystemTime::now())?;
    let image = path.join("host.raw");
    image_of(&plan, &render(&plan), &Pki::open(&keys)?, &image)?;
    let cache_dir = cache_dir()?;
    let request = BedRequest { plan: &plan, image: &image, accel: Accel::Auto, cache_dir: &cache_dir, report: None };
    let mut stage = |stage: &str| eprintln!("{stage}");
    let bed = containers::settled(&request, &mut stage)?;
    println!("{}", compare(&plan, &bed, &mut stage)?);
    Ok(())
}
