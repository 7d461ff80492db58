//! Hand-made daemon.json files and the units of their daemons.

use super::{Code, code};

pub(super) const CODES: &[Code] = &[
    code(
        "json-syntax",
        "the file is no JSON",
        "dockerd reads strict JSON: no comments, no comma before a closing bracket, quotes around every key and string.",
        "{ \"debug\": true }",
    ),
    code(
        "json-duplicate-key",
        "a key is there twice",
        "dockerd takes the last one and says nothing.",
        "{ \"debug\": true }",
    ),
    code(
        "flag-and-file",
        "a key on the command line and in the file",
        "dockerd does not start: the following directives are specified both as a flag and in the configuration file. Debian's own unit gives `-H fd://`, so that `hosts` in the file is such a one.",
        "ExecStart=/usr/sbin/dockerd --config-file=/etc/docker/web.json",
    ),
    code(
        "bridge-and-bip",
        "`bridge` and `bip` exclude each other",
        "`bip` is for the bridge that dockerd makes itself. `dockerd --validate` does not tell.",
        "{ \"bridge\": \"br-web\" }",
    ),
    code(
        "ipv6-without-subnet",
        "IPv6 without a subnet for the default bridge",
        "Engine 26.1 has no IPv6 pool of its own and does not start. `dockerd --validate` does not tell.",
        "{ \"ipv6\": true, \"fixed-cidr-v6\": \"fd00:20::/64\" }",
    ),
    code(
        "ipv6-without-ip6tables",
        "containers with IPv6 and no firewall",
        "Without `ip6tables` dockerd makes no IPv6 rules: what can be routed to a container reaches all of its ports.",
        "{ \"ipv6\": true, \"fixed-cidr-v6\": \"fd00:20::/64\", \"ip6tables\": true, \"experimental\": true }",
    ),
    code(
        "ip6tables-without-experimental",
        "`ip6tables` without `experimental`",
        "In engine 26.1 it is an experimental feature, and dockerd does not start. `dockerd --validate` does not tell.",
        "{ \"ip6tables\": true, \"experimental\": true }",
    ),
    code(
        "icc-without-iptables",
        "`icc: false` without iptables",
        "Containers are kept apart by iptables rules; without them dockerd does not start. `dockerd --validate` does not tell.",
        "{ \"icc\": false }",
    ),
    code(
        "cgroup-parent",
        "a parent that is no slice",
        "With the systemd cgroup driver the parent is a slice unit. `dockerd --validate` does not tell.",
        "{ \"cgroup-parent\": \"docker-web.slice\" }",
    ),
    code(
        "path-relative",
        "a path that depends on where dockerd is started",
        "A unit starts it in `/`, a shell somewhere else.",
        "{ \"data-root\": \"/srv/docker/web/docker\" }",
    ),
    code(
        "storage-driver-btrfs",
        "the btrfs storage driver and snapshots",
        "It makes a nested subvolume for each layer; a snapshot of the data-root holds them as empty folders, and what is restored from it does not start. overlay2 works on btrfs.",
        "{ \"storage-driver\": \"overlay2\" }",
    ),
    code(
        "ip-any",
        "`ip` that binds nothing",
        "`0.0.0.0` is what dockerd does by itself: published ports are on every address of the machine, other daemons' too.",
        "{ \"ip\": \"192.0.2.10\" }",
    ),
    code(
        "api-open",
        "the API is open",
        "Whoever reaches the API is root on the machine. TLS without `tlsverify` encrypts and lets everybody in.",
        "{ \"hosts\": [\"tcp://192.0.2.10:2376\"], \"tlsverify\": true, \"tlscacert\": \"/etc/docker-web/ca.pem\", \"tlscert\": \"/etc/docker-web/cert.pem\", \"tlskey\": \"/etc/docker-web/key.pem\" }",
    ),
    code(
        "tls-files",
        "TLS without its files",
        "`tls` and `tlsverify`, also `tlsverify: false`, switch TLS on: without certificate and key dockerd does not start, and without `tlscacert` no CA of yours checks who comes.",
        "{ \"tlscacert\": \"/etc/docker-web/ca.pem\" }",
    ),
    code(
        "data-root-shared",
        "two daemons with one data-root",
        "The second waits for the lock of the first one's containerd for 15 seconds and gives up.",
        "{ \"data-root\": \"/srv/docker/web/docker\" }",
    ),
    code(
        "data-root-prefix",
        "data-roots that begin alike",
        "At start and stop dockerd unmounts what lies below its data-root, by comparing strings (moby, daemon/daemon_linux.go): `/srv/web` unmounts the running containers of `/srv/web2`. A last folder of one name keeps them apart.",
        "{ \"data-root\": \"/srv/docker/web/docker\" }",
    ),
    code(
        "exec-root-shared",
        "two daemons with one exec-root",
        "The second finds the first one's containerd there and fails.",
        "{ \"exec-root\": \"/run/docker-web/exec\" }",
    ),
    code(
        "pidfile-shared",
        "two daemons with one pidfile",
        "The second finds a process that runs, and does not start.",
        "{ \"pidfile\": \"/run/docker-web/docker.pid\" }",
    ),
    code(
        "socket-shared",
        "two daemons on one socket",
        "A unix socket goes to the later one; a TCP socket that is taken keeps it from starting. `0.0.0.0` takes a port on every address.",
        "{ \"hosts\": [\"unix:///run/docker-web/docker.sock\"] }",
    ),
    code(
        "bridge-shared",
        "two daemons on one bridge",
        "Both give out the same addresses. Only `docker0` is made by dockerd; every other bridge is made beforehand.",
        "{ \"bridge\": \"br-web\" }",
    ),
    code(
        "docker0-deleted",
        "a daemon deletes the other's bridge",
        "A daemon with `bridge: none` deletes the link docker0 at every start, with running containers on it (moby, daemon/daemon_unix.go).",
        "{ \"bridge\": \"br-web\" }",
    ),
    code(
        "pools-missing",
        "networks from the same ranges",
        "Without pools of its own every daemon takes 172.17.0.0/16 and on; a clash is seen only with what exists at that moment, so the order of starts decides.",
        "{ \"default-address-pools\": [{ \"base\": \"10.101.0.0/16\", \"size\": 24 }] }",
    ),
    code(
        "pools-overlap",
        "networks of two daemons overlap",
        "Two bridges with one subnet: what answers depends on the route that came first.",
        "{ \"default-address-pools\": [{ \"base\": \"10.102.0.0/16\", \"size\": 24 }] }",
    ),
    code(
        "iptables-flushed",
        "daemons that take away each other's rules",
        "Names of chains are constants. At every start dockerd empties DOCKER and DOCKER-ISOLATION-STAGE-1 and -2 and fills in its own networks alone: the other daemon's published ports fall back to docker-proxy, and its networks reach each other (moby#34567; all versions).",
        "{ \"iptables\": false }",
    ),
    code(
        "containerd-found",
        "a containerd that comes by itself",
        "Without `containerd` dockerd uses the system's if its socket is there when it starts (moby, cmd/dockerd/daemon.go), and one of its own if not. Changing from one to the other loses running containers.",
        "{ \"containerd\": \"/run/containerd-web/containerd.sock\" }",
    ),
    code(
        "containerd-shared",
        "two daemons with one containerd",
        "Both keep their containers in the namespace `moby` and take each other's for their own (moby#41640).",
        "{ \"containerd\": \"/run/containerd-web/containerd.sock\" }",
    ),
    code(
        "client-ca-shared",
        "two daemons with one client CA",
        "`tlsverify` checks the chain alone, no name: a client of one daemon is a client of both.",
        "{ \"tlscacert\": \"/etc/docker-web/ca.pem\" }",
    ),
];
