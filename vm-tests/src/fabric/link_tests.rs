//! QEMU's transport and the capture: frames in any cut of the stream, a link that comes back, numbers that hold.

use fs_err::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

use super::link::{Deframer, MAX_FRAME, Outbox};
use super::switch::Refusal;
use super::{Direction, Event, Fabric, Mac, PortId, Vid, Watch};

proptest! {
    #[test]
    fn frames_survive_any_cut_of_the_stream(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20),
        cut in 1usize..5000,
    ) {
        let mut outbox = Outbox::default();
        for frame in &frames {
            prop_assert!(outbox.push(frame));
        }
        let mut stream = Vec::new();
        prop_assert!(outbox.flush(&mut stream).expect("a vector takes all"));
        let (mut deframer, mut read) = (Deframer::default(), Vec::new());
        for mut part in stream.chunks(cut) {
            while deframer.fill(&mut part).expect("a slice is read") > 0 {
                while let Some(frame) = deframer.next_frame().expect("in step") {
                    read.push(deframer.bytes(frame).to_vec());
                }
            }
        }
        prop_assert_eq!(read, frames);
    }
}

#[test]
fn a_length_that_no_qemu_sends_ends_the_link() {
    let mut deframer = Deframer::default();
    let announced = u32::try_from(MAX_FRAME + 1).expect("small");
    deframer.fill(&mut &announced.to_be_bytes()[..]).expect("a slice is read");
    let error = deframer.next_frame().expect_err("too long");
    assert_eq!(error.to_string(), "a frame of 69633 bytes is announced, more than QEMU's 69632");
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("short");
    [&length.to_be_bytes(), frame].concat()
}

fn read_frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a frame comes");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("a whole frame comes");
    frame
}

fn dial(fabric: &Fabric, port: PortId) -> UnixStream {
    let stream = UnixStream::connect(fabric.socket_path(port).expect("a guest's port")).expect("the fabric listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout above zero");
    fabric.wait_linked(port, Instant::now() + Duration::from_secs(10)).expect("the fabric accepts");
    stream
}

#[test]
fn a_trunk_dials_again_and_every_frame_is_in_the_capture() {
    let dir = tempfile::tempdir().expect("a folder for sockets");
    let mut builder = Fabric::builder(dir.path(), dir.path().join("frames.pcapng"));
    let (lan, web) = (builder.segment("lan"), builder.segment("web"));
    let access = builder.guest_access("access", lan);
    let trunk = builder.guest_trunk("trunk", &[(10, web), (20, lan)], None).expect("a trunk");
    let fabric = builder.start().expect("the fabric starts");
    let late = fabric.wait_linked(access, Instant::now()).expect_err("nobody has dialled");
    assert_eq!(late.to_string(), "nobody has connected to the socket of `access`");

    let (mut left, mut right) = (dial(&fabric, access), dial(&fabric, trunk));
    let inbox = fabric.inbox(Watch::Both).expect("the fabric runs");
    let station = inbox.station(web, Mac([2, 0, 0, 0, 0, 9]), &[], true).expect("the fabric runs");
    let body = [8, 0, 1, 2, 3];
    let untagged = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &body].concat();
    let tagged = |vid: u8| [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x81, 0, 0, vid], &body].concat();

    // Access to trunk: one write holds two frames and a half, the rest comes later.
    let stream = [framed(&untagged), framed(&untagged), framed(&untagged)].concat();
    let (first, second) = stream.split_at(stream.len() - 7);
    left.write_all(first).expect("the fabric reads");
    assert_eq!(read_frame(&mut right), tagged(20));
    left.write_all(second).expect("the fabric reads");
    for _ in 0..2 {
        assert_eq!(read_frame(&mut right), tagged(20));
    }
    // Trunk to station, and a VID that nobody planned.
    right.write_all(&[framed(&tagged(30)), framed(&tagged(10))].concat()).expect("the fabric reads");
    let (mut seen, mut delivered) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(10);
    while delivered.is_empty() {
        assert!(Instant::now() < deadline, "nothing is delivered: {seen:?}");
        for event in inbox.wait(deadline).expect("the fabric runs") {
            match event {
                Event::Delivered(port, frame) => delivered.push((port, frame.to_vec())),
                Event::Seen(one) => seen.push(one),
            }
        }
    }
    assert_eq!(delivered, [(station.port(), untagged.clone())]);

    // The guest goes and comes back, as a restored VM does.
    drop(right);
    let mut right = loop {
        let mut again = dial(&fabric, trunk);
        left.write_all(&framed(&untagged)).expect("the fabric reads");
        let mut length = [0; 4];
        // Until the fabric has seen the old link go, a frame may be lost with it.
        if again.read_exact(&mut length).is_ok() {
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            again.read_exact(&mut frame).expect("a whole frame comes");
            assert_eq!(frame, tagged(20));
            break again;
        }
    };
    right.write_all(&framed(&tagged(20))).expect("the fabric reads");
    assert_eq!(read_frame(&mut left), untagged);

    let capture = fabric.capture().to_owned();
    let counters = fabric.stop().expect("the fabric stops");
    let unplanned = Refusal::NotCarried(Vid::new(30));
    assert_eq!(counters.refused.into_iter().collect::<Vec<_>>(), [((trunk, unplanned), 1)]);

    let mut reader = PcapNgReader::new(File::open(capture).expect("the capture is there")).expect("it is one");
    let (mut names, mut frames) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.expect("a whole block") {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                names.extend(name);
            }
            Block::EnhancedPacket(packet) => {
                let direction = match packet.options[..] {
                    [EnhancedPacketOption::Flags(1)] => Direction::ToGuest,
                    [EnhancedPacketOption::Flags(2)] => Direction::FromGuest,
                    _ => panic!("no direction: {packet:?}"),
                };
                frames.push((packet.interface_id, direction, packet.data.to_vec()));
            }
            _ => {}
        }
    }
    assert_eq!(names, ["access", "trunk"]);
    assert_eq!(frames.len() as u64, counters.captured);
    assert!(seen.len() >= 8, "{seen:?}");
    for one in seen {
        let (interface, direction, data) = &frames[usize::try_from(one.number - 1).expect("small")];
        let port = if *interface == 0 { access } else { trunk };
        assert_eq!((port, *direction, &data[..]), (one.port, one.direction, &one.frame[..]), "frame {}", one.number);
        let planned = one.frame[12..16] != [0x81, 0, 0, 30];
        assert_eq!(one.segment.is_some(), planned);
    }
}

/// Stations beyond one gateway stand in for it side by side.
#[test]
fn stations_that_share_an_address_all_hear() {
    let dir = tempfile::tempdir().expect("a folder for sockets");
    let mut builder = Fabric::builder(dir.path(), dir.path().join("frames.pcapng"));
    let lan = builder.segment("lan");
    let access = builder.guest_access("access", lan);
    let fabric = builder.start().expect("the fabric starts");
    let mut guest = dial(&fabric, access);
    let gateway = Mac([6, 0, 0, 0, 0, 1]);
    let inboxes = [0, 1].map(|_| fabric.inbox(Watch::Nothing).expect("an inbox"));
    let _stations: Vec<_> =
        inboxes.iter().map(|inbox| inbox.station(lan, gateway, &[], true).expect("a station")).collect();
    let frame = [&gateway.0[..], &[2, 0, 0, 0, 0, 9, 0x88, 0xb5], b"to the gateway"].concat();
    guest.write_all(&framed(&frame)).expect("the fabric reads");
    for inbox in &inboxes {
        let events = inbox.wait(Instant::now() + Duration::from_secs(10)).expect("the fabric runs");
        assert!(matches!(&events[..], [Event::Delivered(_, heard)] if **heard == *frame), "{events:?}");
    }
}
