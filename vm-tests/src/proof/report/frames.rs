//! Frames of the capture, by their numbers, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use smoltcp::wire::{EthernetFrame, PrettyPrinter};

use crate::fabric::tag::{outer, rewrite};

/// The frames of these numbers, each in words.
///
/// # Errors
/// If the capture cannot be read or ends before the last of them.
pub(super) fn describe(capture: &Path, wanted: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>> {
    let Some(last) = wanted.last() else { return Ok(BTreeMap::new()) };
    let file = std::io::BufReader::with_capacity(1 << 20, fs_err::File::open(capture)?);
    let unreadable = || format!("{} is no capture", capture.display());
    let mut reader = PcapNgReader::new(file).with_context(unreadable)?;
    let (mut names, mut found, mut number) = (Vec::new(), BTreeMap::new(), 0);
    while number < *last {
        let block = reader.next_block().with_context(|| format!("{} ends at frame {number}", capture.display()))?;
        match block.with_context(unreadable)? {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                names.push(name.unwrap_or_default());
            }
            Block::EnhancedPacket(packet) => {
                number += 1;
                if wanted.contains(&number) {
                    let inbound = packet.options.iter().any(|option| matches!(option, EnhancedPacketOption::Flags(1)));
                    let name = names.get(packet.interface_id as usize).map_or("", String::as_str);
                    let way = if inbound { "to the host" } else { "from the host" };
                    found.insert(
                        number,
                        format!("{way}, NIC {name}, {} bytes{}", packet.data.len(), words(&packet.data)),
                    );
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A frame in words, layer by layer.
fn words(frame: &[u8]) -> String {
    let (tag, plain) = match outer(frame) {
        Some((Some(tag), rest)) => {
            let vid = tag.vid.map_or_else(|| "priority tag".to_owned(), |vid| vid.to_string());
            (format!("\n802.1Q {vid}"), rewrite(frame, rest, None))
        }
        Some((None, _)) => ("\nuntagged".to_owned(), frame.to_owned()),
        None => return "\nno Ethernet frame of a planned kind".to_owned(),
    };
    format!("{tag}\n{}", PrettyPrinter::<EthernetFrame<&'static [u8]>>::new("", &plain.as_slice()))
}
