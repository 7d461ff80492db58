//! `dmhost build`: the host image.

use std::time::SystemTime;

use anyhow::anyhow;
use camino::Utf8Path;
use dmhost_images::pins::lock_path;
use dmhost_images::step::workspace;
use dmhost_images::{BuildRequest, Built, Event, LockFile, LockMode, Mirror, Origin, Resolution, Secrets, Step};
use dmhost_layout::{CredentialId, HostPlan};
use dmhost_pki::Pki;

use super::{cache_dir, plan, read_spec};
use crate::args;
use crate::failure::Failure;
use crate::interrupt::{self, AtForcedEnd};
use crate::terminal::{self, Terminal};

pub(super) fn run(args: &args::Build, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let spec = read_spec(&args.spec.path)?;
    let cache_dir = cache_dir(&args.cache)?;
    let pki = pki(&args.spec.path, &plan)?;
    let layout = dmhost_layout::render(&plan);
    let secrets = FromPki(&pki);
    let request = BuildRequest {
        cache_dir: Some(&cache_dir),
        force: args.force,
        lock: Some(LockFile { path: lock_path(&args.spec.path), mode: mode(args) }),
        mirror: args.mirror.as_deref().map(Mirror::at),
        offline: args.offline,
        engine_key: args.engine.engine_key.as_deref(),
        cache_limit: args.limit.cache_limit,
        spec: Some(&spec),
        ..BuildRequest::new(&plan, &layout, &secrets, &args.out)
    };
    if !args.force && args.out.symlink_metadata().is_ok() {
        return Err(Failure::Usage(anyhow!("{} is there already; say --force to overwrite it", args.out)));
    }
    if args.dry_run {
        let steps = dmhost_images::steps(&plan, &layout, &request.options()?, None).map_err(Failure::of_input)?;
        return if terminal.json() {
            let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
            terminal.print(format!("{:#}", serde_json::json!({ "steps": steps })))
        } else {
            terminal.print(steps.iter().map(|step| format!("{step}\n")).collect::<String>())
        };
    }
    let built = make(&request, terminal)?;
    let Built { path, bytes, allocated, base_cached, packages, tree, timings } = &built;
    tell(packages, terminal);
    if terminal.json() {
        let steps: Vec<_> = timings
            .iter()
            .map(|(step, took)| serde_json::json!({ "step": step, "seconds": took.as_secs_f64() }))
            .collect();
        terminal.print(format!(
            "{:#}",
            serde_json::json!({
                "image": path, "bytes": bytes, "allocated": allocated, "base_cached": base_cached, "steps": steps,
                "lock": packages.write, "tree_sha256": tree,
            })
        ))
    } else {
        terminal.print(format!("{path}: {} on disk, {} as a disk\ntree {tree}", size(*allocated), size(*bytes)))
    }
}

fn mode(args: &args::Build) -> LockMode {
    match (args.locked, args.update_lock) {
        (true, _) => LockMode::Locked,
        (false, true) => LockMode::Update,
        (false, false) => LockMode::Keep,
    }
}

/// What became of the lock.
fn tell(packages: &Resolution, terminal: &Terminal) {
    let Some(lock) = &packages.write else { return };
    let changes = packages.changes.as_ref().map(|changes| format!(", {changes}")).unwrap_or_default();
    let whence = match packages.origin {
        Origin::Lock => "",
        Origin::Cache => "; they are those of an earlier build, --update-lock takes newer ones",
        Origin::Archive => "; they are what the archive has today",
    };
    terminal.say(format!("{lock} pins {} packages{changes}{whence}", packages.pins.packages.len()));
}

/// Makes an image, telling each step. What is refused before the first step is usage, what fails after it the machine's.
pub(super) fn make(request: &BuildRequest<'_>, terminal: &Terminal) -> Result<Built, Failure> {
    let workspace = workspace(&request.options()?.out);
    interrupt::orderly(|| {
        let mut under_way = None;
        let mut forced = None;
        let built = dmhost_images::build(request, &mut |event: Event<'_>| match event {
            Event::Started { step, index, count } => {
                interrupt::check();
                // From the first step on the build holds this folder's lock.
                forced.get_or_insert_with(|| {
                    let workspace = workspace.clone();
                    AtForcedEnd::new(move || drop(fs_err::remove_dir_all(&workspace)))
                });
                under_way = Some(terminal.step_of(step.title(), index, count));
            }
            Event::Bytes { done, total } => {
                interrupt::check();
                if let Some(step) = &mut under_way {
                    step.measure(done, Some(total));
                }
            }
            // Not a place to check, as the last arm.
            Event::Fetched { done, total } => {
                if let Some(step) = &mut under_way {
                    step.measure(done, total);
                }
            }
            Event::Waiting { path } => {
                interrupt::check();
                note(under_way.as_ref(), terminal, &format!("another build holds {path}: waiting for it"));
            }
            Event::Damaged { what } => {
                note(under_way.as_ref(), terminal, &format!("{what} is damaged: it is made anew"));
            }
            Event::Pruned { pruned, limit } => {
                let freed: u64 = pruned.removed.iter().map(|entry| entry.bytes).sum();
                terminal.say(format!(
                    "the cache may take {}: {} removed, {} MiB, that were not used for longest",
                    size(limit),
                    pruned.removed.len(),
                    freed.div_ceil(1 << 20)
                ));
            }
            Event::Finished { step, cached, bytes, .. } => {
                if let Some(line) = under_way.take() {
                    let amount = bytes.map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20)));
                    let result = match (cached, step) {
                        (true, _) => "from the cache".to_owned(),
                        (false, Step::Base { .. }) => amount.map(|amount| amount + " fetched").unwrap_or_default(),
                        (false, _) => amount.unwrap_or_default(),
                    };
                    line.end(&result, &serde_json::json!({ "cached": cached, "bytes": bytes }));
                }
            }
            // Not a place to check: a base that is not finished is removed by an error, not by unwinding.
            Event::Line(line) => {
                // mmdebstrap's word for what it begins; what else programs say is shown if they fail.
                if let (Some(step), Some(line)) = (&under_way, line.strip_prefix("I: ")) {
                    step.hear(line);
                }
            }
            _ => {}
        });
        built.map_err(|error| if forced.is_some() { Failure::Machine(error) } else { Failure::of_input(error) })
    })
}

/// Says something without breaking the line that moves.
fn note(step: Option<&terminal::Step<'_>>, terminal: &Terminal, text: &str) {
    match step {
        Some(step) => step.say(text),
        None => terminal.say(text),
    }
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

/// In the largest unit that leaves no rest, but at least MiB, rounded up.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB")];
    match units.into_iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}
