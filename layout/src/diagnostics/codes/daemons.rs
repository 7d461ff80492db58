//! Daemons: names, API, published ports, networks, and the proof's own lines.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "daemon-name",
        "no name of a daemon",
        "The name becomes a group, a slice, a subvolume and a folder: a lower-case letter, then lower-case letters, digits and `_`, up to 15. A `-` would put one slice into another's budget.",
        "[daemons.web_2]",
    ),
    code(
        "daemon-unknown",
        "there is no such daemon",
        "The name is that of no section `[daemons.NAME]`.",
        "to = \"daemon:web\"",
    ),
    code(
        "daemon-without-interface",
        "the daemon has no interface",
        "A zone is a daemon with interfaces of its own; without one it would reach nothing and nothing it.",
        "interfaces = [\"web\"]",
    ),
    code(
        "api-name",
        "no name in a certificate",
        "DNS names as RFC 1123 has them, whole, without wildcard. Addresses are in the certificate by themselves.",
        "api = { names = [\"web.example.org\"] }",
    ),
    code(
        "api-name-duplicate",
        "a name of two daemons",
        "A client that trusts the name would take either daemon for the one it means.",
        "api = { names = [\"lab.example.org\"] }",
    ),
    code(
        "api-without-address",
        "the API has no address to answer on",
        "It listens on the addresses of the daemon's interfaces, and they have none.",
        "addresses = [\"198.51.100.2/24\"]",
    ),
    code("port-out-of-range", "no port", "Ports go from 1 to 65535.", "api = { port = 2376 }"),
    code(
        "from-empty",
        "nobody may connect",
        "An empty `from` shuts the API for everyone; absent, it is open to any source on the daemon's interfaces.",
        "from = [\"198.51.100.0/24\"]",
    ),
    code(
        "from-overlap",
        "one range of `from` holds another",
        "The smaller one changes nothing.",
        "from = [\"198.51.100.0/24\"]",
    ),
    code(
        "from-never-matches",
        "nothing can come from there",
        "The daemon has no address of that IP version, or no route that leads there.",
        "from = [\"198.51.100.0/24\"]",
    ),
    code(
        "from-one-family",
        "the API is shut for one IP version",
        "`from` is exhaustive over both IP versions: with IPv4 ranges alone, nobody reaches the API over IPv6, though the daemon has an IPv6 address.",
        "from = [\"198.51.100.0/24\", \"2001:db8:10::/64\"]",
    ),
    code(
        "expose-syntax",
        "no port with its protocol",
        "A published port is written with its protocol.",
        "expose = [\"80/tcp\", \"8000-8010/udp\"]",
    ),
    code(
        "expose-protocol",
        "a protocol that Docker does not publish",
        "TCP and UDP are published; SCTP is not part of the format.",
        "expose = [\"443/udp\"]",
    ),
    code(
        "expose-range-inverted",
        "a range that ends before it begins",
        "The smaller port stands first.",
        "expose = [\"8000-8010/tcp\"]",
    ),
    code(
        "expose-overlap",
        "one port twice",
        "A port of one protocol is in one entry.",
        "expose = [\"80/tcp\", \"443/tcp\"]",
    ),
    code(
        "expose-api-port",
        "the API's port among the published ones",
        "`api.from` says who reaches the API. No container can publish its port.",
        "expose = [\"443/tcp\"]",
    ),
    code(
        "network-name",
        "no name of a Docker network",
        "Letters, digits, `_`, `.` and `-`, and none that Docker has for itself.",
        "[[daemons.web.networks]]\nname = \"backend\"",
    ),
    code("network-duplicate", "two networks of one name", "Docker could not tell them apart.", "name = \"frontend\""),
    code(
        "network-label",
        "no label of a network",
        "A label is KEY=VALUE on one line; `dmhost.` is for what dmhost notes down.",
        "labels = [\"org.example.tier=backend\"]",
    ),
    code(
        "network-subnet",
        "the network's addresses do not go together",
        "A network has at most one subnet of each IP version, and each subnet one gateway and one ip-range, which are inside it.",
        "subnet = \"172.20.1.0/24\"\ngateway = \"172.20.1.1\"",
    ),
    code(
        "network-subnet-overlap",
        "the network's subnet is taken",
        "By another network of the daemon, by its `docker0`, or by an interface: containers could not reach what has the same addresses.",
        "subnet = \"172.20.1.0/24\"",
    ),
    code(
        "network-ipv6",
        "IPv6 that the network cannot have",
        "Either an IPv6 subnet is there and `ipv6` is false, or `ipv6` is true and nothing gives it a subnet.",
        "ipv6 = true\nsubnet = [\"172.20.1.0/24\", \"fd00:20:1::/64\"]",
    ),
    code(
        "expect-vantage",
        "no place to ask from",
        "Questions come from `vlan:IF` (on its segment), `beyond:IF` (through its gateway), `trunk:NIC` (its untagged side), `container:DAEMON` or `host`.",
        "from = \"vlan:lab\"",
    ),
    code(
        "expect-target",
        "nobody who could be asked",
        "Questions go to `daemon:NAME` or to `host`.",
        "to = \"daemon:web\"",
    ),
    code("expect-port", "a question about several ports", "A question is about one port.", "port = \"443/tcp\""),
    code(
        "expect-duplicate",
        "a question that is there already",
        "A question has one verdict.",
        "[[expect]]\nfrom = \"vlan:lab\"\nto = \"daemon:web\"\nport = \"443/tcp\"\nverdict = \"silent\"",
    ),
    code(
        "expect-contradicts-plan",
        "the plan rules the verdict out",
        "What the rest of the spec says makes another verdict certain: the proof would fail. One of the two is not what was meant.",
        "expose = [\"443/tcp\"]",
    ),
];
