//! `[daemons.*]`: each one put together from its parts.

use std::collections::BTreeMap;

use super::host;
use super::links::Link;
use super::owners::Owned;
use super::segments::Terms;
use super::{Report, api, budgets, egress, expose, metrics, networks, pools, ranges, routed, shared};
use crate::engine::Reader;
use crate::plan::{BadDaemonName, Daemon, DaemonName, settings};
use crate::spec::words::quoted;
use crate::spec::{self, At, Field, HostSpec};

/// All daemons; `None` if one of them cannot be read.
pub(super) fn read(
    spec: &HostSpec,
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    report: &mut Report,
) -> Option<BTreeMap<DaemonName, Daemon>> {
    let reader = host::reader(spec);
    settings::check(&spec.defaults.settings, reader, report);
    let mut names = api::Names::new();
    let disk = budgets::disk(spec);
    let mut quotas = Vec::with_capacity(spec.daemons.len());
    let mut daemons = Vec::with_capacity(spec.daemons.len());
    for daemon in &spec.daemons {
        let quota = budgets::quota(daemon, spec, disk, report);
        quotas.push(quota.as_ref().ok().copied().flatten());
        let daemon = one(daemon, spec, reader, links, owners, &mut names, report);
        daemons.push(daemon.and_then(|daemon| Some(Daemon { quota: quota.ok()?, ..daemon })));
    }
    budgets::sum(spec, &quotas, disk, report);
    shared::apart(spec, links, owners, report);
    shared::carriers(links, owners, report);
    routed::apart(spec, links, owners, report);
    ranges::apart(spec, links, owners, report);
    metrics::check(spec, links, owners, &daemons, report);
    shared::costs(spec, report);
    daemons.into_iter().map(|daemon| daemon.map(|daemon| (daemon.name.clone(), daemon))).collect()
}

/// A key of a daemon, or that of the defaults if the daemon does not have it.
fn or<'f, T>(own: &'f Field<T>, defaults: &'f Field<T>) -> &'f Field<T> {
    if own.is_absent() { defaults } else { own }
}

fn one<'s>(
    spec: &'s spec::Daemon,
    host: &'s HostSpec,
    reader: Reader<'_>,
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    names: &mut api::Names<'s>,
    report: &mut Report,
) -> Option<Daemon> {
    let defaults = &host.defaults;
    let name = name(&spec.name, report);
    let isolation = shared::read(&spec.isolation, report);
    let own = interfaces(spec, links, owners, report);
    shared::check(spec, defaults, reader, &own, links, report);
    let api = match &spec.api {
        Field::Absent => Some(None),
        Field::Bad => None,
        Field::Given(at) => api::read(&at.value, spec, &own, names, report).map(Some),
    };
    // What daemons share is not for the networks of one.
    let around: &[&Link<'_>] = if spec.expose.is_absent() { &[] } else { &own };
    let expose =
        expose::read(or(&spec.expose, &defaults.expose), api.as_ref().and_then(Option::as_ref), around, report);
    let pools = pools::read(or(&spec.pools, &defaults.pools), spec, &own, report);
    let egress = egress::read(or(&spec.egress, &defaults.egress), &own, pools.as_deref(), report);
    let networks =
        networks::read(Terms { daemon: spec, defaults, reader, own: &own, all: links }, pools.as_deref(), report);
    let routed = routed::read(spec, defaults, &own, pools.as_deref(), networks.as_deref(), report);
    let resources = budgets::resources(&spec.resources, &defaults.resources, report);
    settings::check(&spec.settings, reader, report);
    settings::check_together(&defaults.settings, &spec.settings, report);
    Some(Daemon {
        name: name?,
        isolation: isolation?,
        interfaces: own.iter().map(|link| link.name.clone()).collect::<Option<_>>()?,
        api: api?,
        expose: expose.ok()?,
        egress: egress.ok()?,
        pools: pools?,
        routed: routed?,
        live_restore: or(&spec.live_restore, &defaults.live_restore).given().is_none_or(|at| at.value),
        quota: None,
        resources: resources?,
        networks: networks?,
        settings: settings::merge(&defaults.settings, &spec.settings),
    })
}

fn name(at: &At<String>, report: &mut Report) -> Option<DaemonName> {
    match at.value.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let code = match error {
                BadDaemonName::Shape => "daemon-name",
                BadDaemonName::Reserved => "daemon-name-reserved",
            };
            let mut diagnostic =
                at.place.key_error(code, format!("{} cannot name a daemon: {error}", quoted(&at.value)));
            let better: String = at
                .value
                .to_lowercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .take(DaemonName::MAX)
                .collect();
            if let Ok(better) = better.parse::<DaemonName>() {
                diagnostic = diagnostic.help(format!("use `{better}`"));
            } else if error == BadDaemonName::Reserved {
                diagnostic = diagnostic.help("use another name, such as `web` or `lab`");
            }
            report.push(diagnostic);
            None
        }
    }
}

/// The interfaces that are the daemon's, in its order. What another daemon has, or nobody, was reported.
fn interfaces<'l, 's>(
    spec: &spec::Daemon,
    links: &'l [Link<'s>],
    owners: &[Owned<'_>],
    report: &mut Report,
) -> Vec<&'l Link<'s>> {
    let help = "write `interfaces = [\"web\"]`, with the interface that is to be its own";
    match &spec.interfaces {
        Field::Bad => {}
        Field::Absent => {
            let message = format!("daemon {} has no interface", quoted(&spec.name.value));
            report.push(spec.name.place.key_error("daemon-without-interface", message).help(help));
        }
        Field::Given(list) => {
            if list.value.items.is_empty() && list.value.complete {
                let message = format!("daemon {} has no interface", quoted(&spec.name.value));
                report.push(list.place.error("daemon-without-interface", message).help(help));
            }
        }
    }
    let mut own: Vec<&Link<'_>> = Vec::new();
    for at in spec.interfaces.items() {
        let found = links.iter().zip(owners).find(|(link, _)| link.text() == at.value);
        if let Some((link, _)) =
            found.filter(|(link, owner)| owner.is(spec) && !own.iter().any(|one| std::ptr::eq(*one, *link)))
        {
            own.push(link);
            let api = !spec.api.is_absent();
            if link.addresses.is_empty() && link.complete && !api && link.kind.is_some() {
                let message = format!("{} has no addresses: nothing reaches the daemon through it", quoted(&at.value));
                let diagnostic = at.place.error("interface-without-address", message).as_warning();
                let diagnostic = diagnostic.related(link.spec.name.place.key.clone(), "the interface");
                report.push(diagnostic.help("write `addresses` there"));
            }
        }
    }
    own
}
