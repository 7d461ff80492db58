//! Scans of a real peer: the Linux kernel.

use std::collections::BTreeSet;
use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use super::judge::Cause;
use super::kernel_bed::{Nic, figure, in_namespace, ip};
use super::scan::{PortState, Scan, ScanReport};
use super::{Canary, CanaryKind, Fabric, Host, Mac, PortId, Segment, Terms};

const NIC0: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NIC1: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Two NICs of one kernel: `lan` on an access port, `web` as the untagged side of a trunk.
struct Bed {
    // Unplugged before the fabric goes.
    _nics: (Nic, Nic),
    fabric: Fabric,
    lan: Segment,
    web: Segment,
    nic0: PortId,
    nic1: PortId,
    _dir: tempfile::TempDir,
}

fn bed() -> Bed {
    let dir = tempfile::tempdir().expect("a folder for sockets");
    let mut builder = Fabric::builder(dir.path(), dir.path().join("frames.pcapng"));
    let (lan, web, tagged) = (builder.segment("lan"), builder.segment("web"), builder.segment("tagged"));
    let nic0 = builder.guest_access("nic0", lan);
    let nic1 = builder.guest_trunk("nic1", &[(10, tagged)], Some(web)).expect("a trunk");
    let fabric = builder.start().expect("the fabric starts");
    let path = |port| fabric.socket_path(port).expect("a guest's port");
    let first = Nic::plug("nic0", "02:00:00:00:00:01", &["192.0.2.1/24", "2001:db8::1/64"], path(nic0));
    let second = Nic::plug("nic1", "02:00:00:00:00:02", &["198.51.100.1/24"], path(nic1));
    let deadline = Instant::now() + Duration::from_secs(10);
    fabric.wait_linked(nic0, deadline).expect("nic0 dials");
    fabric.wait_linked(nic1, deadline).expect("nic1 dials");
    let bed = Bed { _nics: (first, second), fabric, lan, web, nic0, nic1, _dir: dir };
    // The kernel gives a link its queue a moment after it is up; until then it drops. Both canaries answered: it has.
    let warm = Scan { ports: vec![1], ..bed.scan("192.0.2.77", "203.0.113.9", bed.canary(CanaryKind::Echo)) };
    bed.fabric.scan(&warm).expect("both NICs answer");
    bed
}

fn host(mac: Mac, ip: &str) -> Host {
    Host { mac, ip: ip.parse().expect("an address") }
}

impl Bed {
    fn canary(&self, kind: CanaryKind) -> Canary {
        let source = host(Mac([2, 1, 0, 0, 0, 1]), "192.0.2.200");
        let target = host(NIC0, "192.0.2.1");
        Canary { nic: self.nic0, segment: self.lan, source, target, kind, patience: Duration::from_millis(500) }
    }

    /// A canary through the other NIC.
    fn other(&self) -> Canary {
        let source = host(Mac([2, 1, 0, 0, 0, 3]), "198.51.100.201");
        let target = host(NIC1, "198.51.100.1");
        Canary { nic: self.nic1, segment: self.web, source, target, ..self.canary(CanaryKind::Echo) }
    }

    fn scan(&self, source: &str, target: &str, canary: Canary) -> Scan {
        Scan {
            segment: self.lan,
            source: host(Mac([2, 1, 0, 0, 0, 2]), source),
            via: None,
            target: host(NIC0, target),
            ports: (1..=65_535).collect(),
            expected: BTreeSet::new(),
            terms: Terms {
                canary,
                others: vec![self.other()],
                grace: Duration::ZERO,
                deadline: Instant::now() + Duration::from_secs(60),
            },
        }
    }
}

/// User and system time of this process, in seconds; the kernel as target and its bridge are part of it.
fn cpu() -> f64 {
    let text = fs_err::read_to_string("/proc/self/stat").expect("procfs");
    let (_, rest) = text.rsplit_once(')').expect("a command in brackets");
    let ticks: Vec<f64> = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    ticks.iter().sum::<f64>() / 100.0
}

/// User and system time of the fabric's thread and of this one, in seconds.
fn own_cpu() -> f64 {
    let mut total = 0.0;
    for task in fs_err::read_dir("/proc/self/task").expect("procfs").flatten() {
        let name = fs_err::read_to_string(task.path().join("comm")).unwrap_or_default();
        let own = task.file_name() == thread_id().as_str();
        if own || name.trim() == "fabric" {
            let text = fs_err::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            total += text.split(' ').next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 1e9;
        }
    }
    total
}

fn thread_id() -> String {
    let link = fs_err::read_link("/proc/thread-self").expect("procfs");
    link.file_name().and_then(|name| name.to_str()).expect("a number").to_owned()
}

fn timed(name: &str, bed: &Bed, scan: &Scan) -> ScanReport {
    let (all, own) = (cpu(), own_cpu());
    let report = bed.fabric.scan(scan).expect("canaries are answered");
    figure(&format!(
        "figure: {name}: {:.3} s, CPU of scanner and fabric {:.3} s, of the process {:.2} s, {} probes, {} canaries",
        report.elapsed.as_secs_f64(),
        own_cpu() - own,
        cpu() - all,
        report.probes,
        report.canaries
    ));
    report
}

#[test]
fn finds_exactly_the_ports_that_serve() {
    in_namespace("fabric::scan_tests::finds_exactly_the_ports_that_serve", || {
        let bed = bed();
        let ports = [22, 80, 2376, 50_000, 65_535];
        let listen =
            |address: &str| ports.map(|port| TcpListener::bind(format!("{address}:{port}")).expect("a free port"));
        let _listeners = (listen("192.0.2.1"), listen("[2001:db8::1]"));
        for (source, target) in [("192.0.2.77", "192.0.2.1"), ("2001:db8::77", "2001:db8::1")] {
            let scan = bed.scan(source, target, bed.canary(CanaryKind::Tcp(22)));
            let report = timed(&format!("RST target {target}"), &bed, &scan);
            assert_eq!(report.serving(), ports);
            let refusing = report.ports.values().filter(|state| matches!(state, PortState::Refuses(_))).count();
            assert_eq!(refusing, 65_535 - ports.len(), "no answer is lost");
            assert_eq!(report.stray, []);
            assert!(!report.asked.is_empty(), "the kernel asked for the scan's source");
        }
        let counters = bed.fabric.report().expect("the fabric runs");
        assert!(counters.captured > 4 * 65_535, "{counters:?}");
        assert!(counters.overrun.is_empty(), "{counters:?}");
    });
}

#[test]
fn an_address_that_is_not_there_is_silent_by_every_kind_of_canary() {
    in_namespace("fabric::scan_tests::an_address_that_is_not_there_is_silent_by_every_kind_of_canary", || {
        let bed = bed();
        let _listener = TcpListener::bind("192.0.2.1:22").expect("a free port");
        for kind in [CanaryKind::Tcp(22), CanaryKind::Echo, CanaryKind::Neighbour] {
            let scan = bed.scan("192.0.2.77", "203.0.113.9", bed.canary(kind));
            let report = timed(&format!("silent target, {kind:?}"), &bed, &scan);
            assert!(report.is_silent(), "{:?} {:?}", report.asked, report.stray);
            assert_eq!((report.ports.len(), report.probes), (65_535, 65_535), "nothing is asked twice");
        }
        let six = Canary {
            source: host(Mac([2, 1, 0, 0, 0, 1]), "2001:db8::200"),
            target: host(NIC0, "2001:db8::1"),
            ..bed.canary(CanaryKind::Echo)
        };
        // Without a route the kernel says so: an ICMP error refuses, rationed to a few.
        let scan = bed.scan("2001:db8::77", "2001:db8:20::2", six.clone());
        let report = timed("unreachable v6 target", &bed, &scan);
        assert!(matches!(report.ports[&1], PortState::Refuses(_)), "{:?}", report.stray);
        assert!(
            report.stray.iter().all(|stray| matches!(stray.cause, Cause::IcmpError { kind: 1, unreachable: true, .. }))
        );
        assert_eq!(report.probes, 65_535, "an ICMP error is no reason to ask again");
        ip("-6 route add blackhole 2001:db8:20::/64");
        for kind in [CanaryKind::Echo, CanaryKind::Neighbour] {
            let scan = bed.scan("2001:db8::77", "2001:db8:20::2", Canary { kind, ..six.clone() });
            assert!(timed(&format!("silent v6 target, {kind:?}"), &bed, &scan).is_silent());
        }
    });
}

#[test]
fn without_its_canary_a_scan_is_never_silent() {
    in_namespace("fabric::scan_tests::without_its_canary_a_scan_is_never_silent", || {
        let bed = bed();
        // Nothing listens: the canary is refused, which is an answer, but not its own.
        let canary = Canary { patience: Duration::from_millis(20), ..bed.canary(CanaryKind::Tcp(22)) };
        let deadline = Instant::now() + Duration::from_millis(300);
        let mut scan = bed.scan("192.0.2.77", "203.0.113.9", canary);
        scan.terms.deadline = deadline;
        let error = bed.fabric.scan(&scan).expect_err("no canary is answered");
        let text = error.to_string();
        assert!(text.starts_with("no answer from 192.0.2.1 to ") && text.contains("canaries (Tcp(22))"), "{text}");
    });
}

#[test]
fn an_answer_by_another_nic_is_stray() {
    in_namespace("fabric::scan_tests::an_answer_by_another_nic_is_stray", || {
        let bed = bed();
        let _listener = TcpListener::bind("0.0.0.0:22").expect("a free port");
        let ports = vec![22, 23];
        // The source is of the other NIC's subnet, so the kernel's routes lead its answers there.
        let scan = Scan { ports, ..bed.scan("198.51.100.77", "192.0.2.1", bed.canary(CanaryKind::Tcp(22))) };
        let asked = bed.fabric.scan(&scan).expect("canaries are answered");
        assert!(!asked.is_silent());
        assert_eq!(asked.serving(), [0u16; 0], "{:?}", asked.ports);
        let causes: BTreeSet<_> =
            asked.stray.iter().map(|evidence| (evidence.segment, format!("{:?}", evidence.cause))).collect();
        assert_eq!(causes, BTreeSet::from([(Some(bed.web), "AskedForSource".to_owned())]));

        // Somebody on the other segment has the address: now the answers themselves leave there.
        let inbox = bed.fabric.inbox(super::Watch::Nothing).expect("the fabric runs");
        let address: IpAddr = scan.source.ip;
        let _station = inbox.station(bed.web, Mac([2, 1, 0, 0, 0, 9]), &[address], false).expect("the fabric runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        let causes = loop {
            let report = bed.fabric.scan(&scan).expect("canaries are answered");
            let causes: Vec<Cause> = report.stray.iter().map(|evidence| evidence.cause).collect();
            if causes.iter().any(|cause| matches!(cause, Cause::SynAck(_))) {
                break causes;
            }
            // The kernel remembers for a second that nobody had the address.
            assert!(Instant::now() < deadline, "{causes:?}");
        };
        assert!(causes.contains(&Cause::SynAck(22)) && causes.contains(&Cause::Reset(23)), "{causes:?}");
    });
}

#[test]
fn the_untagged_side_is_closed_by_a_canary_of_another_segment() {
    in_namespace("fabric::scan_tests::the_untagged_side_is_closed_by_a_canary_of_another_segment", || {
        let bed = bed();
        // What comes in by one port and is asked by the canary of another is no proof: the answer must use the NIC.
        let canary = Canary { nic: bed.nic0, ..bed.canary(CanaryKind::Echo) };
        let wrong = Canary { segment: bed.web, target: host(NIC1, "198.51.100.1"), ..canary.clone() };
        let wrong = Canary { source: host(wrong.source.mac, "198.51.100.200"), ..wrong };
        let deadline = Instant::now() + Duration::from_millis(300);
        let mut scan = Scan { ports: vec![1], ..bed.scan("192.0.2.77", "203.0.113.9", wrong) };
        scan.terms.deadline = deadline;
        bed.fabric.scan(&scan).expect_err("its answers come by nic1, the scan is of nic0");
        let scan = Scan { ports: vec![1], ..bed.scan("192.0.2.77", "203.0.113.9", canary) };
        assert!(bed.fabric.scan(&scan).expect("canaries are answered").is_silent());
    });
}
