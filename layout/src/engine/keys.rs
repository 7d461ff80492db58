//! The table of keys. A key that an engine does not have keeps its dockerd from starting.

use super::shape::Shape;
use super::version::Versions;

/// A key of daemon.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name. dockerd tells upper from lower case.
    pub name: &'static str,
    /// What its value must be.
    pub shape: Shape,
    /// For a key that dockerd takes and does not use: what to write instead.
    pub ignored: Option<&'static str>,
    /// The engines that have it so.
    pub versions: Versions,
    /// What to write where an engine has it no more.
    pub instead: Option<&'static str>,
}

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, ignored: None, versions: Versions::ALL, instead: None }
}

const fn ignored(name: &'static str, instead: &'static str) -> Key {
    Key { ignored: Some(instead), ..key(name, Shape::String) }
}

impl Key {
    const fn since(self, major: u16, minor: u16) -> Self {
        Self { versions: Versions::since(major, minor), ..self }
    }

    const fn until(self, major: u16, instead: Option<&'static str>) -> Self {
        Self { versions: Versions::until(major), instead, ..self }
    }
}

/// Every key of the engines from 20.10 to 29.0, by name; a key that changed has a line for each of its times.
pub const KEYS: &[Key] = &[
    ignored("add-runtime", "write `runtimes`"),
    key("allow-direct-routing", Shape::Bool).since(28, 2),
    key("allow-nondistributable-artifacts", Shape::Strings).until(28, None),
    ignored("allow-nondistributable-artifacts", "leave it out: all artifacts are pushed").since(28, 0),
    key("api-cors-header", Shape::String).until(28, Some("leave it out, and put a reverse proxy before the API")),
    key("authorization-plugins", Shape::Strings),
    key("bip", Shape::String),
    key("bip6", Shape::String).since(28, 0),
    key("bridge", Shape::String),
    key("bridge-accept-fwmark", Shape::String).since(29, 0),
    key("builder", Shape::Builder),
    key("cdi-spec-dirs", Shape::Strings).since(25, 0),
    key("cgroup-parent", Shape::String),
    key("cluster-advertise", Shape::String).until(23, None),
    key("cluster-store", Shape::String).until(23, None),
    key("cluster-store-opts", Shape::MapOfStrings).until(23, None),
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
    key("default-network-opts", Shape::MapOfStringMaps).since(24, 0),
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
    key("firewall-backend", Shape::OneOf(&["iptables", "nftables"])).since(29, 0),
    key("fixed-cidr", Shape::String),
    key("fixed-cidr-v6", Shape::String),
    key("graph", Shape::String).until(23, Some("write `data-root`")),
    key("group", Shape::String),
    key("host-gateway-ip", Shape::Address),
    key("host-gateway-ips", Shape::Addresses).since(28, 0),
    key("hosts", Shape::Strings),
    ignored("http-proxy", "write `proxies = { http-proxy = \"..\" }`").since(23, 0),
    ignored("https-proxy", "write `proxies = { https-proxy = \"..\" }`").since(23, 0),
    key("icc", Shape::Bool),
    key("init", Shape::Bool),
    key("init-path", Shape::String),
    key("insecure-registries", Shape::Strings),
    key("ip", Shape::Address),
    key("ip-forward", Shape::Bool),
    key("ip-forward-no-drop", Shape::Bool).since(28, 0),
    key("ip-masq", Shape::Bool),
    key("ip6tables", Shape::Bool),
    key("iptables", Shape::Bool),
    key("ipv6", Shape::Bool),
    key("labels", Shape::Strings),
    key("live-restore", Shape::Bool),
    key("log-driver", Shape::String),
    key("log-format", Shape::OneOf(&["json", "text"])).since(25, 0),
    key("log-level", Shape::OneOf(&["debug", "error", "fatal", "info", "panic", "trace", "warn"])),
    key("log-opts", Shape::MapOfStrings),
    key("max-concurrent-downloads", Shape::Integer { least: 0 }),
    key("max-concurrent-uploads", Shape::Integer { least: 0 }),
    key("max-download-attempts", Shape::Integer { least: 0 }),
    key("metrics-addr", Shape::String),
    key("min-api-version", Shape::String).since(29, 0),
    key("mtu", Shape::Integer { least: 0 }),
    key("network-control-plane-mtu", Shape::Integer { least: 500 }),
    key("network-diagnostic-port", Shape::Integer { least: 0 }),
    key("no-new-privileges", Shape::Bool),
    ignored("no-proxy", "write `proxies = { no-proxy = \"..\" }`").since(23, 0),
    key("node-generic-resources", Shape::Strings),
    key("oom-score-adjust", Shape::Integer { least: -1000 })
        .until(25, Some("leave it out, and write `OOMScoreAdjust=` into the unit")),
    key("pidfile", Shape::String),
    key("proxies", Shape::Proxies).since(23, 0),
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

/// The lines of a key.
pub fn find(name: &str) -> &'static [Key] {
    let first = KEYS.partition_point(|key| key.name < name);
    let lines = KEYS[first..].iter().take_while(|key| key.name == name).count();
    &KEYS[first..first + lines]
}

/// What to write for a key that no engine has and that its documentation makes one expect.
pub(super) fn never(name: &str) -> Option<&'static str> {
    Some(match name {
        "storage-opt" => "write `storage-opts`",
        "resolv-conf" => "leave it out: dockerd reads `/etc/resolv.conf`",
        "containerd-plugin-namespace" => "give it as a flag: `--containerd-plugins-namespace`",
        "config-file" | "validate" | "version" | "help" => "leave it out: it is a flag of the command line alone",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{KEYS, find};
    use crate::engine::Version;

    #[test]
    fn the_table_is_sorted_so_that_every_key_is_found() {
        assert!(KEYS.is_sorted_by(|one, other| one.name <= other.name));
        assert!(KEYS.iter().all(|key| find(key.name).contains(key)));
        assert_eq!(find("Debug"), [], "dockerd tells upper from lower case");
    }

    #[test]
    fn no_engine_has_a_key_in_two_ways() {
        for version in [Version::V20_10, Version::V26_1, Version::V28_5] {
            for key in KEYS {
                assert!(find(key.name).iter().filter(|line| line.versions.hold(version)).count() <= 1, "{}", key.name);
            }
        }
    }
}
