//! `dmhost build`, `verify` and `run`, as far as nothing is booted.

use crate::bed::{Bed, GOOD, ran};

#[test]
fn a_dry_run_tells_the_steps_and_makes_nothing() {
    let bed = Bed::new().with_pki();
    let before = bed.tree(".");
    let ran = bed.run("build host.toml --out host.raw --dry-run");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for words in ["mmdebstrap", "assemble", "EFI system partition", "host.raw"] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(bed.json("build host.toml --out host.raw --dry-run")["steps"].as_array().unwrap().len(), 6);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn the_vendors_engine_takes_its_key_and_no_other() {
    let bed = Bed::new();
    bed.write("host.toml", &GOOD.replace("[host]\n", "[host]\nengine = \"docker-ce\"\n"));
    let bed = bed.with_pki();
    bed.write("key", "not a key\n");
    let no_key =
        ["https://download.docker.com/linux/debian", "`--engine-key FILE`", "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"];
    for words in ["build host.toml --out host.raw", "build host.toml --out host.raw --dry-run"] {
        bed.run(words).refuses(2, &no_key);
        let line = "key is no key of an archive: it has no line -----BEGIN PGP PUBLIC KEY BLOCK-----";
        bed.run(&format!("{words} --engine-key key")).refuses(2, &[line]);
        bed.run(&format!("{words} --engine-key nowhere"))
            .refuses(2, &["could not read the key of the engine's archive"]);
    }
    assert_eq!(bed.names(), ["host.pki", "host.toml", "key"]);
}

#[test]
fn an_image_that_is_there_is_not_touched() {
    let bed = Bed::new().with_pki();
    bed.write("host.raw", "mine\n");
    std::os::unix::fs::symlink("nowhere", bed.path().join("dangling")).unwrap();
    let before = bed.tree(".");
    for words in ["build host.toml --out host.raw", "build host.toml --out host.raw --dry-run"] {
        bed.run(words).refuses(2, &["host.raw is there already; say --force to overwrite it"]);
    }
    bed.run("build host.toml --out dangling").refuses(2, &["dangling is there already"]);
    bed.run("build host.toml --out host.pki --force").refuses(2, &["host.pki is no file: it is left as it is"]);
    bed.run("build host.toml --out nowhere/host.raw").refuses(2, &["nowhere is no folder"]);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn certificates_that_do_not_fit_are_named() {
    let bed = Bed::new();
    for words in ["build host.toml --out host.raw", "verify host.toml"] {
        bed.run(words).refuses(2, &["`dmhost pki init host.toml`", "there is no PKI folder host.pki"]);
    }
    let bed = bed.with_pki();
    bed.write("host.toml", &GOOD.replace("\"203.0.113.3/24\"", "\"203.0.113.3/24\", \"203.0.113.77/24\""));
    for words in ["build host.toml --out host.raw", "build host.toml --out host.raw --dry-run", "verify host.toml"] {
        let stale = "\n  host.pki/lab/server/cert.pem lacks 203.0.113.77\n";
        bed.run(words).refuses(2, &["`dmhost pki init host.toml`", stale]);
    }
}

#[test]
fn what_is_no_image_is_usage() {
    let bed = Bed::new().with_pki();
    bed.write("text.raw", "not a disk\n");
    bed.write("zeros.raw", &"\0".repeat(1 << 20));
    let before = bed.tree(".");
    bed.run("verify host.toml --image nowhere.raw").refuses(2, &["nowhere.raw is not a file"]);
    bed.run("verify host.toml --image host.pki").refuses(2, &["host.pki is not a file"]);
    for image in ["text.raw", "zeros.raw", "host.toml"] {
        let no = format!("{image} is no image of dmhost's; `dmhost build` makes one");
        bed.run(&format!("verify host.toml --image {image}")).refuses(2, &[&no]);
    }
    assert_eq!(bed.tree("."), before);
}

#[test]
fn missing_tools_are_the_machines_and_all_named_before_anything_is_built() {
    let bed = Bed::new().with_pki();
    for path in ["", "/nowhere"] {
        let ran = ran(bed.command("verify host.toml").env("PATH", path));
        ran.refuses(3, &["qemu-system-x86_64: install the package qemu-system-x86", "qemu-img", "setpriv"]);
    }
    assert_eq!(bed.names(), ["host.pki", "host.toml"]);
}

#[test]
fn a_cache_that_cannot_be_written_to_is_the_machines() {
    let bed = Bed::new().with_pki();
    bed.write("full", "");
    for command in ["build host.toml --out host.raw", "verify host.toml"] {
        bed.run(&format!("{command} --cache-dir full/cache")).refuses(3, &["full/cache"]);
    }
    assert_eq!(bed.names(), ["full", "host.pki", "host.toml"]);
}

#[test]
fn a_session_takes_a_terminal() {
    Bed::new().run("run host.toml").refuses(2, &["standard input has to be a terminal"]);
}

#[test]
fn disks_of_any_size_and_many_daemons_are_planned() {
    let bed = Bed::new();
    for (size, code) in [("2GiB", 0), ("8TiB", 0), ("1MiB", 1), ("16EiB", 1)] {
        bed.write("host.toml", &GOOD.replace("16GiB", size));
        assert_eq!(bed.run("check host.toml").code, code, "{size}");
    }
    let (mut text, _) = GOOD.split_once("[interfaces.web]").map(|(head, tail)| (head.to_owned(), tail)).unwrap();
    for n in 0..40 {
        text += &format!(
            "[interfaces.v{n}]\nvlan = {{ parent = \"trunk\", id = {} }}\naddresses = [\"10.{n}.0.2/24\"]\n",
            100 + n
        );
        text += &format!("[daemons.d{n}]\ninterfaces = [\"v{n}\"]\napi = {{}}\n");
    }
    bed.write("host.toml", &text.replace("16GiB", "64GiB"));
    let bed = bed.with_pki();
    let ran = bed.run("build host.toml --out host.raw --dry-run");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn formats_are_told_by_the_name() {
    let bed = Bed::new().with_pki();
    let ran = bed.run("build host.toml --out host.qcow2 --dry-run");
    assert!(ran.code == 0 && ran.out.contains("qemu-img convert -q -f raw -O qcow2"), "{ran:?}");
    bed.run("build host.toml --out host.vmdk").refuses(2, &["written as raw disks or", "qemu-img convert"]);
    assert_eq!(bed.names(), ["host.pki", "host.toml"]);
}
