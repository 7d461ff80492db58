//! docs/nixos.md: every snippet of Nix parses, and is what the words around it say.

use std::process::Command;

use serde_json::{Value, json};

use super::{nix_expression, root};
use crate::bed::{Bed, GOOD};

/// The snippets of a language, in their order.
fn snippets(language: &str) -> Vec<String> {
    let text = fs_err::read_to_string(root().join("docs/nixos.md")).unwrap();
    let start = format!("```{language}\n");
    let parts = text.split(start.as_str()).skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_snippet_of_nix_parses() {
    let bed = Bed::new();
    let snippets = snippets("nix");
    assert_eq!(snippets.len(), 4, "{snippets:?}");
    for (number, snippet) in snippets.iter().enumerate() {
        let path = bed.write(&format!("{number}.nix"), snippet);
        let output =
            Command::new("nix-instantiate").args(["--store", "dummy://", "--parse"]).arg(path).output().unwrap();
        assert!(output.status.success(), "{snippet}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_flake_makes_the_host_of_its_spec() {
    let bed = Bed::new();
    let snippets = snippets("nix");
    bed.write("flake.nix", &snippets[0]);
    bed.write("machine.nix", &snippets[1]);
    let flake = bed.path().join("flake.nix");
    // mkHost as it is called: which arguments it takes is held by nix/tests/flake.nix.
    let made = nix_expression(&format!(
        "((import {}).outputs {{ self = null; dmhost.lib.mkHost = host: {{
            spec = builtins.readFile host.spec;
            arguments = builtins.attrNames host;
            machine = import (builtins.head host.modules);
        }}; }}).nixosConfigurations",
        flake.display()
    ));
    assert_eq!(made.as_object().unwrap().keys().collect::<Vec<_>>(), ["atlas"]);
    let host = &made["atlas"];
    assert_eq!(host["spec"], json!(GOOD));
    assert_eq!(host["arguments"], json!(["modules", "spec"]));
    // What nix/tests/module.nix does with this module needs nixpkgs' lib; here it is the values alone.
    assert_eq!(host["machine"]["services"]["dmhost"]["device"], host["machine"]["fileSystems"]["/"]["device"]);
}

#[test]
fn the_spec_of_attributes_is_a_good_host() {
    let bed = Bed::new();
    let module = bed.write("module.nix", &snippets("nix")[2]);
    let lib = root().join("nix/lib");
    let written: Value = nix_expression(&format!(
        "(import {}).spec.text (import {}).services.dmhost.spec",
        lib.display(),
        module.display()
    ));
    bed.write("spec.toml", written.as_str().unwrap());
    let ran = bed.run("render spec.toml --target nixos --out layout");
    assert_eq!(ran.code, 0, "{ran:?}\n{written}");
}

#[test]
fn a_disk_of_debian_is_found_by_its_partitions() {
    let text = fs_err::read_to_string(root().join("docs/nixos.md")).unwrap();
    let moving = text.split("## Moving").nth(1).unwrap().split("\n## ").next().unwrap();
    // As the kernel of every image finds it: its file system has another label.
    let place = format!("PARTLABEL={}", dmhost_images::disk::ROOT_LABEL);
    let devices: Vec<_> = moving.split([' ', '`', '\n']).filter(|word| word.contains("LABEL=")).collect();
    assert!(devices.len() > 2, "{devices:?}");
    for device in devices {
        assert!([place.as_str(), "PARTLABEL=dmhost-esp"].contains(&device), "{device} is no partition of an image");
    }
    assert!(!moving.contains("/by-label/"), "a label of a file system");
}
