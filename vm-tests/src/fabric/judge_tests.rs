//! Attribution, on frames that `smoltcp::wire` makes: what each kind of frame is to each kind of probe.

use std::net::IpAddr;

use smoltcp::wire::{EthernetAddress, TcpControl};

use super::judge::{Cause, Cookies, Flow, Identity};
use super::packet::{self, Host, Ip, Packet};
use super::tag::{self, Tag, Vid};

fn host(last: u8, ip: &str) -> Host {
    Host { mac: EthernetAddress([2, 0, 0, 0, 0, last]), ip: ip.parse().expect("an address") }
}

/// A probe from `source` to `target`, a stranger, and the probe's TCP identity.
struct Case {
    source: Host,
    target: Host,
    stranger: Host,
    cookies: Cookies,
}

fn cases() -> [Case; 2] {
    let case = |source, target, stranger| Case {
        source: host(1, source),
        target: host(2, target),
        stranger: host(3, stranger),
        cookies: Cookies::new(),
    };
    [case("192.0.2.7", "192.0.2.1", "198.51.100.3"), case("2001:db8::7", "2001:db8::1", "2001:db8:3::3")]
}

impl Case {
    fn identity(&self, flow: Flow, exclusive: bool) -> Identity {
        Identity { source: self.source.ip, target: self.target.ip, flow, exclusive }
    }

    fn scan(&self) -> Identity {
        let flow = Flow::Tcp { local: vec![40_000, 40_001], remote: None, cookies: Some(self.cookies.clone()) };
        self.identity(flow, true)
    }

    fn syn(&self, port: u16) -> Vec<u8> {
        let sequence = self.cookies.of(40_000, port);
        packet::tcp(self.source, self.target, (40_000, port), TcpControl::Syn, sequence).expect("one version")
    }
}

/// A segment of the target with flags and an acknowledgement: written into what `packet::tcp` makes.
fn tcp_answer(from: Host, to: Host, ports: (u16, u16), flags: u8, acknowledged: u32) -> Vec<u8> {
    let mut frame = packet::tcp(from, to, ports, TcpControl::None, 1).expect("one version");
    let start = frame.len() - 20;
    frame[start + 8..start + 12].copy_from_slice(&acknowledged.to_be_bytes());
    frame[start + 13] = flags;
    frame
}

/// An ICMP error about `about`'s packet, of which `kept` bytes are quoted.
fn icmp_error(from: Host, to: Host, kind: u8, code: u8, about: &[u8], kept: usize) -> Vec<u8> {
    // An echo request has the same eight bytes of header; its text makes room for the quotation.
    let mut frame = packet::echo(from, to, 0, 0).expect("one version");
    frame.truncate(frame.len() - 6);
    let message = frame.len() - 8;
    frame[message] = kind;
    frame[message + 1] = code;
    frame[message + 4..].fill(0);
    frame.extend(&about[14..14 + kept]);
    let length = u16::try_from(8 + kept).expect("short");
    if from.ip.is_ipv4() {
        frame[16..18].copy_from_slice(&(20 + length).to_be_bytes());
    } else {
        frame[18..20].copy_from_slice(&length.to_be_bytes());
    }
    frame
}

const SYN_ACK: u8 = 0x12;
const RST_ACK: u8 = 0x14;
const ACK: u8 = 0x10;

#[test]
fn tcp_answers_are_proven_by_the_cookie() {
    for case in cases() {
        let scan = case.scan();
        let Case { source, target, stranger, cookies } = &case;
        let proof = cookies.of(40_001, 80).wrapping_add(1);
        let judge = |from: &Host, to: &Host, local, flags, acknowledged| {
            scan.judge(&tcp_answer(*from, *to, (80, local), flags, acknowledged))
        };
        assert_eq!(judge(target, source, 40_001, SYN_ACK, proof), Some(Cause::SynAck(80)));
        assert_eq!(judge(target, source, 40_001, RST_ACK, proof), Some(Cause::Reset(80)));
        assert_eq!(judge(target, source, 40_001, ACK, proof), Some(Cause::Segment(80)));
        assert_eq!(
            judge(target, source, 40_001, SYN_ACK, proof.wrapping_add(1)),
            Some(Cause::Segment(80)),
            "an old scan's"
        );
        assert_eq!(judge(target, source, 40_000, SYN_ACK, proof), Some(Cause::Segment(80)), "the other port's cookie");
        assert_eq!(judge(target, source, 39_999, SYN_ACK, proof), Some(Cause::Addressed), "no port of the scan");
        assert_eq!(judge(stranger, source, 40_001, SYN_ACK, proof), Some(Cause::Addressed), "by an address not asked");
        assert_eq!(judge(target, stranger, 40_001, SYN_ACK, proof), None, "not for the scan");
        let shared = Identity { exclusive: false, ..scan.clone() };
        assert_eq!(shared.judge(&tcp_answer(*target, *source, (80, 39_999), SYN_ACK, proof)), None);
    }
}

#[test]
fn icmp_errors_belong_by_what_they_quote() {
    for case in cases() {
        let Case { source, target, stranger, .. } = &case;
        let (scan, syn) = (case.scan(), case.syn(2375));
        let (unreachable, exceeded, header) = if source.ip.is_ipv4() { (3, 11, 20) } else { (1, 3, 40) };
        let cause = |kind, unreachable| Some(Cause::IcmpError { kind, code: 0, port: Some(2375), unreachable });
        // RFC 792 quotes the header and eight bytes of payload at least.
        let error = |kind, about: &[u8]| icmp_error(*target, *source, kind, 0, about, header + 8);
        assert_eq!(scan.judge(&error(unreachable, &syn)), cause(unreachable, true));
        assert_eq!(scan.judge(&error(exceeded, &syn)), cause(exceeded, false));
        let elsewhere = icmp_error(*target, *stranger, unreachable, 0, &syn, header + 8);
        assert_eq!(scan.judge(&elsewhere), cause(unreachable, true), "whoever it is told to");
        let other = packet::udp(*source, *target, (40_000, 53), b"x").expect("one version");
        assert_eq!(scan.judge(&error(unreachable, &other)), Some(Cause::Addressed));
        let shared = Identity { exclusive: false, ..scan.clone() };
        assert_eq!(shared.judge(&error(unreachable, &other)), None, "another probe's");
        assert_eq!(
            shared.judge(&icmp_error(*target, *source, unreachable, 0, &syn, header + 3)),
            None,
            "cut short of the ports"
        );
    }
}

#[test]
fn arp_and_nd_belong_by_whom_they_ask_for() {
    for case in cases() {
        let Case { source, target, stranger, .. } = &case;
        let scan = case.scan();
        let asks = |by: &Host, ip: IpAddr| packet::who_has(*by, by.mac, ip).expect("one version");
        assert_eq!(scan.judge(&asks(target, source.ip)), Some(Cause::AskedForSource));
        assert_eq!(scan.judge(&asks(stranger, target.ip)), Some(Cause::AskedForTarget));
        assert_eq!(scan.judge(&asks(target, target.ip)), None, "it announces itself");
        assert_eq!(scan.judge(&asks(target, stranger.ip)), None);
        let told = packet::is_at(target.mac, target.ip, *source).expect("one version");
        assert_eq!(case.identity(Flow::Neighbour, false).judge(&told), Some(Cause::IsAt(target.mac)));
        assert_eq!(scan.judge(&told), Some(Cause::Addressed), "a scan asks nobody");
        let told = packet::is_at(target.mac, target.ip, *stranger).expect("one version");
        assert_eq!(case.identity(Flow::Neighbour, true).judge(&told), None, "told to another");
    }
}

#[test]
fn a_probe_that_leaves_again_is_known_behind_tags_and_translation() {
    for case in cases() {
        let Case { source, target, stranger, cookies } = &case;
        let (scan, syn) = (case.scan(), case.syn(2375));
        assert_eq!(scan.judge(&syn), Some(Cause::Forwarded));
        let tag = Tag { vid: Vid::new(30), priority: 0 };
        let tagged = tag::rewrite(&syn, 12, Some(tag));
        let twice = [&tagged[..12], &[0x88, 0xa8, 0, 40], &tagged[12..]].concat();
        assert_eq!(scan.judge(&tagged), Some(Cause::Forwarded));
        assert_eq!(scan.judge(&twice), Some(Cause::Forwarded));
        let masqueraded = packet::tcp(*stranger, *target, (1024, 2375), TcpControl::Syn, cookies.of(40_000, 2375));
        assert_eq!(scan.judge(&masqueraded.expect("one version")), Some(Cause::Forwarded));
        let foreign = packet::tcp(*stranger, *target, (1024, 2375), TcpControl::Syn, cookies.of(40_000, 2376));
        assert_eq!(scan.judge(&foreign.expect("one version")), None);
        let reply = packet::udp(*target, *source, (1, 2), b"x").expect("one version");
        assert_eq!(scan.judge(&reply), Some(Cause::Addressed), "nothing else uses the address");
    }
}

#[test]
fn datagrams_and_echoes_belong_by_their_tuple() {
    for case in cases() {
        let Case { source, target, .. } = &case;
        let udp = case.identity(Flow::Udp { local: 5000, remote: Some(53) }, false);
        let datagram = |from: &Host, to: &Host, ports| packet::udp(*from, *to, ports, b"answer").expect("one version");
        assert_eq!(udp.judge(&datagram(target, source, (53, 5000))), Some(Cause::Datagram));
        assert_eq!(udp.judge(&datagram(target, source, (53, 5001))), None);
        assert_eq!(udp.judge(&datagram(source, target, (5000, 53))), Some(Cause::Forwarded));
        let echo = case.identity(Flow::Echo(7), false);
        let request = packet::echo(*source, *target, 7, 1).expect("one version");
        assert_eq!(echo.judge(&request), Some(Cause::Forwarded));
        let reply = |ident| {
            let mut reply = packet::echo(*target, *source, ident, 1).expect("one version");
            let kind = reply.len() - 14;
            reply[kind] = if source.ip.is_ipv4() { 0 } else { 129 };
            reply
        };
        assert_eq!(echo.judge(&reply(7)), Some(Cause::EchoReply));
        assert_eq!(echo.judge(&reply(8)), None);
    }
}

#[test]
fn no_cut_frame_is_more_than_other() {
    for case in cases() {
        let frames = [
            case.syn(80),
            packet::who_has(case.source, case.source.mac, case.target.ip).expect("one version"),
            icmp_error(case.target, case.source, 3, 0, &case.syn(80), 28),
        ];
        for frame in frames {
            for length in 0..frame.len() {
                // Reading without trust: no length panics, and half an IP header is none.
                let _ = case.scan().judge(&frame[..length]);
                if length < 34 {
                    assert!(!matches!(Packet::of(&frame[..length]), Packet::Ip(Ip { .. })), "{length} bytes");
                }
            }
        }
    }
}
