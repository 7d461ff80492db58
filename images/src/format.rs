//! Formats of an image: a raw disk as it is, or qcow2, which hypervisors import and which is small without holes.

use std::fmt;
use std::io::Read;

use anyhow::{Context, bail};
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt;

use crate::command::Command;

/// How an image is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The disk itself; its holes take no room on file systems that know holes.
    Raw,
    /// QEMU's own, by `qemu-img`.
    Qcow2,
}

impl Format {
    /// The format that a file's name asks for: `.qcow2`, else raw.
    ///
    /// # Errors
    /// If it asks for one that is not written here.
    pub fn of(out: &Utf8Path) -> anyhow::Result<Self> {
        match out.extension().map(str::to_ascii_lowercase).as_deref() {
            Some("qcow2") => Ok(Self::Qcow2),
            Some(other @ ("vmdk" | "vdi" | "vhd" | "vhdx" | "qcow" | "qed" | "iso")) => bail!(
                "{out}: images are written as raw disks or, with a name that ends in .qcow2, as qcow2; \
                 for {other}, write one of these and see `qemu-img convert`"
            ),
            Some(_) | None => Ok(Self::Raw),
        }
    }

    /// The format that a file has.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn found_in(file: &Utf8Path) -> anyhow::Result<Self> {
        let mut head = Vec::new();
        fs_err::File::open(file)?.take(4).read_to_end(&mut head).with_context(|| format!("could not read {file}"))?;
        // https://www.qemu.org/docs/master/interop/qcow2.html
        Ok(if head == b"QFI\xfb" { Self::Qcow2 } else { Self::Raw })
    }

    /// Makes a raw disk of an image in this format.
    ///
    /// # Errors
    /// If `to` cannot be written, or `qemu-img` is missing or fails.
    pub fn unpack(self, image: &Utf8Path, to: &Utf8Path) -> anyhow::Result<()> {
        let format = self.to_string();
        drop(fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?);
        let argv = ["qemu-img", "convert", "-q", "-f", &format, "-O", "raw", image.as_str(), to.as_str()];
        Command::plain(argv).run(Vec::new(), |_| {}).with_context(|| format!("could not make a raw disk of {image}"))
    }

    /// The command that makes this format of the raw disk `from`; `None`: it is that already. `to` exists and is empty.
    pub(crate) fn convert(self, from: &Utf8Path, to: &Utf8Path) -> Option<Command> {
        match self {
            Self::Raw => None,
            Self::Qcow2 => Some(Command::plain([
                "qemu-img",
                "convert",
                "-q",
                "-f",
                "raw",
                "-O",
                "qcow2",
                from.as_str(),
                to.as_str(),
            ])),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_which() {
        let of = |name: &str| Format::of(Utf8Path::new(name));
        assert_eq!(of("atlas.qcow2").expect("it is one"), Format::Qcow2);
        for raw in ["atlas.raw", "atlas.img", "atlas", "atlas.v2"] {
            assert_eq!(of(raw).expect("it is raw"), Format::Raw);
        }
        let refused = of("out/atlas.vmdk").expect_err("it is not written here").to_string();
        assert_eq!(
            refused,
            "out/atlas.vmdk: images are written as raw disks or, with a name that ends in .qcow2, as qcow2; for vmdk, \
             write one of these and see `qemu-img convert`"
        );
    }
}
