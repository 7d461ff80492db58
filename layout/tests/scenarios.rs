//! Whole layouts under their true paths: one folder per scenario, one snapshot per entry.
//!
//! `scenarios/NAME.toml` is rendered and compared with `scenarios/NAME/PATH.snap`. insta lets an orphan pass, so the set of
//! snapshots is compared with the set of entries as well: a new or a missing file fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmhost_layout::plan::DaemonName;
use dmhost_layout::{Content, Layout, plan_from_toml, render};
use fs_err as fs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn layout_of(name: &str) -> Layout {
    let file = folder().join(format!("{name}.toml"));
    let text = fs::read_to_string(&file).expect("a scenario has a spec");
    let (plan, diagnostics) = plan_from_toml(&format!("{name}.toml"), &text);
    let plan = plan.unwrap_or_else(|| panic!("{name} plans cleanly:\n{}", diagnostics.render(false)));
    render(&plan)
}

/// Every `.snap` below `folder`, as the absolute path of the entry it shows.
fn snapshots(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
    let Ok(items) = fs::read_dir(folder) else { return };
    for item in items {
        let item = item.expect("the folder can be read");
        let name = item.file_name().into_string().expect("snapshots have plain names");
        if item.path().is_dir() {
            snapshots(&item.path(), &format!("{below}/{name}"), found);
        } else if let Some(entry) = name.strip_suffix(".snap") {
            found.insert(format!("{below}/{entry}"));
        }
    }
}

fn compare(name: &str) {
    let layout = layout_of(name);
    let mut entries = BTreeSet::new();
    let mut subvolumes = String::new();
    for subvolume in layout.subvolumes() {
        let mount = subvolume.mount.as_ref().map_or("not mounted", |path| path.as_str());
        subvolumes.push_str(&format!("{}: {mount}\n", subvolume.name));
    }
    let shown = layout.iter().map(|(path, entry)| {
        let (mode, text) = match &entry.content {
            Content::Text(text) => (entry.mode, text.clone()),
            Content::Secret(id) => (entry.mode, format!("secret: {id}\n")),
            Content::Link(target) => (0o777, format!("link: {target}\n")),
            Content::Directory => (entry.mode, "directory\n".to_owned()),
        };
        let path = match entry.content {
            Content::Directory => format!("{path}/directory"),
            Content::Text(_) | Content::Secret(_) | Content::Link(_) => path.to_string(),
        };
        (path, mode, text)
    });
    for (path, mode, text) in shown.chain([("/subvolumes".to_owned(), 0o755, subvolumes)]) {
        let (parent, file) = path.rsplit_once('/').expect("entries are absolute");
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder().join(format!("{name}{parent}")));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description(format!("{path} {mode:04o}"));
        settings.bind(|| insta::assert_snapshot!(file, text));
        entries.insert(path);
    }
    let mut found = BTreeSet::new();
    snapshots(&folder().join(name), "", &mut found);
    assert_eq!(found, entries, "the snapshots of {name} are those of its entries");
}

#[test]
fn prefixes_without_nat() {
    compare("routed");
}

#[test]
fn containers_on_the_segments_of_interfaces() {
    compare("segments");
}

#[test]
fn two_vlans_with_an_admin_nic() {
    compare("two-vlans");
}

#[test]
fn nic_of_its_own_and_vlans_on_another() {
    compare("own-nic-and-vlans");
}

#[test]
fn minimal() {
    compare("minimal");
}

#[test]
fn four_nics() {
    compare("four-nics");
}

#[test]
fn tagged_only_trunk() {
    compare("tagged-only-trunk");
}

#[test]
fn dual_stack_with_several_addresses() {
    compare("dual-stack-multi-address");
}

#[test]
fn routers_that_are_learnt() {
    compare("learnt-routers");
}

#[test]
fn a_daemon_with_two_gateways() {
    compare("two-gateways");
}

#[test]
fn expose_lists() {
    compare("expose-lists");
}

#[test]
fn egress_lists() {
    compare("egress-lists");
}

#[test]
fn defaults_merged_under_daemons() {
    compare("defaults-merged");
}

#[test]
fn sixteen_daemons() {
    compare("sixteen-daemons");
}

#[test]
fn packages_and_files() {
    compare("packages-and-files");
}

#[test]
fn the_older_base() {
    compare("debian-12");
}

#[test]
fn the_vendors_engine() {
    compare("docker-ce");
}

#[test]
fn daemons_in_the_hosts_namespace() {
    compare("classic-shared");
}

#[test]
fn apis_in_plain_text() {
    compare("plain-text");
}

#[test]
fn zones_and_shared_daemons() {
    compare("mixed");
}

/// A unit of the host's own is no daemon's: its name is refused for one.
#[test]
fn units_of_the_host_are_reserved() {
    let daemons: BTreeSet<&str> = BTreeSet::from(["web", "lab", "ci"]);
    let mut seen = BTreeSet::new();
    for name in ["two-vlans", "mixed", "packages-and-files"] {
        for (path, _) in layout_of(name).iter() {
            let unit = path.as_str().strip_prefix("/etc/systemd/system/dmhost-");
            let Some(own) = unit.and_then(|unit| unit.strip_suffix(".service")) else { continue };
            if !own.contains('-') && !daemons.contains(own) {
                assert!(own.parse::<DaemonName>().is_err(), "{path} would be a daemon's");
                seen.insert(own.to_owned());
            }
        }
    }
    assert!(seen.contains("grow") && seen.contains("refusals"), "{seen:?}");
}
