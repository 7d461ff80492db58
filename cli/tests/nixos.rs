//! The pure part of `nix/`, evaluated by Nix, against what dmhost itself makes of the same specs.
//!
//! Nix is Debian's `nix-bin`: it evaluates without a store. What needs nixpkgs is in `nix/test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use dmhost_layout::render::{Nixos, Program, Target};
use dmhost_layout::{Content, Entry, Layout, plan_from_toml, render, render_for};
use serde_json::{Value, json};

use crate::bed::Bed;

mod derivation;
mod docs;
mod files;
mod options;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every spec of the examples and of the layout's scenarios.
fn specs() -> Vec<PathBuf> {
    let mut specs = Vec::new();
    for folder in ["examples", "layout/tests/scenarios"] {
        for entry in fs_err::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                specs.push(path);
            }
        }
    }
    assert!(specs.len() > 8, "{specs:?}");
    specs
}

/// What Nix makes of a file of nix/tests.
fn nix(file: &str, arguments: &[(&str, String)]) -> Value {
    let mut command = Command::new("nix-instantiate");
    command.arg(root().join("nix/tests").join(file));
    for (name, value) in arguments {
        command.args(["--arg", name, value]);
    }
    evaluate(&mut command)
}

/// What Nix makes of an expression.
fn nix_expression(text: &str) -> Value {
    evaluate(Command::new("nix-instantiate").args(["--expr", text]))
}

fn evaluate(command: &mut Command) -> Value {
    let output = command
        .args(["--eval", "--strict", "--json", "--store", "dummy://"])
        .output()
        .unwrap_or_else(|error| panic!("nix-instantiate cannot be run ({error}); ./install-deps has nix-bin"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What nix/tests/pure.nix makes of the specs.
fn evaluated(specs: &[PathBuf]) -> Value {
    let list: Vec<_> = specs.iter().map(|path| path.display().to_string()).collect();
    nix("pure.nix", &[("specs", format!("[ {} ]", list.join(" ")))])
}

fn layout_of(text: &str) -> (dmhost_layout::HostPlan, Layout) {
    let (plan, diagnostics) = plan_from_toml("host.toml", text);
    let plan = plan.unwrap_or_else(|| panic!("{}\n{text}", diagnostics.render(false)));
    let layout = render(&plan);
    (plan, layout)
}

#[test]
fn a_spec_written_by_nix_is_the_same_host() {
    let specs = specs();
    let all = evaluated(&specs);
    for (path, of) in specs.iter().zip(all["specs"].as_array().unwrap()) {
        let text = fs_err::read_to_string(path).unwrap();
        assert_eq!(of["text"], json!(text), "a file is taken as it is");
        assert_eq!(of["name"], json!(path.file_name().unwrap().to_str().unwrap()));
        assert_eq!(of["same"], json!(true), "{}: what is written reads back", path.display());
        let written = of["written"].as_str().unwrap();
        let (nix, own) = (layout_of(written).1, layout_of(&text).1);
        assert!(nix.iter().map(|(path, _)| path).eq(own.iter().map(|(path, _)| path)), "{}", path.display());
        for ((file, nix), (_, own)) in nix.iter().zip(own.iter()) {
            // Nix orders keys by name, and a table of `settings` keeps the order it came in: JSON has none.
            let json = |entry: &Entry| match &entry.content {
                Content::Text(text) if file.extension() == Some("json") => serde_json::from_str::<Value>(text).ok(),
                Content::Text(_) | Content::Secret(_) | Content::Link(_) | Content::Directory => None,
            };
            let same = json(nix).map_or(nix == own, |value| Some(value) == json(own));
            assert!(same, "{}: {file} is another one:\n{written}", path.display());
        }
    }
}

#[test]
fn options_of_nixos_say_what_debians_files_say() {
    let specs = specs();
    let all = evaluated(&specs);
    for (path, of) in specs.iter().zip(all["specs"].as_array().unwrap()) {
        let (plan, layout) = layout_of(&fs_err::read_to_string(path).unwrap());
        let text = |path: &str| layout.text_at(path.into());
        let host = &of["host"];
        let at = path.display();
        assert_eq!(Some(format!("{}\n", host["name"].as_str().unwrap()).as_str()), text("/etc/hostname"), "{at}");

        let lines = |file: &str, start: &str| -> Vec<String> {
            let lines = text(file).unwrap_or_default().lines().map(str::to_owned);
            lines.filter(|line| line.starts_with(start)).collect()
        };
        let groups: Vec<_> = host["groups"].as_object().unwrap().keys().map(|group| format!("g {group} -")).collect();
        assert_eq!(groups, lines("/etc/sysusers.d/dmhost.conf", "g "), "{at}");

        let mounts: BTreeMap<_, _> = plan.daemons.keys().map(|name| (name.data_root(), name.subvolume())).collect();
        assert_eq!(host["subvolumes"], json!(mounts), "{at}");
        assert_eq!(host["hasQuota"], json!(plan.daemons.values().any(|daemon| daemon.quota.is_some())), "{at}");

        let Some(admin) = &plan.host.admin else {
            assert_eq!((&host["sshd"], &host["users"]), (&json!({}), &json!({})), "{at}");
            assert_eq!(of["clashes"]["services.openssh.enable"], json!(false), "{at}");
            continue;
        };
        let user = &host["users"][&admin.user];
        let keys: String = user["openssh"]["authorizedKeys"]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| format!("{}\n", key.as_str().unwrap().trim()))
            .collect();
        assert_eq!(Some(keys.as_str()), text(&format!("/etc/ssh/authorized_keys.d/{}", admin.user)), "{at}");
        let members: Vec<_> = user["extraGroups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|group| format!("m {} {}", admin.user, group.as_str().unwrap()))
            .collect();
        assert_eq!(members, lines("/etc/sysusers.d/dmhost-admin.conf", "m "), "{at}");

        let sshd = &host["sshd"];
        let mut settings = vec![format!("HostKey {}", sshd["hostKeys"][0]["path"].as_str().unwrap())];
        for (key, value) in sshd["settings"].as_object().unwrap() {
            let value = match value {
                Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
                Value::Array(words) => words.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" "),
                value => value.as_str().unwrap().to_owned(),
            };
            settings.push(format!("{key} {value}"));
        }
        // NixOS reads keys of the home folder, too, unless it is told not to; its own file is the same as Debian's here.
        assert_eq!(sshd["authorizedKeysInHomedir"], json!(false));
        settings.push("AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u".to_owned());
        settings.sort();
        let mut debian = lines("/etc/ssh/sshd_config.d/dmhost.conf", "");
        debian.retain(|line| !line.starts_with('#'));
        debian.sort();
        assert_eq!(settings, debian, "{at}");
    }
}

#[test]
fn the_module_takes_every_file_and_names_every_program() {
    let specs = specs();
    let all = evaluated(&specs);
    let programs: BTreeMap<String, String> = serde_json::from_value(all["programs"].clone()).unwrap();
    assert_eq!(programs.keys().map(String::as_str).collect::<Vec<_>>(), Program::ALL.map(Program::name));
    let target = Target::Nixos(Nixos {
        programs: programs.iter().map(|(name, path)| (Program::named(name).unwrap(), path.into())).collect(),
        ..Nixos::default()
    });
    let taken: Vec<_> = all["taken"].as_array().unwrap().iter().map(|pattern| pattern.as_str().unwrap()).collect();
    for path in &specs {
        let (plan, _) = layout_of(&fs_err::read_to_string(path).unwrap());
        let layout = render_for(&plan, &target);
        // The spec's own files have options by their places: see `files`.
        let own = |path: &camino::Utf8Path| plan.host.files.iter().any(|file| file.path == path);
        for (path, _) in layout.iter().filter(|(path, _)| !own(path)) {
            let below = path.as_str().trim_start_matches('/');
            let by = taken.iter().filter(|pattern| match pattern.strip_suffix('*') {
                Some(folder) => below.starts_with(folder),
                None => below == **pattern,
            });
            assert_eq!(by.count(), 1, "{path} is taken once");
            let text = layout.text_at(path).unwrap_or_default();
            assert!(!text.contains("/run/current-system"), "{path}: {text}");
        }
        // What the folder of the resolver links to is in the layout.
        assert_eq!(all["tmpfiles"][1], "L+ /run/dmhost_resolver/resolv.conf - - - - /etc/dmhost/host-resolv.conf");
        assert!(layout.text_at("/etc/dmhost/host-resolv.conf".into()).is_some());
        for source in all["etc"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(|source| source.as_str()?.strip_prefix("/nix/store/layout"))
        {
            let folder = source.trim_end_matches("/*");
            assert!(layout.iter().any(|(path, _)| path.starts_with(folder)), "{source} is nothing of the layout");
        }
    }
}

#[test]
fn a_bad_spec_of_attributes_is_told_by_its_line() {
    let bed = Bed::new();
    bed.write("host.toml", &crate::bed::GOOD.replace("id = 20", "id = 10"));
    let all = evaluated(&[bed.path().join("host.toml")]);
    bed.write("spec.toml", all["specs"][0]["written"].as_str().unwrap());
    let ran = bed.run("render spec.toml --target nixos --out layout");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("error[vlan-id-duplicate]") && ran.err.contains("spec.toml:"), "{}", ran.err);
    assert!(!bed.path().join("layout").exists());
}
