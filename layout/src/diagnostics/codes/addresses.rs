//! Addresses, subnets, gateways, name servers and pools.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "address",
        "no address",
        "Gateways and name servers are single addresses, without a prefix length.",
        "gateways = [\"192.0.2.1\"]",
    ),
    code(
        "address-duplicate",
        "an address is there twice",
        "Each address belongs to one interface of the host, over all daemons.",
        "addresses = [\"198.51.100.3/24\"]",
    ),
    code(
        "address-is-broadcast",
        "the broadcast address of its subnet",
        "The last address of an IPv4 subnet is everyone's.",
        "addresses = [\"192.0.2.10/24\"]",
    ),
    code(
        "address-is-network",
        "the address of the subnet itself",
        "The first address of an IPv4 subnet is the subnet; of an IPv6 subnet it is the routers' anycast address (RFC 4291, 2.6.1).",
        "addresses = [\"192.0.2.10/24\"]",
    ),
    code(
        "address-special",
        "an address that no host has",
        "Unspecified, loopback, multicast, link-local and reserved addresses are not given to an interface.",
        "addresses = [\"192.0.2.10/24\"]",
    ),
    code(
        "cidr",
        "no address with a prefix length",
        "An address or range has the length of its network after a `/`.",
        "addresses = [\"192.0.2.10/24\"]",
    ),
    code(
        "host-bits",
        "a range with host bits",
        "A range is written by its first address; what stands here is an address in it.",
        "from = [\"198.51.100.0/24\"]",
    ),
    code(
        "subnet-overlap",
        "a subnet on two interfaces of one namespace",
        "The kernel would choose one of the two for what leaves. Two daemons may well be on one LAN: each has a namespace and routes of its own.",
        "[daemons.web]\ninterfaces = [\"web\"]\n\n[daemons.lab]\ninterfaces = [\"lab\"]  # on the same LAN",
    ),
    code(
        "gateway-off-subnet",
        "the gateway is on no subnet of its interface",
        "It could not be reached without another gateway.",
        "addresses = [\"192.0.2.10/24\"]\ngateways = [\"192.0.2.1\"]",
    ),
    code(
        "gateway-without-address",
        "a gateway of an IP version that the interface does not speak",
        "The interface has no address to reach it from.",
        "addresses = [\"2001:db8::10/64\"]\ngateways = [\"fe80::1\"]",
    ),
    code(
        "gateway-is-own",
        "the gateway is the interface itself",
        "The router has another address.",
        "gateways = [\"192.0.2.1\"]",
    ),
    code(
        "gateway-is-network",
        "the gateway is the subnet or its broadcast address",
        "No router has it.",
        "gateways = [\"192.0.2.1\"]",
    ),
    code(
        "gateway-twice",
        "a second default gateway",
        "Of two default routes in one table, replies would go out through the wrong one. Interfaces of a daemon may have one each; the host's interfaces share a table.",
        "gateways = [\"192.0.2.1\"]",
    ),
    code(
        "dns-unreachable",
        "no route leads to the name server",
        "It is on no subnet of its namespace, and there is no gateway of its IP version.",
        "dns = [\"192.0.2.53\"]",
    ),
    code(
        "pool-overlap",
        "a pool hides something",
        "A pool holds a subnet, a name server or another pool: containers could not reach what has the same addresses.",
        "pools = [\"172.20.0.0/14\", \"fd00:20::/48\"]",
    ),
    code(
        "default-pool-overlap",
        "the interface lies in the default pools",
        "The daemon has no `pools` of its own, and Docker's networks would take the interface's addresses.",
        "pools = [\"10.200.0.0/16\", \"fd00:200::/48\"]",
    ),
    code(
        "accept-ra-without-address",
        "a router is learnt and never used",
        "Of a router's advertisements the default route is learnt, and no address: one of the spec's is what it is used from. What carries VLANs has none.",
        "addresses = [\"2001:db8::10/64\"]\naccept-ra = true",
    ),
    code(
        "accept-ra-beside",
        "a learnt router beside another way out",
        "What is learnt is one default route of the whole namespace, for every source: beside another one what was asked through one interface would be answered through the other.",
        "addresses = [\"2001:db8::10/64\"]\ngateways = [\"192.0.2.1\"]\naccept-ra = true",
    ),
    code(
        "accept-ra-shared",
        "a shared daemon's router is learnt",
        "Its routes are in a table of its own, so that no other takes them; what the kernel learns is in the table that all share.",
        "gateways = [\"fe80::1\"]",
    ),
    code(
        "pool-too-small",
        "a pool holds no network",
        "Networks are taken from a pool with a prefix length of 24 to 28, or 64 for IPv6.",
        "pools = [\"172.20.0.0/14\"]",
    ),
    code(
        "pool-too-large",
        "a pool holds too many networks",
        "The engine makes a list of all networks of a pool when it starts.",
        "pools = [\"172.20.0.0/14\", \"fd00:20::/48\"]",
    ),
    code(
        "pools-without-ipv4",
        "no IPv4 pool",
        "dockerd's own first network takes a subnet from an IPv4 pool; without one it does not start.",
        "pools = [\"172.20.0.0/14\", \"fd00:20::/48\"]",
    ),
];
