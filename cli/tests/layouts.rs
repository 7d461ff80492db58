//! `dmhost render`: true paths, never a stranger's folder, all or nothing.

use crate::bed::{Bed, GOOD};

#[test]
fn files_stand_under_their_true_paths_with_their_modes() {
    let bed = Bed::new().with_pki();
    let ran = bed.run("render host.toml --out layout");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let tree = bed.tree("layout");
    let at = |path: &str| &tree[&bed.path().join("layout").join(path)];
    assert_eq!(at("etc/hostname").1, b"atlas\n");
    assert_eq!(at("etc/systemd/system/docker.service").1, b"/dev/null");
    for daemon in ["web", "lab"] {
        assert_eq!(at(&format!("etc/dmhost/{daemon}/tls")).0, 0o700);
        let key = at(&format!("etc/dmhost/{daemon}/tls/key.pem"));
        assert_eq!(
            (key.0, key.1.as_slice()),
            (0o600, fs_err::read(bed.path().join(format!("host.pki/{daemon}/server/key.pem"))).unwrap().as_slice())
        );
    }
    assert!(!tree.keys().any(|path| path.ends_with("ca-key.pem") || path.to_string_lossy().ends_with(".missing")));

    let json = bed.json("render host.toml --out layout");
    assert_eq!(json["out"], "layout");
    let files = json["files"].as_array().unwrap();
    assert!(files.iter().all(|file| bed.path().join("layout").join(file.as_str().unwrap()).symlink_metadata().is_ok()));
    assert_eq!(bed.names(), ["host.pki", "host.toml", "layout"]);
}

#[test]
fn without_secrets_no_key_is_read_or_written() {
    let bed = Bed::new();
    bed.run("render host.toml --out layout").refuses(2, &["`dmhost pki init host.toml`", "--without-secrets"]);
    assert_eq!(bed.names(), ["host.toml"]);

    let ran = bed.run("render host.toml --out layout --without-secrets");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let tls: Vec<_> = fs_err::read_dir(bed.path().join("layout/etc/dmhost/web/tls"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(tls.len(), 3, "{tls:?}");
    assert!(tls.iter().all(|name| name.ends_with(".pem.missing")), "{tls:?}");
}

#[test]
fn a_strangers_folder_stays_as_it_is() {
    let bed = Bed::new();
    fs_err::create_dir_all(bed.path().join("theirs/etc")).unwrap();
    bed.write("theirs/etc/hostname", "mine\n");
    bed.write("file", "mine\n");
    std::os::unix::fs::symlink("theirs", bed.path().join("link")).unwrap();
    let before = bed.tree(".");
    let render = |out: &str| bed.run(&format!("render host.toml --without-secrets --out {out}"));
    render("theirs").refuses(2, &["theirs holds files that dmhost did not write"]);
    render(".").refuses(2, &["holds files that dmhost did not write"]);
    render("..").refuses(2, &["names no folder that could be made"]);
    render("/").refuses(2, &["names no folder"]);
    render("file").refuses(2, &["file is there and is not a folder"]);
    render("link").refuses(2, &["link is there and is not a folder"]);
    render("nowhere/layout").refuses(2, &["nowhere is not a folder"]);
    render("/proc/layout").refuses(3, &["cannot make the folder /proc/.layout.dmhost-render"]);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn its_own_folder_is_replaced_whole() {
    let bed = Bed::new();
    fs_err::create_dir(bed.path().join("layout")).unwrap();
    assert_eq!(bed.run("render host.toml --out layout --without-secrets").code, 0);
    let first = bed.tree("layout");
    assert_eq!(bed.run("render host.toml --out layout/ --without-secrets").code, 0);
    assert_eq!(bed.tree("layout"), first);

    let (web, _) = GOOD.split_once("[daemons.lab]").unwrap();
    bed.write("host.toml", web);
    assert_eq!(bed.run("render host.toml --out layout --without-secrets").code, 0);
    let second = bed.tree("layout");
    let gone = bed.path().join("layout/etc/systemd/system/dmhost-lab.service");
    assert!(first.contains_key(&gone) && !second.contains_key(&gone));
    assert_eq!(bed.names(), ["host.toml", "layout"]);
}

#[test]
fn a_failure_on_the_way_leaves_the_old_layout() {
    let bed = Bed::new().with_pki();
    assert_eq!(bed.run("render host.toml --out layout").code, 0);
    // The last secret is missing: most files have been written aside by then.
    fs_err::remove_file(bed.path().join("host.pki/web/server/key.pem")).unwrap();
    let before = bed.tree(".");
    bed.run("render host.toml --out layout").refuses(3, &["host.pki/web/server/key.pem is missing"]);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn a_layout_for_nixos_needs_no_keys_and_holds_none() {
    let bed = Bed::new();
    bed.write("programs.json", r#"{ "ip": "/nix/store/abc-iproute2-6.1/bin/ip" }"#);
    let ran = bed.run("render host.toml --out layout --target nixos --programs programs.json --credentials /run/keys");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let tree = bed.tree("layout");
    let at = |path: &str| String::from_utf8_lossy(&tree[&bed.path().join("layout").join(path)].1).into_owned();
    assert_eq!(at("etc/dmhost/web/tls"), "/run/keys/web");
    let zone = at("etc/systemd/system/dmhost-web-zone.service");
    assert!(zone.contains("\nExecStart=/nix/store/abc-iproute2-6.1/bin/ip netns add dmhost-web\n"), "{zone}");
    assert!(zone.contains("/run/current-system/sw/bin/nft -f /etc/dmhost/web/nftables.conf\n"), "{zone}");
    assert!(!tree.keys().any(|path| path.extension().is_some_and(|end| end == "missing" || end == "pem")));
}

#[test]
fn what_a_layout_for_nixos_cannot_refer_to_is_refused() {
    let bed = Bed::new();
    let render = |words: &str| bed.run(&format!("render host.toml --out layout {words}"));
    bed.write("bad.json", r#"{ "apt": "/bin/apt", "ip": "bin/ip", "nft": "/a b/nft" }"#);
    render("--target nixos --programs bad.json").refuses(
        2,
        &[
            "apt is no program that a layout calls",
            "ip: bin/ip is not an absolute path",
            "nft: /a b/nft has a character",
            "what a layout calls: btrfs, cp, docker, dockerd,",
        ],
    );
    bed.write("bad.json", "[]");
    render("--target nixos --programs bad.json").refuses(2, &["bad.json is not a JSON object of programs"]);
    render("--target nixos --programs gone.json").refuses(2, &["cannot read the programs of gone.json"]);
    render("--target nixos --credentials keys").refuses(2, &["--credentials keys is not an absolute path"]);
    render("--target nixos --credentials /nix/store/keys").refuses(2, &["is in the store"]);
    render("--programs bad.json").refuses(2, &["--programs is for --target nixos"]);
    render("--credentials /run/keys").refuses(2, &["--credentials is for --target nixos"]);
    assert_eq!(bed.names(), ["bad.json", "host.toml"]);
}
