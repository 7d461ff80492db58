//! The capture: every frame that crosses a guest's port, both ways, in one pcapng file.
//!
//! One interface per port under its name; nanoseconds; the direction in `epb_flags` as the guest sees it (1 inbound,
//! 2 outbound). Frames are numbered from 1 as Wireshark does, so that a report can name one.

use std::borrow::Cow;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use fs_err::File;
use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};

/// Which way a frame crosses a guest's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The guest sent it.
    FromGuest,
    /// The guest is given it.
    ToGuest,
}

/// A capture file that is being written.
pub struct Capture {
    writer: PcapNgWriter<BufWriter<File>>,
    frames: u64,
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Capture {
    /// Makes the file, in place of one that is there, with an interface per name.
    ///
    /// # Errors
    /// If the file cannot be made or written.
    pub fn create(path: &Path, interfaces: &[String]) -> Result<Self> {
        let file = File::create(path).context("cannot make the capture")?;
        let mut writer =
            PcapNgWriter::new(BufWriter::with_capacity(1 << 20, file)).context("cannot begin the capture")?;
        for name in interfaces {
            let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
            interface.options.push(InterfaceDescriptionOption::IfName(Cow::Borrowed(name)));
            // The crate writes nanoseconds whatever the resolution; the file must say so.
            interface.options.push(InterfaceDescriptionOption::IfTsResol(9));
            writer.write_block(&interface.into_block()).context("cannot describe an interface in the capture")?;
        }
        Ok(Self { writer, frames: 0 })
    }

    /// Appends a frame of the interface with this index; gives its number.
    ///
    /// # Errors
    /// If the disk takes no more.
    pub fn write(&mut self, interface: u32, direction: Direction, frame: &[u8]) -> Result<u64> {
        let flags = match direction {
            Direction::ToGuest => 1,
            Direction::FromGuest => 2,
        };
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            // Cannot truncate: frames are bounded by the link.
            original_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(frame),
            options: vec![EnhancedPacketOption::Flags(flags)],
        };
        self.writer.write_block(&block.into_block()).context("cannot write a frame to the capture")?;
        self.frames += 1;
        Ok(self.frames)
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// If the disk takes no more.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.get_mut().flush().context("cannot write the capture out")
    }
}
