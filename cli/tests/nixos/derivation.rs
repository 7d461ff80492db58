//! The derivation that renders a layout: its script, run as a builder of Nix would.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::{nix, specs};
use crate::bed::{Bed, GOOD};

/// Runs the script of the derivation in a folder of its own, as a builder of Nix would.
fn build(bed: &Bed, spec: &Path) -> Output {
    let name = json!(spec.file_name().unwrap().to_str().unwrap());
    let derivation = nix("build.nix", &[("spec", json!(spec).to_string()), ("name", name.to_string())]);
    let programs = bed.write("programs", derivation["programs"].as_str().unwrap());
    let work = bed.path().join("work");
    fs_err::create_dir(&work).unwrap();
    let dmhost = Path::new(env!("CARGO_BIN_EXE_dmhost")).parent().unwrap();
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", derivation["script"].as_str().unwrap()])
        .current_dir(work)
        .env("PATH", format!("{}:{}", dmhost.display(), std::env::var("PATH").unwrap()))
        .env("programsPath", programs)
        .env("out", bed.path().join("out"))
        .output()
        .unwrap()
}

#[test]
fn the_derivation_makes_the_layout_and_nothing_else() {
    for spec in specs() {
        let bed = Bed::new();
        let output = build(&bed, &spec);
        assert!(output.status.success(), "{}: {}", spec.display(), String::from_utf8_lossy(&output.stderr));
        let out = bed.path().join("out");
        assert_eq!(fs_err::read_dir(&out).unwrap().count(), 1, "etc alone");
        for (path, (_, bytes)) in bed.tree("out") {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("/usr/") && !text.contains("/run/current-system"), "{}: {text}", path.display());
            if path.ends_with("tls") {
                assert!(text.starts_with("/run/keys/"), "{}: {text}", path.display());
            }
        }
    }
}

#[test]
fn the_derivation_of_a_bad_spec_fails_with_its_report() {
    let bed = Bed::new();
    let spec = bed.write("bad.toml", &GOOD.replace("id = 20", "id = 10"));
    let output = build(&bed, &spec);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("error[vlan-id-duplicate]") && told.contains("bad.toml:"),
        "{told}"
    );
    assert!(!bed.path().join("out").exists());
}
