//! Units by the initial RAM disk, for a systemd that takes none as credentials.
//!
//! The kernel unpacks archives that stand one behind the other, so the image's own is followed by one of ours
//! (Documentation/driver-api/early-userspace/buffer-format.rst). initramfs-tools(7) reads `conf/conf.d` before it runs
//! its scripts, by the list in each folder's `ORDER`; the last of them run when `/run` is there and is about to become the root's.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Has the initial RAM disk in `initrd` put a unit's file into `/run/systemd/system`; `path` is the file's place there.
pub(super) fn add_unit(initrd: &Path, path: &str, text: &str) -> Result<()> {
    let archive = archive(path, text).with_context(|| format!("cannot pack {path} for an initial RAM disk"))?;
    let mut file = fs_err::OpenOptions::new().append(true).open(initrd)?;
    // Zeros between archives are skipped, and each begins at a multiple of four.
    let length = file.metadata()?.len();
    let padding = length.next_multiple_of(4) - length;
    file.write_all(&[0; 4][..usize::try_from(padding)?])?;
    file.write_all(&archive)?;
    Ok(())
}

/// The archive: the unit, and a line for the list of scripts that puts it into place.
fn archive(path: &str, text: &str) -> Result<Vec<u8>> {
    let name = path.replace('/', "_");
    let place = format!("/run/systemd/system/{path}");
    let (folder, _) = place.rsplit_once('/').context("a unit is in a folder")?;
    let mut script = "cat >>/scripts/init-bottom/ORDER <<'END'\n".to_owned();
    writeln!(script, "mkdir -p '{folder}' && cat '/dmhost-{name}' >'{place}'\nEND")?;
    let mut bytes = Vec::new();
    for (name, text) in [(format!("dmhost-{name}"), text), (format!("conf/conf.d/dmhost-{name}"), &script)] {
        let entry = cpio::newc::Builder::new(&name).mode(0o100_644).nlink(1);
        let mut writer = entry.write(&mut bytes, u32::try_from(text.len())?);
        writer.write_all(text.as_bytes())?;
        writer.finish()?;
    }
    cpio::newc::trailer(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_follows_what_is_there_and_cpio_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let initrd = folder.path().join("initrd");
        fs_err::write(&initrd, "own..").expect("a file");
        add_unit(&initrd, "a.service.d/b.conf", "[Service]\n").expect("it is added");
        let bytes = fs_err::read(&initrd).expect("it is there");
        assert_eq!(&bytes[..8], b"own..\0\0\0");
        let mut found = Vec::new();
        let mut rest = &bytes[8..];
        loop {
            let mut reader = cpio::newc::Reader::new(rest).expect("an entry");
            if reader.entry().is_trailer() {
                break;
            }
            let mut text = String::new();
            std::io::Read::read_to_string(&mut reader, &mut text).expect("text");
            found.push((reader.entry().name().to_owned(), text));
            rest = reader.finish().expect("the next entry");
        }
        let script = "cat >>/scripts/init-bottom/ORDER <<'END'\n\
                      mkdir -p '/run/systemd/system/a.service.d' && \
                      cat '/dmhost-a.service.d_b.conf' >'/run/systemd/system/a.service.d/b.conf'\nEND\n";
        let expected =
            [("dmhost-a.service.d_b.conf", "[Service]\n"), ("conf/conf.d/dmhost-a.service.d_b.conf", script)];
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}
