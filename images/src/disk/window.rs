//! A partition as if it were a file: every offset is from its start, and nothing beyond its end is touched.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use super::Extent;

/// A stretch of a file, read and written with offsets of its own.
#[derive(Debug)]
pub struct Window<F> {
    file: F,
    extent: Extent,
    at: u64,
}

impl<F> Window<F> {
    /// The stretch `extent` of `file`.
    pub fn new(file: F, extent: Extent) -> Self {
        Self { file, extent, at: 0 }
    }

    fn room(&self, wanted: usize) -> usize {
        usize::try_from(self.extent.length.saturating_sub(self.at)).map_or(wanted, |left| left.min(wanted))
    }
}

impl Read for Window<&std::fs::File> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let room = self.room(buffer.len());
        let read = self.file.read_at(&mut buffer[..room], self.extent.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Window<&std::fs::File> {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        let room = self.room(buffer.len());
        let written = self.file.write_at(&buffer[..room], self.extent.start + self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<F> Seek for Window<F> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = target(to, self.at, self.extent.length)?;
        Ok(self.at)
    }
}

/// Where a seek leads to in a partition of this length, from `at`.
pub(super) fn target(to: SeekFrom, at: u64, length: u64) -> Result<u64> {
    let target = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::Current(by) => at.checked_add_signed(by),
        SeekFrom::End(by) => length.checked_add_signed(by),
    };
    target.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a seek to before the partition's start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_neither_reads_nor_writes_beyond_its_ends() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"aaaabbbbcccc").expect("it is written");
        let mut window = Window::new(&file, Extent { start: 4, length: 4 });
        let mut text = String::new();
        window.read_to_string(&mut text).expect("it is read");
        assert_eq!(text, "bbbb");
        window.seek(SeekFrom::End(-2)).expect("it is inside");
        assert_eq!(window.write(b"xxxx").expect("it is written"), 2);
        assert!(window.seek(SeekFrom::Current(-9)).is_err_and(|error| error.kind() == ErrorKind::InvalidInput));
        let mut whole = String::new();
        file.rewind().expect("it is a file");
        file.read_to_string(&mut whole).expect("it is read");
        assert_eq!(whole, "aaaabbxxcccc");
    }
}
