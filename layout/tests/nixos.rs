//! The layout for NixOS means what the layout for Debian means: every difference there is, over all scenarios and examples,
//! stands once in one snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::DaemonName;
use dmhost_layout::render::{Nixos, Program, Target, elsewhere};
use dmhost_layout::{Content, HostPlan, Layout, plan_from_toml, render, render_for};
use fs_err as fs;
use similar::{ChangeTag, TextDiff};

/// Every spec of the scenarios and of the examples, by its path.
fn plans() -> Vec<(String, HostPlan)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut plans = Vec::new();
    for folder in ["tests/scenarios", "../examples"] {
        for entry in fs::read_dir(root.join(folder)).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.display().to_string();
                let (plan, diagnostics) = plan_from_toml(&name, &fs::read_to_string(&path).expect("a spec is text"));
                plans.push((name, plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))));
            }
        }
    }
    assert!(plans.len() > 8, "{} specs", plans.len());
    plans
}

/// A store with each program in a package of its own.
fn nixos() -> Target {
    let path = |program: Program| Utf8PathBuf::from(format!("/nix/store/{}-1/bin/{}", program.name(), program.name()));
    Target::Nixos(Nixos {
        programs: Program::ALL.into_iter().map(|program| (program, path(program))).collect(),
        ..Nixos::default()
    })
}

/// The text with program paths as names and digests as one word.
fn normal(text: &str) -> String {
    let debian = ["/usr/bin/", "/usr/sbin/", "/usr/lib/systemd/system/", "/usr/lib/systemd/", "/bin/sh", "/bin/kill"];
    let mut text = text.to_owned();
    for program in Program::ALL {
        let name = program.name();
        text = text.replace(&format!("/nix/store/{name}-1/bin/{name}"), name);
    }
    for folder in debian {
        text = text.replace(folder, folder.strip_prefix("/bin/").unwrap_or_default());
    }
    let lines = text.lines().map(|line| match line.split_once("X-Restart-Triggers=") {
        Some((before, _)) => format!("{before}X-Restart-Triggers=DIGEST\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// The text with no daemon's name in it, so that a difference is the same one whoever has it.
fn nameless(text: &str, plan: &HostPlan) -> String {
    let mut text = text.to_owned();
    for name in plan.daemons.keys().map(DaemonName::as_str) {
        for (before, after) in [
            ("dmhost/", "/"),
            ("dmhost-", "."),
            ("dmhost-", "-"),
            ("credentials/", ""),
            ("dmhost_ns/", " "),
            ("dmhost_zone/", ""),
            ("secret: ", ":"),
        ] {
            text = text.replace(&format!("{before}{name}{after}"), &format!("{before}NAME{after}"));
        }
    }
    text
}

/// Where NixOS has an entry that it has under another name.
fn moved(path: &str) -> Option<&'static str> {
    match path {
        "/etc/resolv.conf" => Some("/etc/dmhost/host-resolv.conf"),
        "/etc/systemd/system/ssh.socket.d/dmhost.conf" => Some("/etc/systemd/system/sshd.socket.d/dmhost.conf"),
        _ => None,
    }
}

/// What stands at a path, and which target wants which unit, in the one form for both systems.
struct Meaning {
    entries: BTreeMap<String, String>,
    wants: BTreeSet<String>,
}

fn meaning(layout: &Layout) -> Meaning {
    let units = "/etc/systemd/system/";
    let mut meaning = Meaning { entries: BTreeMap::new(), wants: BTreeSet::new() };
    for (path, entry) in layout.iter() {
        let place = path.to_string();
        let below = place.strip_prefix(units).unwrap_or_default();
        if let Some((target, unit)) = below.split_once(".wants/") {
            meaning.wants.insert(format!("{target} wants {unit}"));
            continue;
        }
        let text = match &entry.content {
            Content::Text(text) => normal(text),
            Content::Secret(id) => normal(&format!("secret: {id}\n")),
            Content::Link(target) => normal(&format!("link: {target}\n")),
            Content::Directory => "directory\n".to_owned(),
        };
        if let Some(target) = below.strip_suffix(".d/dmhost-wants.conf") {
            for unit in text.lines().filter_map(|line| line.strip_prefix("Wants=")) {
                meaning.wants.insert(format!("{target} wants {unit}"));
            }
            continue;
        }
        // Executable or not is part of it; keys are 0600 on Debian and outside of the layout on NixOS.
        meaning.entries.insert(place, format!("{:04o}\n{text}", entry.mode));
    }
    meaning
}

/// A heading, and lines below it.
fn listed(heading: String, lines: impl Iterator<Item = String>) -> String {
    let below = lines.map(|line| format!("    {line}").trim_end().to_owned());
    std::iter::once(heading).chain(below).collect::<Vec<_>>().join("\n")
}

fn differences(plan: &HostPlan) -> BTreeSet<String> {
    let debian = meaning(&render(plan));
    let nixos = meaning(&render_for(plan, &nixos()));
    let mut found = BTreeSet::new();
    let mut new: BTreeMap<_, _> =
        nixos.entries.iter().filter(|(path, _)| !debian.entries.contains_key(*path)).collect();
    for (path, text) in &debian.entries {
        if let Some(other) = nixos.entries.get(path) {
            if other != text {
                let diff = TextDiff::from_lines(text, other);
                let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
                let lines = changes.map(|change| format!("{} {}", change.tag(), change.value().trim_end()));
                found.insert(listed(path.clone(), lines));
            }
        } else if let Some(one) = elsewhere(Utf8Path::new(path)) {
            found.insert(format!("{path}: on NixOS said by {}", one.option));
        } else if let Some(moved) = moved(path).filter(|moved| new.get(&(*moved).to_owned()) == Some(&text)) {
            new.remove(&moved.to_owned());
            found.insert(format!("{path}: on NixOS {moved}"));
        } else {
            found.insert(listed(format!("{path}: only on Debian"), text.lines().map(|line| format!("- {line}"))));
        }
    }
    for (path, text) in new {
        found.insert(listed(format!("{path}: only on NixOS"), text.lines().map(|line| format!("+ {line}"))));
    }
    found.extend(debian.wants.difference(&nixos.wants).map(|edge| format!("- {edge}")));
    found.extend(nixos.wants.difference(&debian.wants).map(|edge| format!("+ {edge}")));
    found.into_iter().map(|one| nameless(&one, plan)).collect()
}

#[test]
fn every_difference_is_listed() {
    let found: BTreeSet<_> = plans().iter().flat_map(|(_, plan)| differences(plan)).collect();
    let text: Vec<_> = found.into_iter().collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("nixos");
    settings.bind(|| insta::assert_snapshot!("differences", text.join("\n")));
}

#[test]
fn no_path_of_debian_is_left() {
    for (name, plan) in plans() {
        for target in [nixos(), Target::Nixos(Nixos::default())] {
            for (path, entry) in render_for(&plan, &target).iter() {
                let text = match &entry.content {
                    Content::Text(text) => text,
                    Content::Link(target) => target.as_str(),
                    Content::Directory => "",
                    Content::Secret(id) => panic!("{name}: a key is nobody's business: {id}"),
                };
                for folder in ["/usr/", " /bin/", "=/bin/", "!/bin/", "/sbin/"] {
                    assert!(!text.contains(folder), "{name}: {path} has {folder}: {text}");
                }
                assert!(!path.as_str().contains(".wants/"), "{name}: NixOS does not take {path} of a package");
            }
        }
    }
}

#[test]
fn a_unit_changes_with_the_files_it_reads_and_with_no_others() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/two-vlans.toml")).unwrap();
    let plan = |text: &str| plan_from_toml("host.toml", text).0.expect("the spec is good");
    let before = render_for(&plan(&text), &nixos());
    let changed = |text: &str| -> Vec<String> {
        let after = render_for(&plan(text), &nixos());
        let units = before.iter().filter(|(path, _)| path.parent() == Some("/etc/systemd/system".into()));
        let units = units.filter(|(path, entry)| after.get(path) != Some(*entry));
        units.filter_map(|(path, _)| path.file_name().map(str::to_owned)).collect()
    };
    assert_eq!(changed(&text), Vec::<String>::new());
    // A rule of one zone: that zone, and no other.
    assert_eq!(changed(&text.replace("\"80/tcp\"", "\"81/tcp\"")), ["dmhost-web-zone.service"]);
    // daemon.json of all: dockerd alone, whose containers stay.
    let settings = text.replace("log-driver = \"journald\"", "log-driver = \"local\"");
    assert_eq!(changed(&settings), ["dmhost-lab.service", "dmhost-web.service"]);
    // The way in: the host's own rules.
    let admin = text.replace("192.0.2.10/24", "192.0.2.11/24");
    assert_eq!(changed(&admin), ["nftables.service"]);
}
