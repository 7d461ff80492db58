//! A partition in memory, as long as what was written to it: what is behind that reads as zeros.
//!
//! A FAT is made by reads and writes of four bytes, hundreds of thousands of them, which is no work for a file.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};

use super::window::target;

/// A partition of this length.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What was written, from its start.
    pub(crate) bytes: Vec<u8>,
    length: u64,
    at: u64,
}

impl Memory {
    pub(crate) fn new(length: u64) -> Self {
        Self { bytes: Vec::new(), length, at: 0 }
    }

    /// The stretch from here on that is in the partition, at most `wanted` long.
    fn stretch(&self, wanted: usize) -> Result<std::ops::Range<usize>> {
        let wide = |_| Error::from(ErrorKind::OutOfMemory);
        let room = usize::try_from(self.length.saturating_sub(self.at)).map_err(wide)?.min(wanted);
        let at = usize::try_from(self.at).map_err(wide)?;
        Ok(at..at + room)
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let stretch = self.stretch(buffer.len())?;
        let room = stretch.len();
        let there = self.bytes.get(stretch.start..stretch.end.min(self.bytes.len())).unwrap_or_default();
        buffer[..there.len()].copy_from_slice(there);
        buffer[there.len()..room].fill(0);
        self.at += room as u64;
        Ok(room)
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        let stretch = self.stretch(buffer.len())?;
        let room = stretch.len();
        if self.bytes.len() < stretch.end {
            self.bytes.resize(stretch.end, 0);
        }
        self.bytes[stretch].copy_from_slice(&buffer[..room]);
        self.at += room as u64;
        Ok(room)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = target(to, self.at, self.length)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_the_partition_and_takes_what_was_written() {
        let mut memory = Memory::new(8);
        memory.seek(SeekFrom::Start(2)).expect("it is inside");
        memory.write_all(b"ab").expect("there is room");
        assert_eq!(memory.bytes, b"\0\0ab");
        memory.rewind().expect("it is inside");
        let mut all = Vec::new();
        memory.read_to_end(&mut all).expect("it is read");
        assert_eq!(all, b"\0\0ab\0\0\0\0");
        memory.seek(SeekFrom::End(-1)).expect("it is inside");
        assert_eq!(memory.write(b"xyz").expect("one goes in"), 1);
        assert!(memory.seek(SeekFrom::Current(-9)).is_err_and(|error| error.kind() == ErrorKind::InvalidInput));
    }
}
