//! The lines that stand behind another layer, each with what opens it and what shows them then.

use dmhost_layout::plan::Protocol;

use super::{Behind, Needs, Shows};
use crate::proof::Part;
use crate::proof::question::{Ask, Place, Vantage, Verdict};

/// Lines of a script, for each NIC that carries VLANs: that file has their names.
macro_rules! each_trunk {
    ($lines:literal) => {
        concat!(
            "for trunk in $(sed -n 's/^-net.ipv6.conf.\\(.*\\).disable_ipv6 = [01]$/\\1/p' /etc/sysctl.d/90-dmhost.conf); do\n",
            $lines,
            "\ndone"
        )
    };
}

const FORWARDS: &str = "sysctl -qw net.ipv4.ip_forward=1";
const NO_PREROUTING: &str = "nft flush chain inet dmhost prerouting";
const PREROUTING_OF_IPV4: &str = "nft insert rule inet dmhost prerouting meta nfproto ipv4 accept";
/// What no route leads to is answered by an error otherwise.
const PREROUTING_OF_IPV6: &str = "nft insert rule inet dmhost prerouting meta nfproto ipv6 accept
ip -6 route add blackhole default metric 4096";
const NO_POSTROUTING: &str = "nft flush chain inet dmhost postrouting 2>/dev/null || true";
const FORWARD: &str = "nft flush chain inet dmhost forward
nft chain inet dmhost forward '{ policy accept; }'
iptables -I FORWARD -j ACCEPT 2>/dev/null || true";
/// What comes in on an interface without an address is dropped by it (the kernel's `__fib_validate_source`).
const NO_FILTER_BY_SOURCE: &str = "for key in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$key; done";
/// dockerd's own chains, for both IP versions.
const DOCKERS_FORWARD: &str =
    "for tables in iptables ip6tables; do $tables -I DOCKER-USER -j ACCEPT || $tables -I FORWARD -j ACCEPT; done";
/// IPv6 on NICs that carry VLANs, and a question that leaves there.
const TRUNKS_ASK: &str = each_trunk!(
    "nft insert rule inet dmhost output oifname $trunk accept 2>/dev/null || true
    sysctl -qw net.ipv6.conf.$trunk.disable_ipv6=0
    ip -6 address replace fe80::d057/64 dev $trunk nodad
    ip -6 route replace 2001:db8:ffff::/64 dev $trunk
    bash -c 'echo question >/dev/udp/2001:db8:ffff::1/53' || true"
);
/// All that comes in untagged on NICs that carry VLANs, from the second rule of prerouting on.
const TRUNKS_COME_IN: &str = each_trunk!("nft add rule inet dmhost prerouting index 0 iifname $trunk accept");
/// The same, for the host itself.
const TRUNKS_REACH_HOST: &str = each_trunk!("nft insert rule inet dmhost input iifname $trunk accept");
const ARP_OF_ALL: &str = "for key in /proc/sys/net/ipv4/conf/*/arp_ignore; do echo 0 >$key; done";
/// What dockerd maps is served by docker-proxy then.
const NO_MAPPING: &str = "for tables in iptables ip6tables; do $tables -t nat -F DOCKER || true; done";
/// In a zone there is one such table, in the host's namespace one of each shared daemon.
const NO_EGRESS: &str =
    "for table in $(nft list tables netdev | awk '{ print $3 }'); do nft delete table netdev $table; done";
/// What others' tables have in common with its own: the NIC that carries them.
const NO_EGRESS_OF_OTHERS: &str = "
chains() { nft list table netdev $1 | awk '$1 == \"chain\" { print $2 }'; }
for table in $(nft list tables netdev | awk '{ print $3 }'); do
    for chain in $(chains $table); do
        [ $table = dmhost_$name ] || ! chains dmhost_$name | grep -qx $chain || nft delete chain netdev $table $chain
    done
done";

/// What leaves on the planned VLANs of NICs that carry shared daemons, whatever its MAC address.
const CARRIERS_LET_OUT: &str = each_trunk!(
    "chain=egress_$(echo $trunk | tr - .)
    for table in $(nft list tables netdev | awk '{ print $3 }'); do
        rule=$(nft list chain netdev $table $chain 2>/dev/null | sed -n 's/^.*\\(vlan id .* accept\\)$/\\1/p')
        [ -z \"$rule\" ] || nft insert rule netdev $table $chain $rule
    done"
);

const HOME_STOPS: &str = include_str!("../misfortunes/home-stops.sh");
const LATE_HOME: &str = include_str!("../misfortunes/late-home.sh");
const RULES_STOP: &str = include_str!("../misfortunes/rules-stop.sh");
const LATE_RULES: &str = include_str!("../misfortunes/late-rules.sh");
const LATE_MOUNT: &str = include_str!("../misfortunes/late-mount.sh");
const NIC_GONE: &str = include_str!("../misfortunes/nic-gone.sh");
const OTHER_CONTAINERD: &str = include_str!("../misfortunes/other-containerd.sh");
const NO_MOUNT: &str = include_str!("../misfortunes/no-mount.sh");

const ECHO_TO_ALL: Shows = Shows::Part(Part::Cells(|question| {
    matches!((&question.ask, question.target.place), (Ask::Echo, Place::Broadcast))
}));

const ECHO_TO_CONTAINERS: Shows = Shows::Part(Part::Cells(|question| {
    let near = matches!(question.vantage, Vantage::Vlan(_));
    near && matches!((&question.ask, question.target.place), (Ask::Echo, Place::Container))
}));

const TRUNKS: Shows = Shows::Part(Part::Cells(|question| {
    matches!((&question.vantage, &question.ask), (Vantage::Trunk(_), Ask::Neighbour))
}));

const ELSEWHERE: Shows = hostile("an address elsewhere, through this host");

const fn hostile(row: &'static str) -> Shows {
    Shows::Part(Part::Hostile(row))
}

/// A line that makes a difference wherever it is.
const fn layer(key: &'static str, open: &'static [&'static str], shows: Shows) -> Behind {
    Behind { key, open, shows, needs: &[] }
}

/// A line of a unit, and the misfortune that it is there for.
const fn unit(key: &'static str, script: &'static str) -> Behind {
    layer(key, &[], Shows::Misfortune(script))
}

/// A switch of what is taken from a router's advertisements, which stands behind nothing: one row tells, and all else would take minutes.
const fn taught(key: &'static str) -> Behind {
    layer(key, &[], Shows::Part(Part::Routes("rogue router advertisement")))
}

/// Each line that is known to stand behind something.
pub(super) const BEHIND: &[Behind] = &[
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_pinfo"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_rt_info_max_plen"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_mtu"),
    taught("NAME/link.conf: net.ipv6.conf.…accept_ra_min_hop_limit"),
    unit("dmhost-NAME-link.service: without \"BindsTo=dmhost-NAME-", HOME_STOPS),
    unit("dmhost-NAME.service: without \"BindsTo=dmhost-NAME-", HOME_STOPS),
    unit("dmhost-NAME.service: without \"Wants=dmhost-NAME-link.service\"", LATE_HOME),
    unit("dmhost-NAME.service: without \"After=dmhost-NAME-", LATE_HOME),
    unit("dmhost-NAME-link.service: without \"After=dmhost-NAME-", LATE_HOME),
    unit("dmhost-NAME-bridge.service: without \"Requires=nftables.service\"", RULES_STOP),
    unit("dmhost-NAME-bridge.service: without \"After=nftables.service ", LATE_RULES),
    unit("dmhost-NAME-zone.service: without \"Requires=run-dmhost_ns.mount\"", LATE_MOUNT),
    unit("dmhost-NAME-zone.service: without \"After=run-dmhost_ns.mount", LATE_MOUNT),
    unit("dmhost-NAME-link.service: without \"BindsTo=sys-subsystem-net-devices-", NIC_GONE),
    unit("dmhost-NAME-link.service: without \"After=sys-subsystem-net-devices-", NIC_GONE),
    unit("dmhost-NAME.service: without \"AssertPathExists=", OTHER_CONTAINERD),
    unit("dmhost-NAME.service: without \"RequiresMountsFor=", NO_MOUNT),
    unit("dmhost-NAME-zone.service: without \"RequiresMountsFor=", NO_MOUNT),
    Behind {
        key: "net.ipv4.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmp type redirect accept"],
        shows: hostile("ICMP redirect"),
        needs: &[(Needs::Gateway4, "a redirect is believed of a route by a gateway, and there is none")],
    },
    Behind {
        key: "net.ipv6.conf.*.accept_redirects the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-redirect accept"],
        shows: hostile("ICMP redirect"),
        needs: &[(
            Needs::LinkLocalGateway,
            "a redirect is believed from the link-local address of a gateway (RFC 4861 section 8.1), and there is none",
        )],
    },
    Behind {
        key: "net.ipv4.conf.*.send_redirects the other way",
        open: &[PREROUTING_OF_IPV4, FORWARDS],
        shows: ELSEWHERE,
        needs: &[
            (Needs::Gateway4, "a redirect names a gateway, and there is none"),
            (
                Needs::NoNat,
                "where sources are translated the kernel drops a redirect about what is not translated yet \
                 (nf_nat_icmp_reply_translation), and sends it before that; what forwarding drops never is",
            ),
        ],
    },
    Behind {
        key: "net.ipv4.conf.*.accept_source_route the other way",
        open: &[FORWARD, PREROUTING_OF_IPV4, NO_POSTROUTING, NO_EGRESS, FORWARDS],
        shows: hostile("source route"),
        needs: &[(Needs::Gateway4, "there is no route to where the packet is to go")],
    },
    layer(
        "/etc/dmhost/NAME/nftables.conf: forward with \"policy accept\"",
        &[NO_PREROUTING, NO_EGRESS, DOCKERS_FORWARD],
        ECHO_TO_CONTAINERS,
    ),
    layer(
        "/etc/dmhost/NAME/nftables.conf: input without \"iifname { …udp dport ",
        &[NO_MAPPING],
        Shows::Part(Part::Cells(|question| {
            let near = matches!(question.vantage, Vantage::Vlan(_));
            let datagram = matches!(question.ask, Ask::Datagram { .. } | Ask::Listed { protocol: Protocol::Udp, .. });
            near && datagram && question.expected == Verdict::Serves
        })),
    ),
    // All that comes untagged on a NIC that carries VLANs.
    layer(
        "prerouting without \"iifname { …\" } drop\"",
        &[NO_FILTER_BY_SOURCE, TRUNKS_COME_IN, TRUNKS_REACH_HOST],
        Shows::Part(Part::Cells(|question| {
            let trunk = matches!(question.vantage, Vantage::Trunk(_));
            trunk && matches!((&question.ask, question.target.place), (Ask::Echo, Place::Planned))
        })),
    ),
    layer("/etc/nftables.conf: postrouting without \"oifname { …\" } drop\"", &[NO_EGRESS, TRUNKS_ASK], TRUNKS),
    layer(
        "/etc/nftables.conf: input without \"iifname { …\" } drop\"",
        &["nft flush chain arp dmhost output", ARP_OF_ALL, NO_FILTER_BY_SOURCE, NO_EGRESS],
        TRUNKS,
    ),
    layer(
        "/etc/nftables.conf: output without \"oifname { …\" } drop\"",
        &["nft flush chain arp dmhost input", ARP_OF_ALL, NO_FILTER_BY_SOURCE, NO_EGRESS],
        TRUNKS,
    ),
    Behind {
        key: "/etc/nftables.conf: forward with \"policy accept\"",
        open: &[PREROUTING_OF_IPV4, NO_POSTROUTING, FORWARDS],
        shows: ELSEWHERE,
        needs: &[(Needs::Elsewhere4, "there is no route to where a packet would go")],
    },
    // Of interfaces of shared daemons, whose links let out no more than that.
    layer(
        "/etc/nftables.conf: postrouting without \"oifname \"…\" ip saddr",
        &[FORWARD, PREROUTING_OF_IPV4, NO_EGRESS],
        ELSEWHERE,
    ),
    layer(
        "/etc/nftables.conf: postrouting without \"oifname \"…\" ip6 saddr",
        &[FORWARD, PREROUTING_OF_IPV6, NO_EGRESS],
        ELSEWHERE,
    ),
    // What a VLAN lets out passes the NIC that carries it.
    layer(
        "/etc/dmhost/NAME/egress.nft: egress_… without \"ether saddr != ",
        &[CARRIERS_LET_OUT],
        Shows::Part(Part::Containers),
    ),
    // Of the NIC that shared daemons are on: each brings the same.
    layer(
        "/etc/dmhost/NAME/egress.nft: egress_… with \"policy accept\"",
        &[NO_EGRESS_OF_OTHERS],
        Shows::Part(Part::Containers),
    ),
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv4.ip_forward the other way",
        open: &[FORWARD, PREROUTING_OF_IPV4, NO_POSTROUTING],
        shows: ELSEWHERE,
        needs: &[(Needs::Elsewhere4, "there is no route to where a packet would go")],
    },
    Behind {
        key: "sysctl.d/90-dmhost.conf: net.ipv6.conf.*.forwarding the other way",
        open: &[FORWARD, NO_PREROUTING, NO_POSTROUTING],
        shows: ELSEWHERE,
        needs: &[(Needs::Elsewhere6, "there is no route to where a packet would go")],
    },
    Behind {
        key: "net.ipv4.conf.*.arp_ignore the other way",
        open: &[NO_EGRESS],
        shows: Shows::Part(Part::Cells(|question| question.ask == Ask::Neighbour)),
        needs: &[(Needs::OtherAddresses, "one interface has all addresses of the namespace")],
    },
    layer("net.ipv4.icmp_echo_ignore_broadcasts the other way", &[NO_PREROUTING], ECHO_TO_ALL),
    layer(
        "fib daddr . iif type { broadcast, multicast } meta l4proto != ipv6-icmp drop\"",
        &["sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0"],
        ECHO_TO_ALL,
    ),
    Behind {
        key: "net.ipv6.conf.*.accept_ra the other way",
        open: &["nft insert rule inet dmhost input icmpv6 type nd-router-advert accept"],
        shows: Shows::Part(Part::Routes("rogue router advertisement")),
        needs: &[(Needs::WrittenRouter, "each interface of the namespace learns its router")],
    },
    layer(
        "disable_ipv6 the other way",
        &[NO_PREROUTING, TRUNKS_REACH_HOST, NO_POSTROUTING, NO_EGRESS],
        Shows::Part(Part::Cells(|question| {
            matches!((&question.vantage, &question.ask), (Vantage::Trunk(_), Ask::Neighbour | Ask::Echo))
        })),
    ),
];
