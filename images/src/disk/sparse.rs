//! Copies that leave holes holes: a disk of 64 GiB holds a few hundred MiB.

use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use anyhow::Context;
use fs_err::File;
use rustix::fs::{SeekFrom as Find, copy_file_range};
use rustix::io::Errno;

use super::Extent;

/// Bytes that a file takes on its file system.
pub(crate) fn allocated(file: &File) -> std::io::Result<u64> {
    Ok(file.metadata()?.blocks() * 512)
}

/// What is handed out to a thread at a time, in bytes.
const PART: u64 = 8 << 20;

/// Copies the data of `from` into `extent` of `to`; the kernel does it without a detour where it can. Parts that were copied
/// [`Ahead`] are compared, and copied again where they have changed since.
///
/// # Errors
/// If `from` is longer than `extent`, or reading or writing fails.
pub(crate) fn copy_into(
    from: &File,
    to: &File,
    extent: Extent,
    ahead: &Ahead,
    mut copied: impl FnMut(u64, u64),
) -> anyhow::Result<()> {
    let size = from.metadata()?.len();
    anyhow::ensure!(size <= extent.length, "{} is longer than its partition", from.path().display());
    let attempt = || format!("could not copy {} into {}", from.path().display(), to.path().display());
    let parts = data(from.file()).with_context(attempt)?;
    let total = parts.iter().map(|(start, end)| end - start).sum();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(4);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (send, parts_done) = channel();
        let work = |send: std::sync::mpsc::Sender<u64>| {
            let (next, parts) = (&next, &parts);
            move || -> std::io::Result<()> {
                let mut buffers = Buffers::default();
                while let Some(&(start, end)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let put = if ahead.parts.contains(&(start, end)) { renew } else { copy };
                    put(from.file(), to.file(), start..end, extent.start + start, &mut buffers)?;
                    // Nobody hears it where the caller has gone.
                    let _ = send.send(end - start);
                }
                Ok(())
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work(send.clone()))).collect();
        drop(send);
        let mut done = 0;
        for part in parts_done {
            done += part;
            copied(done, total);
        }
        running
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .with_context(attempt)
    })
}

/// Where a file has data, in parts of at most 8 MiB: from where to where.
pub(crate) fn data(file: &std::fs::File) -> std::io::Result<Vec<(u64, u64)>> {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        let start = match rustix::fs::seek(file, Find::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(parts),
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(file, Find::Hole(start))?;
        let mut begin = start;
        while begin < at {
            let end = at.min(begin + PART);
            parts.push((begin, end));
            begin = end;
        }
    }
}

/// What goes through a buffer at a time, where the kernel does not copy by itself: no more than a processor's cache holds.
const BUFFER: usize = 256 << 10;

/// What is to be copied, and what is there.
#[derive(Default)]
struct Buffers {
    source: Vec<u8>,
    target: Vec<u8>,
}

/// Parts that were copied while their file was still being written.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    parts: Vec<(u64, u64)>,
}

impl Ahead {
    /// Copies the whole parts that `from` has by now and had not before, and sees to it that they are on their way to the disk.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub(crate) fn copy(&mut self, from: &File, to: &File, extent: Extent) -> anyhow::Result<()> {
        let attempt = || format!("could not copy {} into {}", from.path().display(), to.path().display());
        let parts = data(from.file()).with_context(attempt)?;
        let fresh = parts.into_iter().filter(|part| part.1 - part.0 == PART && !self.parts.contains(part));
        let fresh: Vec<_> = fresh.collect();
        for &(start, end) in &fresh {
            copy(from.file(), to.file(), start..end, extent.start + start, &mut Buffers::default())
                .with_context(attempt)?;
        }
        if !fresh.is_empty() {
            to.file().sync_data().with_context(attempt)?;
        }
        self.parts.extend(fresh);
        Ok(())
    }
}

/// Copies what is not there already.
fn renew(
    from: &std::fs::File,
    to: &std::fs::File,
    range: std::ops::Range<u64>,
    at: u64,
    Buffers { source, target }: &mut Buffers,
) -> std::io::Result<()> {
    for start in range.clone().step_by(BUFFER) {
        let length = usize::try_from(range.end - start).map_or(BUFFER, |left| left.min(BUFFER));
        source.resize(length, 0);
        target.resize(length, 0);
        from.read_exact_at(source, start)?;
        to.read_exact_at(target, at + start - range.start)?;
        if source != target {
            to.write_all_at(source, at + start - range.start)?;
        }
    }
    Ok(())
}

fn copy(
    from: &std::fs::File,
    to: &std::fs::File,
    range: std::ops::Range<u64>,
    at: u64,
    Buffers { source: buffer, target: _ }: &mut Buffers,
) -> std::io::Result<()> {
    let (mut source, mut target) = (range.start, at);
    while source < range.end {
        let left = usize::try_from(range.end - source).unwrap_or(usize::MAX);
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), left) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            // A file system that has no such thing.
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL) => {
                buffer.resize(left.min(BUFFER), 0);
                from.read_exact_at(buffer, source)?;
                to.write_all_at(buffer, target)?;
                source += buffer.len() as u64;
                target += buffer.len() as u64;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

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
        let extent = Extent { start: 1 << 20, length: 64 << 20 };
        copy_into(&from, &to, extent, &Ahead::default(), |_, _| {}).expect("it fits");
        assert!(allocated(&to).expect("it is there") < 1 << 20);
        let mut found = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(to.file(), &mut found, 41 << 20).expect("it is there");
        assert_eq!(&found, b"data");
        let short = copy_into(&from, &to, Extent { start: 0, length: 1 << 20 }, &Ahead::default(), |_, _| {})
            .expect_err("it does not fit");
        assert_eq!(short.to_string(), format!("{} is longer than its partition", path("from")));
    }

    #[test]
    fn what_was_copied_ahead_is_what_the_file_came_to() {
        let open = || File::from_parts(tempfile::tempfile().expect("a file"), "file");
        let (from, to) = (open(), open());
        let extent = Extent { start: 1 << 20, length: 3 * PART };
        from.set_len(extent.length).expect("a hole");
        to.set_len(extent.start + extent.length).expect("a hole");
        let mut ahead = Ahead::default();
        let read = || {
            let mut bytes = vec![0; usize::try_from(extent.length).expect("it is small")];
            to.file().read_exact_at(&mut bytes, extent.start).expect("it is there");
            bytes
        };
        // One part whole, and one begun.
        let part = usize::try_from(PART).expect("it is small");
        let mut whole = vec![1; part + 5000];
        from.file().write_all_at(&whole, 0).expect("written");
        ahead.copy(&from, &to, extent).expect("it is copied");
        assert_eq!(ahead.parts, [(0, PART)]);
        assert_eq!(read()[part - 1..=part], [1, 0], "the part that was begun is not copied");
        // Then that one is written to the end, and some of the first anew.
        whole.resize(2 * part + 1, 2);
        whole[300_000] = 3;
        from.file().write_all_at(&whole, 0).expect("written");
        ahead.copy(&from, &to, extent).expect("it is copied");
        assert_eq!(ahead.parts, [(0, PART), (PART, 2 * PART)]);
        assert_eq!(read()[300_000], 1, "it was copied before");
        copy_into(&from, &to, extent, &ahead, |_, _| {}).expect("it fits");
        whole.resize(usize::try_from(extent.length).expect("it is small"), 0);
        assert!(read() == whole, "the copy is another");
    }
}
