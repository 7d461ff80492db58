//! Which of a daemon's frames left, told by its addresses, and what is wrong with that.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use smoltcp::wire::IpProtocol;

use super::{Aim, What};
use crate::fabric::Seen;
use crate::fabric::packet::{self, Packet};

/// Numbers of frames, the first of each kind.
#[derive(Debug, Default)]
pub(super) struct Left {
    sent: BTreeMap<(IpAddr, What), u64>,
    looked_for: BTreeMap<IpAddr, u64>,
}

impl Left {
    /// What left with an address of these ranges.
    pub(super) fn by(sources: &[IpNet], seen: &[Seen]) -> Self {
        let ours = |ip: &IpAddr| sources.iter().any(|range| range.contains(ip));
        let mut left = Self::default();
        for seen in seen {
            if let Some((target, _)) = packet::question(&seen.frame).filter(|(_, asks)| ours(&asks.ip)) {
                left.looked_for.entry(target).or_insert(seen.number);
            }
            let Packet::Ip(ip) = Packet::of(&seen.frame) else { continue };
            let port = ip.ports().map(|(_, port)| port);
            let what = match (ip.protocol, port, ip.icmp()) {
                (IpProtocol::Tcp, Some(port), _) => What::Tcp(port),
                (IpProtocol::Udp, Some(port), _) => What::Udp(port),
                (_, _, Some((8 | 128, ..))) => What::Echo,
                _ => continue,
            };
            if ours(&ip.source) {
                left.sent.entry((ip.target, what)).or_insert(seen.number);
            }
        }
        left
    }

    /// What did not leave and may, what left and may not, and whom nobody may ask for and who was looked for.
    pub(super) fn offences(&self, aims: &BTreeSet<Aim>) -> Vec<String> {
        let wrong =
            aims.iter().filter_map(|Aim { address, what, leaves }| match (leaves, self.sent.get(&(*address, *what))) {
                (true, None) => Some(format!("{address} {what} did not leave, and may")),
                (false, Some(frame)) => Some(format!("frame {frame}: {address} {what} left, and may not")),
                (true, Some(_)) | (false, None) => None,
            });
        let kept = |address: &IpAddr| {
            let mut of = aims.iter().filter(|aim| aim.address == *address).peekable();
            of.peek().is_some() && of.all(|aim| !aim.leaves)
        };
        let looked = self.looked_for.iter().filter(|(address, _)| kept(address));
        wrong.chain(looked.map(|(address, frame)| format!("frame {frame}: {address} was looked for"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use smoltcp::wire::TcpControl;

    use super::*;
    use crate::fabric::{Direction, Host, Mac, PortId};

    fn host(last: u8) -> Host {
        Host { mac: Mac([2, 0, 0, 0, 0, last]), ip: IpAddr::from([192, 0, 2, last]) }
    }

    fn seen(frames: Vec<Option<Vec<u8>>>) -> Vec<Seen> {
        let seen = |(number, frame): (u64, Option<Vec<u8>>)| {
            let frame = frame.expect("a frame").into();
            let (at, port, direction) = (Instant::now(), PortId(0), Direction::FromGuest);
            Seen { number, at, port, direction, segment: None, frame }
        };
        (1..).zip(frames).map(seen).collect()
    }

    fn aim(last: u8, what: What, leaves: bool) -> Aim {
        Aim { address: host(last).ip, what, leaves }
    }

    #[test]
    fn what_leaves_is_held_against_the_plan() {
        let own = host(1);
        let frames = seen(vec![
            packet::tcp(own, host(2), (5000, 443), TcpControl::Syn, 1),
            packet::udp(own, host(2), (5000, 54), b"x"),
            packet::echo(own, host(3), 1, 1),
            // Somebody else's.
            packet::udp(host(9), host(2), (5000, 53), b"x"),
        ]);
        let aims = BTreeSet::from([
            aim(2, What::Tcp(443), true),
            aim(2, What::Tcp(444), false),
            aim(2, What::Udp(53), true),
            aim(2, What::Udp(54), false),
            aim(3, What::Echo, true),
        ]);
        assert_eq!(
            Left::by(&[own.ip.into()], &frames).offences(&aims),
            ["192.0.2.2 53/udp did not leave, and may", "frame 2: 192.0.2.2 54/udp left, and may not"]
        );
    }

    #[test]
    fn who_is_not_to_be_asked_is_not_looked_for() {
        let own = host(1);
        let frames = seen(vec![packet::who_has(own, own.mac, host(2).ip), packet::who_has(own, own.mac, host(3).ip)]);
        let aims = BTreeSet::from([
            aim(2, What::Udp(53), false),
            aim(3, What::Udp(53), false),
            // One thing of it may be asked: so it is looked for.
            aim(3, What::Udp(54), true),
        ]);
        let offences = Left::by(&[own.ip.into()], &frames).offences(&aims);
        assert_eq!(offences, ["192.0.2.3 54/udp did not leave, and may", "frame 1: 192.0.2.2 was looked for"]);
    }
}
