//! `dmhost cache`.

use crate::bed::{Bed, ran};

#[test]
fn an_empty_cache_is_listed_and_pruned() {
    let bed = Bed::new();
    assert_eq!(bed.json("cache ls")["entries"], serde_json::json!([]));
    assert_eq!(bed.run("cache prune --all").out, "0 removed, 0 MiB; 0 MiB are left\n");
    assert!(!bed.names().contains(&"cache".to_owned()));
}

#[test]
fn a_limit_removes_what_is_there_and_a_bad_one_is_usage() {
    let bed = Bed::new();
    let packages = bed.path().join("cache/packages");
    fs_err::create_dir_all(&packages).unwrap();
    for name in ["aa.deb", "bb.deb"] {
        fs_err::write(packages.join(name), vec![1; 3 << 20]).unwrap();
    }
    let listed = bed.run("cache ls");
    assert!(listed.out.starts_with("       6 MiB  packages  2 in "), "{listed:?}");
    let pruned = bed.run("cache prune --max-size 4MiB");
    assert_eq!((pruned.code, pruned.out.as_str()), (0, "1 removed, 3 MiB; 3 MiB are left\n"), "{pruned:?}");
    for bad in ["4", "4GB", "GiB", "99999999999TiB"] {
        let ran = bed.run(&format!("cache prune --max-size {bad}"));
        assert_eq!(ran.code, if bad == "4" { 0 } else { 2 }, "{ran:?}");
    }
    assert_eq!(bed.run("cache prune --all --max-size 1GiB").code, 2);
}

#[test]
fn a_bad_limit_is_usage_wherever_it_is_said() {
    let bed = Bed::new();
    for (words, variable) in [
        ("build host.toml --out host.raw --cache-limit 4GB", None),
        ("build host.toml --out host.raw", Some("much")),
        ("verify host.toml --cache-limit=-1", None),
        ("run host.toml --cache-limit 99999999TiB", None),
        ("lab host.toml --on vlan:web --cache-limit=", None),
    ] {
        let ran = ran(bed.command(words).envs(variable.map(|value| ("DMHOST_CACHE_LIMIT", value))));
        ran.refuses(2, &["'--cache-limit <SIZE>'"]);
    }
    assert_eq!(bed.names(), ["host.toml"]);
}
