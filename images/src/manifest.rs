//! A base's manifest: everything in it by path, written when it is made, and what tells at a glance that it is untouched.
//!
//! The glance is a listing of sizes, modes, owners and times, since hashing half a gigabyte before each build is more than
//! the build. What it cannot see, bytes that changed by themselves, shows when an image made of them is read back: the base is
//! hashed then, and made anew if it is to blame.

use std::io::Read;

use anyhow::Context;
use camino::Utf8Path;
use sha2::{Digest, Sha256};

use crate::command::Command;
use crate::contents::{Contents, Kind, Node};
use crate::machine::Privilege;
use crate::pins::hex;

/// The manifest in a base's folder.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The glance, and the manifest's own hash, beside it.
const SEAL: &str = "seal";

/// Writes the manifest of `FOLDER/root` into `FOLDER`.
pub(crate) fn write(folder: &Utf8Path, privilege: Privilege) -> anyhow::Result<()> {
    let root = folder.join("root");
    let contents = read(&root, privilege)?;
    let text = serde_json::to_string(&contents).context("could not write a manifest")?;
    fs_err::write(folder.join(SEAL), seal(&root, &text, privilege)?)?;
    fs_err::write(folder.join(MANIFEST), text)?;
    Ok(())
}

fn read(root: &Utf8Path, privilege: Privilege) -> anyhow::Result<Contents> {
    let words = [
        "tar",
        "--create",
        "--format=posix",
        "--sort=name",
        "--numeric-owner",
        "--hard-dereference",
        "--xattrs",
        "--xattrs-include=*",
        "--directory",
        root.as_str(),
        ".",
    ];
    let command = Command::privileged(privilege, words);
    command.read(|stream| contents_of_tar(stream)).with_context(|| format!("could not read {root}"))
}

/// The manifest of a base, if the base is as it was when that was written.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn check(folder: &Utf8Path, privilege: Privilege) -> anyhow::Result<Contents> {
    let text = fs_err::read_to_string(folder.join(MANIFEST))?;
    let sealed = fs_err::read_to_string(folder.join(SEAL))?;
    anyhow::ensure!(seal(&folder.join("root"), &text, privilege)? == sealed, "it is not as it was put there");
    serde_json::from_str(&text).context("its manifest is not one")
}

/// Whether every byte of a base is as it was, which takes as long as reading them all.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn holds(folder: &Utf8Path, meant: &Contents, privilege: Privilege) -> anyhow::Result<bool> {
    Ok(read(&folder.join("root"), privilege)? == *meant)
}

/// Has the next [`check`] fail: the base is then made anew.
pub(crate) fn break_seal(folder: &Utf8Path) -> anyhow::Result<()> {
    Ok(fs_err::remove_file(folder.join(SEAL))?)
}

fn seal(root: &Utf8Path, manifest: &str, privilege: Privilege) -> anyhow::Result<String> {
    let words = ["find", root.as_str(), "-xdev", "-printf", "%P %y %m %U %G %s %T@ %l\\n"];
    let mut lines = Vec::new();
    Command::privileged(privilege, words)
        .run(Vec::new(), |line| lines.push(line.to_owned()))
        .with_context(|| format!("could not list {root}"))?;
    lines.sort();
    Ok(format!("{}\n{}\n", hex(&Sha256::digest(lines.join("\n"))), hex(&Sha256::digest(manifest))))
}

fn contents_of_tar(stream: impl Read) -> anyhow::Result<Contents> {
    const ATTRIBUTE: &str = "SCHILY.xattr.";
    let mut contents = Contents::default();
    for entry in tar::Archive::new(stream).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8(entry.path_bytes().into_owned()).context("a name is not UTF-8")?;
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let path = if path == "." { String::new() } else { path };
        let mut node = {
            let header = entry.header();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => Kind::Directory,
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().context("a link leads nowhere")?.into_owned();
                    Kind::Link { target: String::from_utf8(target).context("a link's target is not UTF-8")? }
                }
                tar::EntryType::Regular => Kind::File { size: 0, sha256: String::new() },
                other => anyhow::bail!("{path} is of the kind {other:?}, which a base has not"),
            };
            let number = |value: u64| u32::try_from(value).with_context(|| format!("an id of {path} is too large"));
            Node {
                mode: header.mode()? & 0o7777,
                uid: number(header.uid()?)?,
                gid: number(header.gid()?)?,
                xattrs: std::collections::BTreeMap::new(),
                kind,
            }
        };
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                if let Some(name) = extension.key()?.strip_prefix(ATTRIBUTE) {
                    node.xattrs.insert(name.to_owned(), hex(extension.value_bytes()));
                }
            }
        }
        if let Kind::File { size, sha256 } = &mut node.kind {
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 1 << 16];
            loop {
                match entry.read(&mut buffer)? {
                    0 => break,
                    read => {
                        *size += read as u64;
                        hash.update(&buffer[..read]);
                    }
                }
            }
            *sha256 = hex(&hash.finalize());
        }
        contents.nodes.insert(path, node);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_base_that_was_changed_is_not_taken_for_what_it_was() {
        let privilege = Privilege::of_this_process();
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let root = folder.join("root");
        fs_err::create_dir_all(root.join("bin")).expect("a folder");
        fs_err::write(root.join("bin/one"), "one").expect("a file");
        fs_err::os::unix::fs::symlink("one", root.join("bin/two")).expect("a link");
        fs_err::set_permissions(root.join("bin/one"), PermissionsExt::from_mode(0o4755)).expect("a mode");
        write(folder, privilege).expect("it is written");
        let contents = check(folder, privilege).expect("it is as it was");
        assert_eq!(contents.nodes.keys().collect::<Vec<_>>(), ["", "bin", "bin/one", "bin/two"]);
        let one = &contents.nodes["bin/one"];
        assert_eq!((one.mode, &one.kind), (0o4755, &Kind::File { size: 3, sha256: hex(&Sha256::digest("one")) }));
        assert_eq!(contents.nodes["bin/two"].kind, Kind::Link { target: "one".to_owned() });

        let whole = fs_err::read_to_string(folder.join(MANIFEST)).expect("it is there");
        let damages: [&dyn Fn(); 4] = [
            &|| fs_err::write(root.join("bin/one"), "eno").expect("a file"),
            &|| fs_err::remove_file(root.join("bin/two")).expect("it is there"),
            &|| fs_err::write(root.join("more"), "").expect("a file"),
            &|| fs_err::write(folder.join(MANIFEST), whole.replace('3', "4")).expect("a file"),
        ];
        for damage in damages {
            damage();
            let error = check(folder, privilege).expect_err("it is damaged");
            assert_eq!(error.to_string(), "it is not as it was put there");
            write(folder, privilege).expect("it is written");
            check(folder, privilege).expect("it is as it was");
        }
    }
}
