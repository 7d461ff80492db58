//! The 802.1Q tag on the wire: read, taken off and put on.

use std::fmt;

/// Ethertype of a C-tag.
const C_TAG: [u8; 2] = [0x81, 0x00];
/// Length of the two addresses before the tag.
const ADDRESSES: usize = 12;

/// A VLAN identifier, 1 to 4094 (0 and 4095 are reserved by 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vid(u16);

impl Vid {
    /// The VID, if the number is one.
    pub fn new(number: u16) -> Option<Self> {
        (1..=4094).contains(&number).then_some(Self(number))
    }

    /// The number, 1 to 4094.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VID {}", self.0)
    }
}

/// An outer tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// `None` is VID 0, a priority tag: the frame counts as untagged.
    pub vid: Option<Vid>,
    /// PCP and DEI, in the upper four bits of the TCI.
    pub priority: u16,
}

/// The outer tag of a frame, and how many bytes precede the ethertype that follows it. `None` for a runt, and for the
/// reserved VID 4095, which no frame may carry.
pub fn outer(wire: &[u8]) -> Option<(Option<Tag>, usize)> {
    let ethertype = wire.get(ADDRESSES..ADDRESSES + 2)?;
    if ethertype != C_TAG {
        return Some((None, ADDRESSES));
    }
    let tci = u16::from_be_bytes([*wire.get(14)?, *wire.get(15)?]);
    wire.get(16..18)?;
    let number = tci & 0x0fff;
    let vid = if number == 0 { None } else { Some(Vid::new(number)?) };
    Some((Some(Tag { vid, priority: tci & 0xf000 }), ADDRESSES + 4))
}

/// The frame with `tag` in place of its outer tag. `rest` is what [`outer`] said.
pub fn rewrite(wire: &[u8], rest: usize, tag: Option<Tag>) -> Vec<u8> {
    let mut out = Vec::with_capacity(wire.len() + 4);
    out.extend_from_slice(&wire[..ADDRESSES]);
    if let Some(tag) = tag {
        out.extend_from_slice(&C_TAG);
        out.extend_from_slice(&(tag.priority | tag.vid.map_or(0, Vid::number)).to_be_bytes());
    }
    out.extend_from_slice(&wire[rest..]);
    out
}

/// The ethertype and payload behind every tag, C or S, however many there are.
pub fn innermost(wire: &[u8]) -> Option<(u16, &[u8])> {
    let mut at = ADDRESSES;
    loop {
        let ethertype = u16::from_be_bytes([*wire.get(at)?, *wire.get(at + 1)?]);
        if ethertype != 0x8100 && ethertype != 0x88a8 {
            return Some((ethertype, &wire[at + 2..]));
        }
        at += 4;
    }
}
