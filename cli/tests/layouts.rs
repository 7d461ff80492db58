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
