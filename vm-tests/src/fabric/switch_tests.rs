//! Properties of the switch: frames stay in their segment, and none is lost or doubled.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use smoltcp::wire::EthernetAddress;

use super::switch::{Port, PortId, Refusal, Segment, SegmentTwice, Switch};
use super::tag::{self, Tag, Vid};

const SEGMENTS: u32 = 4;

/// A port of either kind: segments and VIDs are few, so that ports meet.
fn port() -> impl Strategy<Value = Port> {
    let access = (0..SEGMENTS).prop_map(|segment| Port::access(Segment(segment)));
    let trunk = (prop::collection::btree_map(1u16..6, 0..SEGMENTS, 0..4), prop::option::of(0..SEGMENTS)).prop_map(
        |(tagged, native)| {
            let mut used: BTreeSet<u32> = native.into_iter().collect();
            let tagged: BTreeMap<Vid, Segment> = tagged
                .into_iter()
                .filter(|(_, segment)| used.insert(*segment))
                .map(|(vid, segment)| (Vid::new(vid).expect("1 to 5 are VIDs"), Segment(segment)))
                .collect();
            Port::trunk(&tagged, native.map(Segment)).expect("segments are unique")
        },
    );
    prop_oneof![access, trunk]
}

/// One frame: the index of its port, its tags from the outside, its addresses' last byte, and whether it is a group's.
#[derive(Debug, Clone)]
struct Sent {
    port: usize,
    tags: Vec<u16>,
    priority: u16,
    to: u8,
    group: bool,
    from: u8,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0usize..8, prop::collection::vec(0u16..7, 0..3), 0u16..16, 0u8..4, prop::bool::weighted(0.3), 0u8..4).prop_map(
        |(port, tags, priority, to, group, from)| Sent { port, tags, priority: priority << 12, to, group, from },
    )
}

fn wire(sent: &Sent, serial: u32) -> Vec<u8> {
    let mut bytes = vec![if sent.group { 1 } else { 2 }, 0, 0, 0, 0, sent.to, 2, 0, 0, 0, 0, sent.from];
    for vid in &sent.tags {
        bytes.extend([0x81, 0x00]);
        bytes.extend((sent.priority | vid).to_be_bytes());
    }
    bytes.extend([0x08, 0x00]);
    bytes.extend(serial.to_be_bytes());
    bytes
}

/// The model: what a port makes of an outer tag, written without the code under test.
fn classified(port: &Port, sent: &Sent) -> (Option<Segment>, usize) {
    let (vid, stripped) = match sent.tags.first() {
        None => (None, 0),
        Some(0) => (None, 1),
        Some(vid) => (Vid::new(*vid), 1),
    };
    (port.segment_of(vid), stripped)
}

proptest! {
    #[test]
    fn frames_stay_in_their_segment_and_none_is_lost_or_doubled(
        ports in prop::collection::vec(port(), 2..8),
        frames in prop::collection::vec(sent(), 1..60),
    ) {
        let mut switch = Switch::new();
        let ids: Vec<PortId> = ports.iter().map(|port| switch.add(port.clone())).collect();
        let mut model: BTreeMap<(Segment, u8), usize> = BTreeMap::new();
        for (serial, sent) in (0u32..).zip(&frames) {
            let from = sent.port % ports.len();
            let bytes = wire(sent, serial);
            let (segment, stripped) = classified(&ports[from], sent);
            let outcome = switch.forward(ids[from], &bytes);
            let Some(segment) = segment else {
                prop_assert!(matches!(outcome, Err(Refusal::NotCarried(_))));
                continue;
            };
            let forwarded = outcome.expect("the port carries it");
            prop_assert_eq!(forwarded.segment, segment);
            model.insert((segment, sent.from), from);

            let carriers = (0..ports.len()).filter(|index| *index != from && ports[*index].tag_of(segment).is_some());
            let expected: BTreeSet<usize> = match model.get(&(segment, sent.to)) {
                Some(known) if !sent.group => carriers.filter(|index| index == known).collect(),
                _ => carriers.collect(),
            };
            let reached: Vec<usize> =
                forwarded.egress.iter().map(|(id, _)| ids.iter().position(|other| other == id).expect("a port")).collect();
            prop_assert_eq!(reached.len(), expected.len(), "each port once");
            prop_assert_eq!(reached.iter().copied().collect::<BTreeSet<_>>(), expected);

            for (index, (_, out)) in reached.iter().zip(&forwarded.egress) {
                let vid = ports[*index].tag_of(segment).expect("the port carries the segment");
                let mut inner = sent.clone();
                inner.tags = sent.tags[stripped..].to_vec();
                let inner = wire(&inner, serial);
                let priority = if stripped == 1 { sent.priority } else { 0 };
                let whole = match vid {
                    None => inner,
                    Some(vid) => {
                        let mut whole = inner[..12].to_vec();
                        whole.extend([0x81, 0x00]);
                        whole.extend((priority | vid.number()).to_be_bytes());
                        whole.extend(&inner[12..]);
                        whole
                    }
                };
                prop_assert_eq!(out, &whole, "the outer tag alone changes");
            }
        }
    }

    #[test]
    fn a_tag_survives_being_put_on_and_read(vid in 1u16..4095, priority in 0u16..16, body in prop::collection::vec(any::<u8>(), 2..40)) {
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00]);
        frame.extend(&body);
        let tag = Tag { vid: Vid::new(vid), priority: priority << 12 };
        let tagged = tag::rewrite(&frame, 12, Some(tag));
        let (read, rest) = tag::outer(&tagged).expect("no runt");
        prop_assert_eq!(read, Some(tag));
        prop_assert_eq!(tag::rewrite(&tagged, rest, None), frame);
    }
}

fn vid(number: u16) -> Vid {
    Vid::new(number).expect("a VID")
}

#[test]
fn one_vid_is_two_segments_on_two_trunks() {
    let mut switch = Switch::new();
    let left = switch.add(Port::trunk(&BTreeMap::from([(vid(10), Segment(0))]), None).expect("one tag each"));
    let right = switch.add(Port::trunk(&BTreeMap::from([(vid(10), Segment(1))]), None).expect("one tag each"));
    let on_right = switch.add(Port::access(Segment(1)));
    let frame = [&[0xff; 6][..], &[2; 6], &[0x81, 0, 0, 10, 8, 0, 1, 2]].concat();
    assert_eq!(switch.forward(left, &frame).expect("carried").egress, []);
    let untagged = [&[0xff; 6][..], &[2; 6], &[8, 0, 1, 2]].concat();
    assert_eq!(switch.forward(right, &frame).expect("carried").egress, [(on_right, untagged)]);
}

#[test]
fn a_mac_is_learned_per_segment_and_forgotten_with_its_link() {
    let mac = EthernetAddress([2, 0, 0, 0, 0, 9]);
    let mut switch = Switch::new();
    let trunk = BTreeMap::from([(vid(10), Segment(0)), (vid(20), Segment(1))]);
    let trunk = switch.add(Port::trunk(&trunk, None).expect("one tag each"));
    let frame = [&[0xff; 6][..], mac.as_bytes(), &[0x81, 0, 0, 10, 8, 0]].concat();
    switch.forward(trunk, &frame).expect("carried");
    assert_eq!((switch.lookup(Segment(0), mac), switch.lookup(Segment(1), mac)), (Some(trunk), None));
    switch.forget(trunk);
    assert_eq!(switch.lookup(Segment(0), mac), None);
}

#[test]
fn what_belongs_nowhere_is_refused_by_name() {
    let mut switch = Switch::new();
    let access = switch.add(Port::access(Segment(0)));
    let tagged = [&[0xff; 6][..], &[2; 6], &[0x81, 0, 0, 30, 8, 0]].concat();
    assert_eq!(switch.forward(access, &tagged), Err(Refusal::NotCarried(Vid::new(30))));
    assert_eq!(switch.forward(access, &tagged[..13]), Err(Refusal::Runt));
    switch.remove(access);
    assert_eq!(switch.forward(access, &tagged), Err(Refusal::UnknownPort));
    let twice = Port::trunk(&BTreeMap::from([(vid(10), Segment(3))]), Some(Segment(3)));
    assert_eq!(twice, Err(SegmentTwice(Segment(3))));
}

#[test]
fn a_full_table_floods_and_does_not_grow() {
    let mut switch = Switch::new();
    let (left, right) = (switch.add(Port::access(Segment(0))), switch.add(Port::access(Segment(0))));
    for number in 0..u32::try_from(Switch::TABLE).expect("small") {
        let [_, x, y, z] = number.to_be_bytes();
        switch.learn(Segment(0), EthernetAddress([2, 0, 0, x, y, z]), left);
    }
    let late = EthernetAddress([6, 0, 0, 0, 0, 1]);
    switch.learn(Segment(0), late, left);
    assert_eq!(switch.lookup(Segment(0), late), None);
    let frame = [late.as_bytes(), &[2, 9, 9, 9, 9, 9], &[8, 0]].concat();
    assert_eq!(switch.forward(left, &frame).expect("carried").egress.len(), 1);
    assert_eq!(switch.forward(right, &frame).expect("carried").egress.len(), 1);
}
