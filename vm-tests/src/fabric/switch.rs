//! The switch: a pure state machine from (port, frame) to the frames that leave other ports.
//!
//! A [`Segment`] is a broadcast domain inside the fabric. A [`Port`] says with which tag, if any, it carries each of its
//! segments (IEEE 802.1Q), so that one VID may be two segments on two trunks. Learning is by (segment, MAC): one MAC
//! lives in every VLAN of a trunk. Only the outer C-tag (0x8100) is the switch's; what is inside it is opaque.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use smoltcp::wire::EthernetAddress;

use super::tag::{self, Tag, Vid};

/// A broadcast domain of the fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(pub(crate) u32);

/// A port of the switch: a guest's NIC or a station of the tests. Never given twice in the life of a fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub(crate) u32);

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.0)
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

/// What a port carries: segments, each with the VID it has on the wire or without a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    carries: Vec<(Option<Vid>, Segment)>,
}

/// Two tags of one port lead to one segment: its frames would leave twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentTwice(pub Segment);

impl fmt::Display for SegmentTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stands on one trunk with two tags", self.0)
    }
}

impl std::error::Error for SegmentTwice {}

impl Port {
    /// An access port: one segment, untagged on the wire.
    pub fn access(segment: Segment) -> Self {
        Self { carries: vec![(None, segment)] }
    }

    /// A trunk: tagged segments, and the native one for untagged and priority-tagged frames.
    ///
    /// # Errors
    /// If a segment is reached by two tags.
    pub fn trunk(tagged: &BTreeMap<Vid, Segment>, native: Option<Segment>) -> Result<Self, SegmentTwice> {
        let mut carries: Vec<(Option<Vid>, Segment)> = Vec::new();
        let all =
            tagged.iter().map(|(vid, segment)| (Some(*vid), *segment)).chain(native.map(|segment| (None, segment)));
        for (vid, segment) in all {
            if carries.iter().any(|(_, other)| *other == segment) {
                return Err(SegmentTwice(segment));
            }
            carries.push((vid, segment));
        }
        Ok(Self { carries })
    }

    /// The segment of a frame that came in with this tag.
    pub fn segment_of(&self, vid: Option<Vid>) -> Option<Segment> {
        self.carries.iter().find(|(tag, _)| *tag == vid).map(|(_, segment)| *segment)
    }

    /// How the port carries a segment: `None` if it does not, `Some(None)` untagged.
    pub fn tag_of(&self, segment: Segment) -> Option<Option<Vid>> {
        self.carries.iter().find(|(_, other)| *other == segment).map(|(tag, _)| *tag)
    }
}

/// Why a frame goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// No such port.
    UnknownPort,
    /// Shorter than its own header.
    Runt,
    /// The port does not carry frames with this VID, or without one.
    NotCarried(Option<Vid>),
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The segment it came in on.
    pub segment: Segment,
    /// The frames that leave, as they are on the wire of each port.
    pub egress: Vec<(PortId, Vec<u8>)>,
}

/// The switch itself.
#[derive(Debug, Default)]
pub struct Switch {
    ports: BTreeMap<PortId, Port>,
    learned: HashMap<(Segment, EthernetAddress), PortId>,
    next: u32,
}

impl Switch {
    /// The most addresses that are learned; beyond it frames are flooded, as by a real switch with a full table.
    pub const TABLE: usize = 16_384;

    /// A switch without ports.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a port.
    pub fn add(&mut self, port: Port) -> PortId {
        let id = PortId(self.next);
        self.next += 1;
        self.ports.insert(id, port);
        id
    }

    /// Takes a port away, and what was learned about it.
    pub fn remove(&mut self, id: PortId) {
        self.ports.remove(&id);
        self.forget(id);
    }

    /// Forgets what was learned about a port: its link went down.
    pub fn forget(&mut self, id: PortId) {
        self.learned.retain(|_, port| *port != id);
    }

    /// Notes where a station lives, as one of its frames would.
    pub fn learn(&mut self, segment: Segment, mac: EthernetAddress, port: PortId) {
        if mac.is_unicast() && (self.learned.len() < Self::TABLE || self.learned.contains_key(&(segment, mac))) {
            self.learned.insert((segment, mac), port);
        }
    }

    /// The port a station was last seen on.
    pub fn lookup(&self, segment: Segment, mac: EthernetAddress) -> Option<PortId> {
        self.learned.get(&(segment, mac)).copied()
    }

    /// Takes a frame as it came in on the wire of a port, and gives those that leave.
    ///
    /// # Errors
    /// A [`Refusal`] if the frame belongs to no segment; nothing was learned from it then.
    pub fn forward(&mut self, from: PortId, wire: &[u8]) -> Result<Forwarded, Refusal> {
        let (tag, untagged_len) = tag::outer(wire).ok_or(Refusal::Runt)?;
        let port = self.ports.get(&from).ok_or(Refusal::UnknownPort)?;
        let vid = tag.and_then(|tag| tag.vid);
        let segment = port.segment_of(vid).ok_or(Refusal::NotCarried(vid))?;
        let destination = EthernetAddress::from_bytes(&wire[..6]);
        let source = EthernetAddress::from_bytes(&wire[6..12]);
        self.learn(segment, source, from);

        let known = if destination.is_unicast() { self.lookup(segment, destination) } else { None };
        let mut egress = Vec::with_capacity(1);
        let mut leave = |id: PortId, port: &Port| {
            if let Some(out) = port.tag_of(segment)
                && id != from
            {
                let out = out.map(|vid| Tag { vid: Some(vid), priority: tag.map_or(0, |tag| tag.priority) });
                egress.push((id, tag::rewrite(wire, untagged_len, out)));
            }
        };
        match known {
            Some(id) => {
                if let Some(port) = self.ports.get(&id) {
                    leave(id, port);
                }
            }
            None => self.ports.iter().for_each(|(id, port)| leave(*id, port)),
        }
        Ok(Forwarded { segment, egress })
    }
}
