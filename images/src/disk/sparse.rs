//! Copies that leave holes holes: a disk of 64 GiB holds a few hundred MiB.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use anyhow::Context;
use fs_err::File;
use rustix::fs::SeekFrom as Find;
use rustix::io::Errno;

use super::Extent;

/// Bytes that a file takes on its file system.
pub(crate) fn allocated(file: &File) -> std::io::Result<u64> {
    Ok(file.metadata()?.blocks() * 512)
}

/// Copies the data of `from` into `extent` of `to`; the kernel does it without a detour where it can.
///
/// # Errors
/// If `from` is longer than `extent`, or reading or writing fails.
pub(crate) fn copy_into(
    from: &File,
    to: &File,
    extent: Extent,
    mut copied: impl FnMut(u64, u64),
) -> anyhow::Result<()> {
    let size = from.metadata()?.len();
    anyhow::ensure!(size <= extent.length, "{} is longer than its partition", from.path().display());
    let total = allocated(from)?;
    let attempt = || format!("could not copy {} into {}", from.path().display(), to.path().display());
    let (mut source, mut target) = (from.file(), to.file());
    let mut done = 0;
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(source, Find::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error).with_context(attempt),
        };
        let end = rustix::fs::seek(source, Find::Hole(start)).with_context(attempt)?;
        source.seek(SeekFrom::Start(start)).with_context(attempt)?;
        target.seek(SeekFrom::Start(extent.start + start)).with_context(attempt)?;
        let written =
            std::io::copy(&mut Read::by_ref(&mut source).take(end - start), &mut target).with_context(attempt)?;
        anyhow::ensure!(written == end - start, "{} became shorter while it was copied", from.path().display());
        target.flush().with_context(attempt)?;
        done += written;
        copied(done, total.max(done));
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn holes_stay_and_data_arrives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Utf8PathBuf::from_path_buf(folder.path().join(name)).expect("UTF-8");
        let open =
            |name: &str| File::options().read(true).write(true).create_new(true).open(path(name)).expect("a new file");
        let mut from = open("from");
        from.set_len(64 << 20).expect("a hole");
        from.seek(SeekFrom::Start(40 << 20)).expect("inside");
        from.write_all(b"data").expect("written");
        let to = open("to");
        to.set_len(128 << 20).expect("a hole");
        copy_into(&from, &to, Extent { start: 1 << 20, length: 64 << 20 }, |_, _| {}).expect("it fits");
        assert!(allocated(&to).expect("it is there") < 1 << 20);
        let mut found = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(to.file(), &mut found, 41 << 20).expect("it is there");
        assert_eq!(&found, b"data");
        let short =
            copy_into(&from, &to, Extent { start: 0, length: 1 << 20 }, |_, _| {}).expect_err("it does not fit");
        assert_eq!(short.to_string(), format!("{} is longer than its partition", path("from")));
    }
}
