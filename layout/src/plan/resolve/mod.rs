//! From spec to plan: what every value means, and whether they fit together over the whole host.
//!
//! Each module judges one thing and reports all it finds; a plan is put together only if none of it is an error.
//! What a bad value would have meant is never judged further, so that one mistake is one report.

mod addresses;
mod admin;
mod api;
mod budgets;
mod daemons;
mod dns_name;
mod egress;
mod expects;
mod expose;
mod files;
mod gateways;
mod host;
mod keys;
mod links;
mod metrics;
mod networks;
mod nics;
mod overlap;
mod owners;
mod packages;
mod pools;
mod proxied;
mod ranges;
mod room;
mod routed;
mod routers;
mod segments;
mod shared;
mod size;
mod sources;
mod stacks;

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::{HostPlan, Interface};
use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::spec::{self, HostSpec};

/// The problems found so far.
type Report = Vec<Diagnostic>;

/// A value that cannot be read; why was reported.
struct Reported;

/// Decides everything a spec leaves open, and judges what it says.
///
/// The plan is there exactly if the diagnostics have no error; warnings come with a plan too.
pub fn resolve(spec: &HostSpec) -> (Option<HostPlan>, Diagnostics) {
    let mut report = Report::new();
    let plan = judge(spec, &mut report);
    let diagnostics = Diagnostics::new(&spec.file, &spec.text, report);
    let plan = plan.filter(|_| !diagnostics.has_errors());
    (plan, diagnostics)
}

/// Reads and resolves in one go: problems of shape and of meaning together, in source order.
///
/// The plan is there exactly if the diagnostics have no error.
pub fn plan_from_toml(file: &str, text: &str) -> (Option<HostPlan>, Diagnostics) {
    let (spec, mut report) = HostSpec::read(file, text);
    let plan = spec.and_then(|spec| judge(&spec, &mut report));
    let diagnostics = Diagnostics::new(file, text, report);
    let plan = plan.filter(|_| !diagnostics.has_errors());
    (plan, diagnostics)
}

/// [`plan_from_toml`] for a file's bytes, which may be no UTF-8.
pub fn plan_from_bytes(file: &str, bytes: &[u8]) -> (Option<HostPlan>, Diagnostics) {
    match spec::utf8(file, bytes) {
        Ok(text) => plan_from_toml(file, text),
        Err(diagnostics) => (None, diagnostics),
    }
}

/// The plan of a document, which need be no text's: a spec with a value changed. `None` if it has errors.
pub(crate) fn plan_from_document(document: &DeTable<'_>) -> Option<HostPlan> {
    let (spec, mut report) = HostSpec::read_document("", "", document);
    let plan = judge(&spec?, &mut report)?;
    report.iter().all(|diagnostic| diagnostic.severity != Severity::Error).then_some(plan)
}

/// A plan if all of its parts could be made; whether it may be used, the report decides.
fn judge(spec: &HostSpec, report: &mut Report) -> Option<HostPlan> {
    let links = links::read(&spec.interfaces, report);
    nics::check(&links, report);
    stacks::check(&links, report);
    let owners = owners::assign(&links, &spec.daemons, report);
    overlap::check(&links, &owners, report);
    gateways::check(&links, &owners, report);
    routers::check(&links, &owners, report);
    let daemons = daemons::read(spec, &links, &owners, report);
    let host = spec.host.given().and_then(|host| host::read(&host.value, &links, &owners, report));
    let expects = expects::read(spec, &links, &owners, report);

    let mut interfaces = BTreeMap::new();
    for (link, owner) in links.iter().zip(&owners) {
        let interface = Interface {
            name: link.name.clone()?,
            kind: link.planned_kind(&links)?,
            addresses: link.addresses.iter().map(|at| at.value).collect(),
            gateways: link.gateways.iter().map(|at| at.value).collect(),
            accept_ra: link.learns().is_some(),
            dns: link.dns.iter().map(|at| at.value).collect(),
            owner: owner.planned()?,
        };
        interfaces.insert(interface.name.clone(), interface);
    }
    let plan = HostPlan { host: host?, interfaces, daemons: daemons?, expects: expects? };
    expects::check(spec, &plan, report);
    files::check(spec, &plan, report);
    Some(plan)
}
