//! `dmhost build`: the host image.

use std::time::SystemTime;

use anyhow::anyhow;
use camino::Utf8Path;
use dmhost_images::{BuildRequest, Built, Event, MachineError, Secrets};
use dmhost_layout::{CredentialId, HostPlan};
use dmhost_pki::Pki;

use super::{cache_dir, plan};
use crate::args;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::Build, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let cache_dir = cache_dir(&args.cache)?;
    let pki = pki(&args.spec.path, &plan)?;
    let layout = dmhost_layout::render(&plan);
    let request = BuildRequest {
        plan: &plan,
        layout: &layout,
        secrets: &FromPki(&pki),
        out: &args.out,
        cache_dir: Some(&cache_dir),
        force: args.force,
    };
    if args.dry_run {
        for step in dmhost_images::steps(&plan, &layout, &request.options()?)? {
            terminal.print(step.title());
        }
        return Ok(());
    }
    if !args.force && args.out.exists() {
        return Err(Failure::Usage(anyhow!("{} is there already; say --force to overwrite it", args.out)));
    }
    let built = make(&request, terminal)?;
    let Built { path, bytes, allocated, base_cached, timings } = &built;
    if terminal.json() {
        let steps: Vec<_> = timings
            .iter()
            .map(|(step, took)| serde_json::json!({ "step": step, "seconds": took.as_secs_f64() }))
            .collect();
        terminal.print(format!(
            "{:#}",
            serde_json::json!({
                "image": path, "bytes": bytes, "allocated": allocated, "base_cached": base_cached, "steps": steps
            })
        ));
    } else {
        terminal.print(format!("{path}: {} on disk, {} as a disk", mebibytes(*allocated), mebibytes(*bytes)));
    }
    Ok(())
}

/// Makes an image, telling each step. What is wrong with the request is usage, the rest the machine's.
pub(super) fn make(request: &BuildRequest<'_>, terminal: &Terminal) -> Result<Built, Failure> {
    let mut under_way = None;
    let built = dmhost_images::build(request, &mut |event: Event<'_>| match event {
        Event::Started { step, .. } => under_way = Some(terminal.step(step.title())),
        Event::Finished { cached, .. } => {
            if let Some(step) = under_way.take() {
                step.done(if cached { "from the cache" } else { "" });
            }
        }
        _ => {}
    });
    drop(under_way);
    built.map_err(|error| {
        if error.chain().any(|cause| cause.is::<MachineError>() || cause.is::<std::io::Error>()) {
            Failure::Machine(error)
        } else {
            Failure::Usage(error)
        }
    })
}

/// The PKI of a spec, if it fits the plan today.
pub(super) fn pki(spec: &Utf8Path, plan: &HostPlan) -> Result<Pki, Failure> {
    let hint = || format!("the certificates do not fit; `dmhost pki init {spec}` makes what is missing or stale");
    let pki = Pki::open(&Pki::path_for(spec)).map_err(|error| Failure::Usage(error.context(hint())))?;
    let problems = pki.check(plan, SystemTime::now()).map_err(|error| Failure::Usage(error.context(hint())))?;
    if problems.is_empty() {
        return Ok(pki);
    }
    let list: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Err(Failure::Usage(anyhow!("{}:{}", hint(), list.concat())))
}

/// What an image takes from a PKI folder: never a CA's key.
#[derive(Debug)]
pub(super) struct FromPki<'a>(pub(super) &'a Pki);

impl Secrets for FromPki<'_> {
    fn bytes(&self, id: &CredentialId) -> anyhow::Result<Vec<u8>> {
        self.0.credential(id)
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}
