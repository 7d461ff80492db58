//! Hand-made daemon.json files, one folder of them per machine, and the exact report they get.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmhost_layout::diagnostics::Severity;
use dmhost_layout::{Diagnostics, lint};
use fs_err as fs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

/// The names in a folder that are folders, or that are files.
fn names(folder: &Path, folders: bool) -> BTreeSet<String> {
    fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.is_dir() == folders)
        .map(|path| path.file_name().expect("it has a name").to_string_lossy().into_owned())
        .collect()
}

/// The report of one machine's files, which are given in the order of their names.
fn report(machine: &str) -> Vec<Diagnostics> {
    let folder = folder().join(machine);
    let files: Vec<_> = names(&folder, false)
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(folder.join(&name)).expect("a file is text");
            (name, text)
        })
        .collect();
    lint(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

fn codes(machine: &str) -> BTreeSet<&'static str> {
    report(machine).iter().flat_map(Diagnostics::iter).map(|one| one.code).collect()
}

#[test]
fn every_machine_gets_its_exact_report() {
    let machines = names(&folder(), true);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for machine in &machines {
            let text: Vec<_> =
                report(machine).iter().map(|one| one.render(false)).filter(|one| !one.is_empty()).collect();
            insta::assert_snapshot!(machine.as_str(), text.join("\n"));
        }
    });
    let snapshots = names(&folder(), false);
    let expected = machines.iter().map(|machine| format!("{machine}.snap")).collect();
    assert_eq!(snapshots, expected, "a snapshot for each machine, and no other");
}

#[test]
fn every_trap_of_the_template_recipe_is_named() {
    let found = codes("template-units");
    for trap in [
        "iptables-flushed",
        "ip-any",
        "data-root-prefix",
        "api-open",
        "socket-shared",
        "flag-and-file",
        "bridge-and-bip",
        "pools-missing",
        "containerd-found",
    ] {
        assert!(found.contains(trap), "{trap} is not in {found:?}");
    }
}

#[test]
fn daemons_that_are_apart_get_no_word() {
    let reports = report("apart");
    assert_eq!(reports.len(), 2);
    assert!(
        reports.iter().all(Diagnostics::is_empty),
        "{}",
        reports.iter().map(|one| one.render(false)).collect::<String>()
    );
}

#[test]
fn every_report_says_what_to_write() {
    for machine in names(&folder(), true) {
        for file in report(&machine) {
            for one in file.iter() {
                assert!(one.help.is_some(), "{machine}: {} has no help", one.code);
                assert!(one.span.end <= file.source().len(), "{machine}: {:?} in {}", one.span, file.file());
            }
        }
    }
}

#[test]
fn what_dmhost_renders_has_no_errors_as_far_as_one_daemon_goes() {
    let text =
        fs::read_to_string(folder().join("../scenarios/dual-stack-multi-address.toml")).expect("a scenario is text");
    let (plan, _) = dmhost_layout::plan_from_toml("host.toml", &text);
    let layout = dmhost_layout::render(&plan.expect("the scenario plans"));
    let json = layout.text_at("/etc/dmhost/web/daemon.json".into()).expect("the daemon has a file");
    let reports = lint(&[("daemon.json", json)]);
    let errors: Vec<_> = reports[0].iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{}", reports[0].render(false));
}

#[test]
fn an_empty_file_is_a_daemon_with_all_of_dockerds_defaults() {
    assert!(lint(&[("daemon.json", "")])[0].is_empty());
    assert!(lint(&[("daemon.json", "null")])[0].is_empty());
}

#[test]
fn many_daemons_alike_get_few_reports_each() {
    let names: Vec<_> = (0..200).map(|n| format!("{n}.json")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let reports = lint(&files);
    assert!(reports.iter().all(|one| one.len() < 12), "{}", reports[199].render(false));
}
