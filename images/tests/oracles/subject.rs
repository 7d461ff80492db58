//! A layout that is to be judged, and what is asked about it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Context;
use camino::Utf8Path;
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::{Base, Engine};
use dmhost_layout::{Content, HostPlan, plan_from_toml, render};
use dmhost_pki::Pki;

use crate::oracle::{Oracle, oracle_of};

/// A layout to be judged, under the name it has in the verdicts.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) base: Base,
    pub(crate) layout: Layout,
    /// None where no daemon has an API.
    pub(crate) pki: Option<Pki>,
    /// The one oracle that is asked; none: all.
    pub(crate) only: Option<Oracle>,
}

impl Subject {
    /// A spec on this base; `None`: it says what the base does not do, or asks for packages that no test can fetch.
    pub(crate) fn of(name: &str, spec: &Utf8Path, base: Base, folder: &Utf8Path) -> anyhow::Result<Option<Self>> {
        let text = fs_err::read_to_string(spec)?;
        let (plan, diagnostics) = plan_from_toml(spec.as_str(), &text);
        let plan: HostPlan = plan.with_context(|| format!("{spec} has no plan:\n{}", diagnostics.render(false)))?;
        if plan.host.engine != Engine::DockerIo {
            return Ok(None);
        }
        let own = format!("base = \"{}\"\n", plan.host.base.as_str());
        let line = format!("base = \"{}\"\n", base.as_str());
        let text = text.replace(&own, "").replacen("[host]\n", &format!("[host]\n{line}"), 1);
        let (Some(plan), _) = plan_from_toml(spec.as_str(), &text) else { return Ok(None) };
        anyhow::ensure!(plan.host.base == base, "{spec} is not for {}", base.as_str());
        let pki = folder.join(format!("{name}.pki"));
        dmhost_pki::init(&plan, &pki, SystemTime::now())?;
        Ok(Some(Self {
            name: name.to_owned(),
            base,
            layout: render(&plan),
            pki: pki.is_dir().then(|| Pki::open(&pki)).transpose()?,
            only: None,
        }))
    }

    /// What each oracle is given, one call per line; and how many paths each is answerable for.
    pub(crate) fn jobs(&self) -> anyhow::Result<(String, BTreeMap<Oracle, usize>)> {
        let mut counts = BTreeMap::new();
        let (mut units, mut lines) = (Vec::new(), Vec::new());
        for (path, entry) in self.layout.iter() {
            if entry.content == Content::Directory {
                continue;
            }
            let oracle = oracle_of(path.as_str()).with_context(|| {
                format!("nobody judges {path} of {}: name its oracle, or why it has none", self.name)
            })?;
            if !oracle.is_on(self.base) {
                continue;
            }
            *counts.entry(oracle).or_default() += 1;
            match oracle {
                Oracle::Units => units.extend(unit(path, &entry.content)),
                Oracle::Rules => lines.push(format!("rules {}", ruleset(&self.layout, path))),
                Oracle::WithAnother | Oracle::InTheGuest => {}
                Oracle::Dockerd
                | Oracle::Sshd
                | Oracle::Fstab
                | Oracle::Udev
                | Oracle::Sysusers
                | Oracle::Tmpfiles
                | Oracle::Keys
                | Oracle::Script
                | Oracle::Dpkg => lines.push(format!("{} {path}", oracle.word())),
            }
        }
        units.sort();
        units.dedup();
        lines.push(format!("units {}", units.join(" ")));
        if let Some(only) = self.only {
            lines.retain(|line| line.split(' ').next() == Some(only.word()));
        }
        Ok((lines.join("\n") + "\n", counts))
    }

    /// The layout with a file broken, for one oracle.
    pub(crate) fn broken(&self, oracle: Oracle, path: &str, text: &str) -> anyhow::Result<Self> {
        let mut layout = self.layout.clone();
        let old = layout.text_at(path.into()).map(str::to_owned);
        let old = old.with_context(|| format!("{path} is not in {}: nothing would be broken", self.name))?;
        layout.text(path, format!("{}{text}", if text.starts_with('{') { "" } else { &old }));
        let name = format!("broken-{}", oracle.word());
        Ok(Self { name, base: self.base, layout, pki: self.pki.clone(), only: Some(oracle) })
    }
}

/// The unit that a file of `/etc/systemd/system` is, adds to or asks for, a template by an instance; none where it masks one.
fn unit(path: &Utf8Path, content: &Content) -> Option<String> {
    let place = path.strip_prefix("/etc/systemd/system").ok()?;
    let folder = place.parent().map_or("", Utf8Path::as_str);
    let name = match folder.strip_suffix(".d") {
        // Those of the base, where a drop-in adds to them.
        Some(unit) => return Some(format!("/usr/lib/systemd/system/{}", unit.replace("@.", "@oracle."))),
        None => place.file_name()?,
    };
    let name = name.replace("@.", "@oracle.");
    match content {
        Content::Link(target) if target == "/dev/null" => None,
        Content::Link(target) if target.is_absolute() => Some(target.to_string()),
        // `../UNIT` in a folder of wants.
        Content::Link(target) => Some(format!("/etc/systemd/system/{}", target.file_name()?)),
        Content::Text(_) | Content::Secret(_) | Content::Directory => Some(format!("/etc/systemd/system/{name}")),
    }
}

/// A file of rules after those that have to be loaded before it: the zone's, or where there is none the host's.
fn ruleset(layout: &Layout, path: &Utf8Path) -> String {
    match path.file_name() {
        Some("published.nft") => {
            let zone = path.with_file_name("nftables.conf");
            let first = if layout.text_at(&zone).is_some() { zone } else { "/etc/nftables.conf".into() };
            format!("{first} {path}")
        }
        _ => path.to_string(),
    }
}
