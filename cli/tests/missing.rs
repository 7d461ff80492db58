//! Machines that lack something, or have what is known to be broken: what is in the way is covered up, where only the
//! executable under test sees it.

use std::process::Command;

use crate::bed::{Bed, Ran, ran};

/// Builds where these programs are not there; `mkfs` is what stands in place of mkfs.btrfs, and `before` what is run before
/// the executable.
fn build(bed: &Bed, gone: &[&str], mkfs: Option<&str>, before: &[&str]) -> Ran {
    let mut script = "PATH=$PATH:/usr/sbin:/sbin\n".to_owned();
    for program in gone {
        // Whatever PATH says, no folder has it as a file.
        script += &format!("for it in $(type -aP {program}); do mount --bind /dev/null \"$it\"; done\n");
    }
    if let Some(text) = mkfs {
        fs_err::write(bed.path().join("mkfs"), format!("#!/bin/sh\n{text}\n")).unwrap();
        script += "chmod +x mkfs; mount --bind mkfs \"$(type -P mkfs.btrfs)\"\n";
    }
    script += "exec \"$@\"";
    let root = ran(Command::new("id").arg("-u")).out == "0\n";
    let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user", "--map-auto"] };
    let mut command = Command::new("unshare");
    command.args(user).args(["--mount", "--propagation", "private", "bash", "-euc", &script, "bash"]).args(before);
    command.args([env!("CARGO_BIN_EXE_dmhost"), "build", "host.toml", "--out", "host.qcow2"]).current_dir(bed.path());
    let ran = ran(&mut command);
    assert!(!bed.names().iter().any(|name| name.contains("qcow2") || name == "host.lock"), "{:?}", bed.names());
    ran
}

#[test]
fn every_tool_that_is_missing_is_named_at_once() {
    let bed = Bed::new().with_pki();
    build(&bed, &["mmdebstrap", "qemu-img", "mkfs.btrfs"], None, &[]).refuses(
        3,
        &[
            "\n  mmdebstrap: install the package mmdebstrap\n",
            "\n  qemu-img: install the package qemu-utils\n",
            "\n  mkfs.btrfs: install the package btrfs-progs (6.13 or later; on Debian 12 from bookworm-backports)\n",
            "\nall of it, on Debian: apt-get install mmdebstrap qemu-utils btrfs-progs\n",
        ],
    );
}

#[test]
fn an_mkfs_that_is_too_old_or_broken_is_refused() {
    let bed = Bed::new().with_pki();
    let says = |help: &str, version: &str| {
        format!("case $1 in --help) echo '{help}';; --version) echo 'mkfs.btrfs, part of btrfs-progs {version}';; esac")
    };
    let old = says("--rootdir DIR", "v6.2");
    build(&bed, &[], Some(&old), &[]).refuses(3, &["\n  mkfs.btrfs with --subvol: install the package btrfs-progs"]);
    let broken = says("--rootdir DIR --subvol TYPE:SUBDIR --compress ALGO", "v7.0");
    build(&bed, &[], Some(&broken), &[])
        .refuses(3, &["\n  mkfs.btrfs other than 7.0: ", "(7.0 writes files that cannot be read)"]);
}

#[test]
fn fakeroot_is_refused() {
    let bed = Bed::new().with_pki();
    // What fakeroot tells the programs that it runs.
    build(&bed, &[], None, &["env", "FAKEROOTKEY=1"]).refuses(3, &["this is fakeroot", "as yourself or as root"]);
}
