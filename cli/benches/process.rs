//! `dmhost check` and `dmhost render` as whole processes, by the number of daemons: 64 are to take under 50 ms.

use std::path::Path;
use std::process::{Command, Stdio};

use dmhost_layout::plan_from_toml;

#[path = "../../layout/benches/hosts.rs"]
mod hosts;

const DAEMONS: [usize; 4] = [1, 8, 64, 512];

fn main() {
    divan::main();
}

fn spec(folder: &Path, daemons: usize) -> std::path::PathBuf {
    let text = hosts::spec(daemons);
    assert!(plan_from_toml("host.toml", &text).1.is_empty(), "the spec is good");
    let file = folder.join("host.toml");
    fs_err::write(&file, text).expect("the folder is ours");
    file
}

fn run(args: &[&std::ffi::OsStr]) {
    let status =
        Command::new(env!("CARGO_BIN_EXE_dmhost")).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("dmhost is built").success());
}

#[divan::bench(args = DAEMONS)]
fn check(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let folder = tempfile::tempdir().expect("there is room in TMPDIR");
    let spec = spec(folder.path(), daemons);
    bencher.bench(|| run(&["check".as_ref(), spec.as_os_str()]));
}

#[divan::bench(args = DAEMONS)]
fn render(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let folder = tempfile::tempdir().expect("there is room in TMPDIR");
    let spec = spec(folder.path(), daemons);
    let out = folder.path().join("layout");
    let args = ["render".as_ref(), spec.as_os_str(), "--without-secrets".as_ref(), "--out".as_ref(), out.as_os_str()];
    bencher.bench(|| run(&args));
}
