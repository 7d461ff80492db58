//! What was let out is answered, so that answers are seen to come in: one datagram of each IP version, by whoever it was for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use ipnet::IpNet;
use smoltcp::wire::IpProtocol;

use super::{Aim, What};
use crate::fabric::packet::{self, Packet};
use crate::fabric::{Event, Fabric, Mac, Seen, Segment, Station, Watch};
use crate::raised::Raised;

/// What is answered. The probe says so in one line.
const ANSWER: &str = "dmhost answer";
/// How often the end is looked for while no frame comes.
const LOOK: Duration = Duration::from_millis(100);

/// What is to be answered: of each IP version the first datagram that may leave.
pub(super) fn due(aims: &BTreeSet<Aim>) -> Vec<(IpAddr, u16)> {
    let datagrams = aims.iter().filter(|aim| aim.leaves).filter_map(|aim| match aim.what {
        What::Udp(port) => Some((aim.address, port)),
        What::Echo | What::Tcp(_) => None,
    });
    let all: Vec<(IpAddr, u16)> = datagrams.collect();
    [true, false].into_iter().filter_map(|v4| all.iter().copied().find(|(ip, _)| ip.is_ipv4() == v4)).collect()
}

/// What was due and did not come, by what the probe said.
pub(super) fn offences(due: &[(IpAddr, u16)], said: &str) -> Vec<String> {
    let came = |(address, port): &&(IpAddr, u16)| {
        let line = format!("udp {address} {port} answers {ANSWER}");
        said.lines().any(|said| said == line)
    };
    let missing = due.iter().filter(|due| !came(due));
    missing.map(|(address, port)| format!("{address} {port}/udp answered, and nothing came in")).collect()
}

/// Runs `work` while datagrams from addresses of these ranges to what is due are answered.
///
/// # Errors
/// Those of `work`, or if the fabric has stopped.
pub(super) fn given<T>(
    fabric: &Fabric,
    segments: &BTreeSet<Segment>,
    sources: &[IpNet],
    due: &BTreeSet<(IpAddr, u16)>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let inbox = fabric.inbox(Watch::FromGuest)?;
    // Any of them may carry all frames of its segment: what is in a frame is the sender's affair.
    let stations = segments.iter().map(|segment| Ok((*segment, inbox.station(*segment, Mac([6; 6]), &[], false)?)));
    let stations: Vec<(Segment, Station)> = stations.collect::<Result<_>>()?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, stations) = (&done, &stations);
        let answering = scope.spawn(move || -> Result<()> {
            while !done.load(Ordering::Acquire) {
                for event in inbox.wait(Instant::now() + LOOK)? {
                    let Event::Seen(seen) = event else { continue };
                    let station = stations.iter().find(|(segment, _)| seen.segment == Some(*segment));
                    let answer = answer(&seen, sources, due);
                    if let (Some((_, station)), Some(answer)) = (station, answer) {
                        station.send(vec![answer])?;
                    }
                }
            }
            Ok(())
        });
        let raised = Raised(done);
        let result = work();
        drop(raised);
        answering.join().map_err(|_| anyhow!("whoever answers panicked"))??;
        result
    })
}

/// The answer to a datagram that is due one.
fn answer(seen: &Seen, sources: &[IpNet], due: &BTreeSet<(IpAddr, u16)>) -> Option<Vec<u8>> {
    let Packet::Ip(ip) = Packet::of(&seen.frame) else { return None };
    let (_, to) = ip.ports().filter(|_| ip.protocol == IpProtocol::Udp)?;
    let ours = sources.iter().any(|range| range.contains(&ip.source));
    let is_due = ours && due.contains(&(ip.target, to));
    if is_due { packet::udp_answer(&seen.frame, ANSWER.as_bytes()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::{Direction, Host, PortId};

    #[test]
    fn a_datagram_is_answered_from_where_it_went_and_the_probe_tells() {
        let (own, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 9]));
        let host = |ip: IpAddr, last: u8| Host { mac: Mac([2, 0, 0, 0, 0, last]), ip };
        let seen = |port: u16| {
            let frame = packet::udp(host(own, 1), host(other, 9), (5000, port), b"x").expect("one IP version");
            let (at, direction) = (Instant::now(), Direction::FromGuest);
            Seen { number: 1, at, port: PortId(0), direction, segment: None, frame: frame.into() }
        };
        let aim = |port, leaves| Aim { address: other, what: What::Udp(port), leaves };
        let due = due(&BTreeSet::from([aim(53, false), aim(54, true), aim(443, true)]));
        assert_eq!(due, [(other, 54)]);
        let set = due.iter().copied().collect();
        let back = answer(&seen(54), &[own.into()], &set).expect("it is due");
        let Packet::Ip(ip) = Packet::of(&back) else { panic!("no packet") };
        assert_eq!(
            (ip.source, ip.target, ip.ports(), &back[..6]),
            (other, own, Some((54, 5000)), &[2, 0, 0, 0, 0, 1][..])
        );
        assert_eq!(answer(&seen(443), &[own.into()], &set), None);
        assert_eq!(answer(&seen(54), &[other.into()], &set), None);

        assert_eq!(offences(&due, "udp 192.0.2.9 54 answers dmhost answer\nasked 1\n"), Vec::<String>::new());
        assert_eq!(offences(&due, "asked 1\n"), ["192.0.2.9 54/udp answered, and nothing came in"]);
    }
}
