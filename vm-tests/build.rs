//! Builds the probe (`probe/`) for the guest: a program of its own, linked statically, since its container holds nothing
//! else. The library takes it in with `include_bytes!`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let target = variable("TARGET");
    for file in ["probe/src", "probe/Cargo.toml"] {
        println!("cargo::rerun-if-changed={file}");
    }
    // The guest is a Linux of this machine's architecture; glibc is static by a flag, so no other target has to be installed.
    let folder = out.join("probe");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args(["build", "--quiet", "--release", "--locked", "--package=dmhost-probe", "--target", &target])
        .arg("--manifest-path")
        .arg(here.join("probe/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\u{1f}-Cstrip=symbols")
        // The outer run's wrappers (clippy, coverage) are not for a program that runs in the guest.
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    let status = cargo.status().unwrap_or_else(|error| panic!("cargo cannot be run to build the probe: {error}"));
    assert!(status.success(), "the probe does not build; it needs glibc's static library (Debian: libc6-dev)");
    let built = folder.join(&target).join("release/dmhost-probe");
    copy(&built, &out.join("dmhost-probe"));
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

fn copy(from: &Path, to: &Path) {
    fs_err::copy(from, to).unwrap_or_else(|error| panic!("{error}"));
}
