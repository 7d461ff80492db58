//! One tiny spec per defect, named for what is wrong, and the exact text and JSON that it gets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmhost_layout::diagnostics::Severity;
use dmhost_layout::{Diagnostics, HostSpec, plan_from_bytes, plan_from_toml, resolve};
use fs_err as fs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/defects")
}

/// The stems of the files in `tests/defects` with this extension.
fn stems(extension: &str) -> BTreeSet<String> {
    fs::read_dir(folder())
        .expect("tests/defects is there")
        .map(|entry| entry.expect("tests/defects can be read").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.toml"))).expect("a defect is text")
}

fn diagnostics(name: &str) -> Diagnostics {
    let (plan, diagnostics) = plan_from_toml(&format!("{name}.toml"), &read(name));
    assert_eq!(plan.is_none(), diagnostics.has_errors(), "{name}: a plan is there exactly if there is no error");
    diagnostics
}

#[test]
fn every_defect_gets_its_exact_report() {
    let names = stems("toml");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in &names {
            let diagnostics = diagnostics(name);
            assert!(!diagnostics.is_empty(), "{name} gets no report");
            let json = serde_json::to_string_pretty(&diagnostics.to_json()).expect("JSON can be written");
            insta::assert_snapshot!(name.as_str(), format!("{}\n{json}\n", diagnostics.render(false)));
        }
    });
    assert_eq!(stems("snap"), names, "a snapshot for each defect, and no other");
}

#[test]
fn ten_defects_get_ten_reports() {
    let diagnostics = diagnostics("ten-defects");
    let codes: BTreeSet<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!((diagnostics.len(), codes.len()), (10, 10), "{}", diagnostics.render(false));
}

#[test]
fn every_report_says_what_to_write_and_points_at_something() {
    for name in stems("toml") {
        let diagnostics = diagnostics(&name);
        for diagnostic in diagnostics.iter() {
            assert!(diagnostic.help.is_some(), "{name}: {} has no help", diagnostic.code);
            assert!(!diagnostic.message.ends_with('.'), "{name}: {}", diagnostic.message);
            assert!(diagnostic.span.end <= diagnostics.source().len(), "{name}: {:?}", diagnostic.span);
        }
    }
}

#[test]
fn a_spec_alone_reports_shape_and_resolve_reports_meaning() {
    let shape = HostSpec::from_toml("host.toml", &read("unknown-key")).expect_err("an unknown key");
    assert_eq!(shape.iter().map(|one| one.code).collect::<Vec<_>>(), ["unknown-key"; 3]);
    let spec = HostSpec::from_toml("host.toml", &read("vlan-id-zero")).expect("its shape is good");
    let (plan, meaning) = resolve(&spec);
    assert!(plan.is_none());
    assert_eq!(meaning, plan_from_toml("host.toml", &read("vlan-id-zero")).1);
}

#[test]
fn a_warning_leaves_a_plan() {
    let (plan, diagnostics) = plan_from_toml("host.toml", &read("dns-unreachable"));
    assert!(plan.is_some());
    assert_eq!(diagnostics.iter().map(|one| one.severity).collect::<Vec<_>>(), [Severity::Warning]);
}

#[test]
fn what_is_no_text_or_too_much_of_it_is_refused() {
    let (plan, diagnostics) = plan_from_bytes("host.toml", b"version = 1\nname = \"\xff\"\n");
    assert!(plan.is_none());
    insta::assert_snapshot!(diagnostics.render(false), @r#"
    error[not-utf8]: a host spec is UTF-8, and byte 20 of this file is not
     --> host.toml:2:9
      |
    2 | name = "
      |         ^
      |
      = help: save the file as UTF-8
    "#);
    let (plan, diagnostics) = plan_from_toml("host.toml", &"# ten megabytes\n".repeat(655_360));
    assert!(plan.is_none());
    insta::assert_snapshot!(diagnostics.render(false), @r"
    error[file-too-big]: a host spec has at most 1 MiB, and this file has 10485760 bytes
     --> host.toml:1:1
      |
    1 | # ten megabytes
      | ^
      |
      = help: give the host spec's file
    ");
}
