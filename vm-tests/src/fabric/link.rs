//! The transport of QEMU's `-netdev stream,addr.type=unix`: a 4-byte big-endian length, then the raw frame
//! (`net/stream.c`, `net_fill_rstate` in `net/net.c`).
//!
//! Both directions are batched: one read takes what is there, one write gives all that waits.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::Range;

/// The longest frame QEMU sends: `NET_BUFSIZE` of its `include/net/net.h`, 4096 + 65536.
pub const MAX_FRAME: usize = 69_632;
/// What one read takes at most.
const READ: usize = 256 * 1024;
/// What may wait for a guest that does not read; beyond it frames are dropped, as by a real switch.
const QUEUE: usize = 16 * 1024 * 1024;

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Deframer {
    /// Reads once. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    /// What the read says, `WouldBlock` among them.
    pub fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        // A whole frame fits behind whatever part of one is left.
        self.buffer.resize(READ + MAX_FRAME + 4, 0);
        let read = from.read(&mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// The next whole frame, as a range for [`Deframer::bytes`].
    ///
    /// # Errors
    /// A length that no QEMU sends: the stream is out of step and of no more use.
    pub fn next_frame(&mut self) -> io::Result<Option<Range<usize>>> {
        let Some(header) = self.buffer[self.start..self.end].first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > MAX_FRAME {
            let text = format!("a frame of {length} bytes is announced, more than QEMU's {MAX_FRAME}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let body = self.start + 4;
        if self.end < body + length {
            return Ok(None);
        }
        self.start = body + length;
        Ok(Some(body..body + length))
    }

    /// The bytes of a frame, until the next [`Deframer::fill`].
    pub fn bytes(&self, frame: Range<usize>) -> &[u8] {
        &self.buffer[frame]
    }
}

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<u8>,
}

impl Outbox {
    /// Puts a frame at the end; `false` if there is no room and it is dropped.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        if self.waiting.len() + frame.len() + 4 > QUEUE || frame.len() > MAX_FRAME {
            return false;
        }
        // Cannot truncate: MAX_FRAME is far below 2^32.
        let length = u32::try_from(frame.len()).unwrap_or(0);
        self.waiting.extend(length.to_be_bytes());
        self.waiting.extend(frame);
        true
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes until all is gone or the other side takes no more (then `Ok(false)`).
    ///
    /// # Errors
    /// What the write says: the connection is gone.
    pub fn flush(&mut self, to: &mut impl Write) -> io::Result<bool> {
        while !self.waiting.is_empty() {
            match to.write(self.waiting.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
