//! `[[host.files]]` on NixOS: each file by the option for its place, with what it holds, its bits and its owner.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{getgid, getuid};
use serde_json::json;

use super::{evaluated, layout_of};
use crate::bed::{Bed, GOOD};

/// Text that a line of tmpfiles.d(5) could lose or change on its way.
const ODD: &str = " %n \\n \\x41\t'one' \"two\" # three\n\n  last, without an end; \u{fc}\u{1}\u{7f}\r ";

#[test]
fn a_file_is_taken_by_the_option_for_its_place() {
    let bed = Bed::new();
    let file = |path: &str, more: &str| format!("\n[[host.files]]\npath = \"{path}\"\ncontent = \"x\"\n{more}");
    let files = [
        file("/etc/motd", ""),
        file("/etc/ops/site.conf", "mode = \"0640\"\nowner = \"ops:adm\"\n"),
        file("/etc/ops/own.conf", "owner = \"ops\"\n"),
        file("/etc/ops/run", "mode = \"0755\"\n"),
        file("/etc/systemd/system/site.service", ""),
        file("/etc/systemd/network/90-site.link", ""),
        file("/etc/udev/rules.d/90-site.rules", ""),
        file("/opt/site.conf", "mode = \"0600\"\nowner = \"ops:adm\"\n"),
    ];
    let spec = bed.write("files.toml", &format!("{GOOD}{}", files.concat()));
    let of = evaluated(&[spec])["specs"][0].clone();
    let values = &of["values"];
    let etc = values["environment"]["etc"].as_object().unwrap();
    let source = |path: &str| format!("/nix/store/layout/etc/{path}");
    assert_eq!(etc["motd"], json!({ "source": source("motd") }));
    let copied = |path: &str, mode: &str, user: &str, group: &str| json!({ "source": source(path), "mode": mode, "user": user, "group": group });
    assert_eq!(etc["ops/site.conf"], copied("ops/site.conf", "0640", "ops", "adm"));
    assert_eq!(etc["ops/own.conf"], copied("ops/own.conf", "0644", "ops", "ops"));
    assert_eq!(etc["ops/run"], copied("ops/run", "0755", "root", "root"));
    // Where NixOS has one link for the whole folder, an entry in it would fail: the layout's own taker takes these.
    assert!(etc.keys().all(|path| !path.starts_with("systemd/") || path == "systemd/network"), "{etc:?}");
    assert!(etc.keys().all(|path| !path.starts_with("udev/")), "{etc:?}");
    let rules = values["systemd"]["tmpfiles"]["rules"].as_array().unwrap();
    assert!(rules.contains(&json!("f+ /opt/site.conf 0600 ops adm - x")), "{rules:?}");
    assert_eq!(of["files"].as_array().unwrap().len(), files.len());
}

#[test]
fn a_file_outside_of_etc_holds_what_the_spec_says() {
    let bed = Bed::new();
    let content = serde_json::to_string(ODD).unwrap().replace('\u{7f}', "\\u007f");
    let file = |path: &str, content: &str| {
        format!("\n[[host.files]]\npath = \"{path}\"\ncontent = {content}\nmode = \"0640\"\nowner = \"ops:ops\"\n")
    };
    let text = format!("{GOOD}{}{}", file("/opt/deep/odd", &content), file("/opt/plain", "\"x\""));
    let (plan, _) = layout_of(&text);
    assert_eq!(plan.host.files[0].content, ODD);
    let spec = bed.write("odd.toml", &text);
    let all = evaluated(&[spec]);
    let rules = all["specs"][0]["values"]["systemd"]["tmpfiles"]["rules"].as_array().unwrap();
    let rules: Vec<_> =
        rules.iter().map(|rule| rule.as_str().unwrap()).filter(|rule| rule.starts_with("f+ ")).collect();
    assert_eq!(rules.len(), 2, "{rules:?}");

    // systemd's own reader of such lines, twice: what is there from before is written anew.
    let conf = bed.write("files.conf", &format!("{}\n", rules.join("\n")));
    let host = bed.path().join("root");
    fs_err::create_dir_all(host.join("etc")).unwrap();
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    fs_err::write(host.join("etc/passwd"), format!("ops:x:{user}:{group}::/:/bin/sh\n")).unwrap();
    fs_err::write(host.join("etc/group"), format!("ops:x:{group}:\n")).unwrap();
    for _ in 0..2 {
        let output = Command::new("systemd-tmpfiles")
            .arg(format!("--root={}", host.display()))
            .arg("--create")
            .arg(&conf)
            .output()
            .unwrap_or_else(|error| panic!("systemd-tmpfiles cannot be run ({error}); ./install-deps has systemd"));
        assert!(output.status.success(), "{rules:?}: {}", String::from_utf8_lossy(&output.stderr));
        for (name, content) in [("opt/deep/odd", ODD), ("opt/plain", "x")] {
            let path = host.join(name);
            assert_eq!(fs_err::read_to_string(&path).unwrap(), content, "{rules:?}");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
            fs_err::write(&path, "changed by hand").unwrap();
        }
    }
}
