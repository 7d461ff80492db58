//! The table of keys. A key that is not here keeps dockerd from starting.

use super::shape::Shape;

/// A key of daemon.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name. dockerd tells upper from lower case.
    pub name: &'static str,
    /// What its value must be.
    pub shape: Shape,
    /// For a key that dockerd takes and does not use: what to write instead.
    pub ignored: Option<&'static str>,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, ignored: None }
}

const fn ignored(name: &'static str, instead: &'static str) -> Key {
    Key { name, shape: Shape::String, ignored: Some(instead) }
}

/// Every key of engine 26.1 by name.
pub const KEYS: &[Key] = &[
    ignored("add-runtime", "write `runtimes`"),
    key("allow-nondistributable-artifacts", Shape::Strings),
    key("api-cors-header", Shape::String),
    key("authorization-plugins", Shape::Strings),
    key("bip", Shape::String),
    key("bridge", Shape::String),
    key("builder", Shape::Builder),
    key("cdi-spec-dirs", Shape::Strings),
    key("cgroup-parent", Shape::String),
    key("containerd", Shape::String),
    key("containerd-namespace", Shape::String),
    ignored("containerd-plugins-namespace", "give it as a flag: `--containerd-plugins-namespace`"),
    key("cpu-rt-period", Shape::Integer { least: 0 }),
    key("cpu-rt-runtime", Shape::Integer { least: 0 }),
    key("cri-containerd", Shape::Bool),
    key("data-root", Shape::String),
    key("debug", Shape::Bool),
    key("default-address-pools", Shape::Pools),
    key("default-cgroupns-mode", Shape::OneOf(&["host", "private"])),
    key("default-gateway", Shape::Address),
    key("default-gateway-v6", Shape::Address),
    key("default-ipc-mode", Shape::OneOf(&["private", "shareable"])),
    key("default-network-opts", Shape::MapOfStringMaps),
    key("default-runtime", Shape::String),
    key("default-shm-size", Shape::Size),
    key("default-ulimits", Shape::Ulimits),
    ignored("deprecated-key-path", "leave it out"),
    key("dns", Shape::Addresses),
    key("dns-opts", Shape::Strings),
    key("dns-search", Shape::Strings),
    key("exec-opts", Shape::Strings),
    key("exec-root", Shape::String),
    key("experimental", Shape::Bool),
    key("features", Shape::MapOfBools),
    key("fixed-cidr", Shape::String),
    key("fixed-cidr-v6", Shape::String),
    key("group", Shape::String),
    key("host-gateway-ip", Shape::Address),
    key("hosts", Shape::Strings),
    ignored("http-proxy", "write `proxies = { http-proxy = \"..\" }`"),
    ignored("https-proxy", "write `proxies = { https-proxy = \"..\" }`"),
    key("icc", Shape::Bool),
    key("init", Shape::Bool),
    key("init-path", Shape::String),
    key("insecure-registries", Shape::Strings),
    key("ip", Shape::Address),
    key("ip-forward", Shape::Bool),
    key("ip-masq", Shape::Bool),
    key("ip6tables", Shape::Bool),
    key("iptables", Shape::Bool),
    key("ipv6", Shape::Bool),
    key("labels", Shape::Strings),
    key("live-restore", Shape::Bool),
    key("log-driver", Shape::String),
    key("log-format", Shape::OneOf(&["json", "text"])),
    key("log-level", Shape::OneOf(&["debug", "error", "fatal", "info", "panic", "trace", "warn"])),
    key("log-opts", Shape::MapOfStrings),
    key("max-concurrent-downloads", Shape::Integer { least: 0 }),
    key("max-concurrent-uploads", Shape::Integer { least: 0 }),
    key("max-download-attempts", Shape::Integer { least: 0 }),
    key("metrics-addr", Shape::String),
    key("mtu", Shape::Integer { least: 0 }),
    key("network-control-plane-mtu", Shape::Integer { least: 500 }),
    key("network-diagnostic-port", Shape::Integer { least: 0 }),
    key("no-new-privileges", Shape::Bool),
    ignored("no-proxy", "write `proxies = { no-proxy = \"..\" }`"),
    key("node-generic-resources", Shape::Strings),
    key("pidfile", Shape::String),
    key("proxies", Shape::Proxies),
    key("raw-logs", Shape::Bool),
    key("registry-mirrors", Shape::Strings),
    key("rootless", Shape::Bool),
    key("runtimes", Shape::Runtimes),
    key("seccomp-profile", Shape::String),
    key("selinux-enabled", Shape::Bool),
    key("shutdown-timeout", Shape::Integer { least: -1 }),
    key("storage-driver", Shape::String),
    key("storage-opts", Shape::Strings),
    key("swarm-default-advertise-addr", Shape::String),
    key("tls", Shape::Bool),
    key("tlscacert", Shape::String),
    key("tlscert", Shape::String),
    key("tlskey", Shape::String),
    key("tlsverify", Shape::Bool),
    key("userland-proxy", Shape::Bool),
    key("userland-proxy-path", Shape::String),
    key("userns-remap", Shape::String),
];

/// The entry of a key.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|at| &KEYS[at])
}

/// What to write for a key that an older or a newer engine has, or that its documentation makes one expect.
pub(super) fn gone(name: &str) -> Option<&'static str> {
    Some(match name {
        "graph" => "write `data-root`: engine 23.0 took `graph` away",
        "cluster-store" | "cluster-store-opts" | "cluster-advertise" => "leave it out: engine 23.0 took it away",
        "storage-opt" => "write `storage-opts`",
        "resolv-conf" => "leave it out: dockerd reads `/etc/resolv.conf`",
        "oom-score-adjust" => "leave it out, and write `OOMScoreAdjust=` into the unit: engine 25.0 took it away",
        "bip6" | "firewall-backend" | "ip-forward-no-drop" | "allow-direct-routing" | "bridge-accept-fwmark" => {
            "leave it out: it came with an engine after 26.1"
        }
        "host-gateway-ips" => "write `host-gateway-ip`: the plural came with an engine after 26.1",
        "containerd-plugin-namespace" => "give it as a flag: `--containerd-plugins-namespace`",
        "config-file" | "validate" | "version" | "help" => "leave it out: it is a flag of the command line alone",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{KEYS, find};

    #[test]
    fn the_table_is_sorted_so_that_every_key_is_found() {
        assert!(KEYS.is_sorted_by(|one, other| one.name < other.name));
        assert!(KEYS.iter().all(|key| find(key.name) == Some(key)));
        assert_eq!(find("Debug"), None, "dockerd tells upper from lower case");
    }
}
