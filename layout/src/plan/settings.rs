//! `settings`: keys of daemon.json that are the user's. [`OWNED`] is the one table of those that are dmhost's.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostics::Diagnostic;
use crate::engine::{self, Reader};
use crate::spec::words::quoted;
use crate::spec::{Field, Setting, Settings};

/// A key of daemon.json that dmhost decides, and what a user writes or does instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// The key; with `*` at its end, every key that begins so.
    pub key: &'static str,
    /// A help text: the key of the spec, or why there is none.
    pub instead: &'static str,
}

/// Every key of daemon.json that `settings` may not hold, by name.
pub const OWNED: &[Owned] = &[
    owned("allow-direct-routing", "write `routed`, with the IPv6 ranges that a router leads to the daemon"),
    owned("bip", "write `pools`: the first network of a zone takes its subnet from them"),
    owned("bip6", "write an IPv6 range into `pools`: the first network of a zone takes its subnet from them"),
    owned("bridge", "leave it out: every daemon has a bridge of its own"),
    owned("bridge-accept-fwmark", "leave it out: the rules of a zone are dmhost's"),
    owned("cgroup-parent", "leave it out: every daemon has a slice of its own"),
    owned("cluster-*", "leave it out: networks over several hosts are swarm's, with `live-restore = false`"),
    owned("containerd*", "leave it out: every daemon starts a containerd of its own"),
    owned("data-root", "leave it out: it is `/srv/dmhost/NAME/docker`, a subvolume of its own"),
    owned("default-address-pools", "write `pools`"),
    owned("default-gateway*", "leave it out: the gateway of a container is its own network's bridge"),
    owned("dns", "write `dns` under the daemon's interface"),
    owned("exec-root", "leave it out: it is `/run/dmhost/NAME/exec`"),
    owned("experimental", "leave it out: dmhost sets it as `ip6tables` takes it"),
    owned("firewall-backend", "leave it out: the rules of a zone stand beside those of iptables"),
    owned("fixed-cidr*", "write `pools`"),
    owned("graph", "leave it out: it is an old name of `data-root`"),
    owned("group", "leave it out: it is `docker-NAME`"),
    owned("hosts", "write `api`: `api = { port = 2376 }`; the unix socket is always there"),
    owned("ip", "leave it out: a daemon's published ports are on its own addresses alone"),
    owned("ip-forward", "leave it out: a zone forwards for its own containers alone"),
    owned("ip-forward-no-drop", "leave it out: a zone forwards for its own containers alone"),
    owned("ip-masq", "leave it out: containers leave a zone with its own address"),
    owned("ip6tables", "leave it out: it is on in every zone, and off where daemons share the host's namespace"),
    owned("iptables", "leave it out: it is on in every zone, and off where daemons share the host's namespace"),
    owned("ipv6", "write an IPv6 range into `pools`, or leave both out for the default"),
    owned("live-restore", "write `live-restore` under the daemon itself"),
    owned("pidfile", "leave it out: it is `/run/dmhost/NAME/docker.pid`"),
    owned("rootless", "leave it out: the daemon is root in its zone"),
    owned("storage-driver", "leave it out: it is `overlay2`"),
    owned("storage-opts", "write `storage = { quota = \"40GiB\" }`: `overlay2` has no option that btrfs takes"),
    owned("tls*", "write `api`: the daemon's certificates and client CA come with it"),
    owned("userland-proxy", "leave it out: it is on"),
];

const fn owned(key: &'static str, instead: &'static str) -> Owned {
    Owned { key, instead }
}

/// The entry of [`OWNED`] that a key of daemon.json falls under.
pub fn owner_of(key: &str) -> Option<&'static Owned> {
    OWNED.iter().find(|owned| match owned.key.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => key == owned.key,
    })
}

/// Reports settings that dmhost owns, that the engine does not know, and values that it refuses.
pub(super) fn check(settings: &Field<Settings>, reader: Reader<'_>, report: &mut Vec<Diagnostic>) {
    for Setting { key, node } in settings.given().iter().flat_map(|settings| &settings.value.entries) {
        if let Some(owned) = owner_of(&key.value) {
            let message = format!("{} of daemon.json is dmhost's to set", quoted(&key.value));
            report.push(key.place.key_error("settings-key-owned", message).help(owned.instead));
        } else {
            engine::check(&key.value, &key.place.key, node, &key.place.path, reader, report);
        }
    }
}

/// Reports values of a daemon's settings, its own and the defaults under them, that do not go together.
pub(super) fn check_together(defaults: &Field<Settings>, own: &Field<Settings>, report: &mut Vec<Diagnostic>) {
    let all = [defaults, own].into_iter().filter_map(Field::given).flat_map(|settings| &settings.value.entries);
    engine::check_together(
        all.map(|setting| (setting.key.value.as_str(), &setting.node, setting.key.place.path.clone())),
        Some("overlay2"),
        report,
    );
}

/// `own` over `defaults`. Tables are merged key by key; of all else the daemon's own value stands.
pub(super) fn merge(defaults: &Field<Settings>, own: &Field<Settings>) -> BTreeMap<String, Value> {
    let mut merged = BTreeMap::new();
    for settings in [defaults, own].into_iter().filter_map(Field::given) {
        for setting in &settings.value.entries {
            let under = merged.remove(&setting.key.value);
            merged.insert(setting.key.value.clone(), over(under, setting.node.to_json()));
        }
    }
    merged
}

fn over(under: Option<Value>, own: Value) -> Value {
    match (under, own) {
        (Some(Value::Object(mut under)), Value::Object(own)) => {
            for (key, value) in own {
                let below = under.remove(&key);
                under.insert(key, over(below, value));
            }
            Value::Object(under)
        }
        (_, own) => own,
    }
}
