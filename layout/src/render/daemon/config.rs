//! daemon.json and the TLS files it names.
//!
//! Source of the keys: dockerd(8) and moby's `daemon/config`, by version of the engine. The command line carries `--config-file` alone:
//! a key given twice keeps dockerd from starting.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};
use serde_json::{Value, json};

use crate::engine::Versions;
use crate::layout::{CredentialId, Layout};
use crate::plan::{Api, Daemon, HostPlan, Isolation, Pool};

/// What is on in every zone, in the engines that have it.
const ZONE: &[(&str, Versions)] = &[
    ("iptables", Versions::ALL),
    ("ip-forward", Versions::ALL),
    ("userland-proxy", Versions::ALL),
    // Without it FORWARD stays open for IPv6.
    ("ip6tables", Versions::ALL),
    // Before engine 27.0 `ip6tables` is taken together with this alone.
    ("experimental", Versions::until(27)),
];

/// Engines that have one network of a pool whose networks leave 64 bits or more to hosts, however large it is
/// (<https://github.com/moby/moby/issues/42801>).
const ONE_OF_64: Versions = Versions::until(27);

/// Of an IPv6 pool for such an engine, what it can cut: 256 networks of /80 after the first /64, which is the bridge's by its own keys.
fn further(pool: Pool) -> Pool {
    match pool.base {
        IpNet::V6(base) if base.prefix_len() < pool.size => {
            let second = base.network().to_bits() + (1 << 64);
            Ipv6Net::new(second.into(), 72).map_or(pool, |base| Pool { base: base.into(), size: 80 })
        }
        IpNet::V4(_) | IpNet::V6(_) => pool,
    }
}

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let Daemon {
        name,
        isolation,
        interfaces: _,
        api,
        expose: _,
        egress: _,
        pools,
        routed,
        live_restore,
        quota: _,
        resources: _,
        networks: _,
        settings,
    } = daemon;
    let mut keys: BTreeMap<&str, Value> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let tls = name.etc().join("tls");

    let mut hosts = vec![format!("unix://{}", name.socket())];
    if let Some(Api { port, addresses, tls: mutual, .. }) = api {
        hosts.extend(addresses.iter().map(|address| format!("tcp://{}", std::net::SocketAddr::new(*address, *port))));
        if *mutual {
            keys.insert("tlsverify", json!(true));
        } else {
            // Said, and not left out: without it dockerd waits 15 s for someone to think better of it (moby, `daemon.go`, `loadListeners`).
            keys.insert("tls", json!(false));
        }
        let files = [
            ("tlscacert", "ca.pem", CredentialId::ClientCa(name.clone())),
            ("tlscert", "cert.pem", CredentialId::ServerCertificate(name.clone())),
            ("tlskey", "key.pem", CredentialId::ServerKey(name.clone())),
        ];
        for (key, file, id) in files.into_iter().filter(|_| *mutual) {
            let path = tls.join(file);
            keys.insert(key, json!(path));
            layout.secret(path, id);
        }
        if *mutual {
            layout.directory(tls, 0o700);
        }
    }
    keys.insert("hosts", json!(hosts));
    keys.insert("data-root", json!(name.data_root()));
    keys.insert("exec-root", json!(name.run().join("exec")));
    keys.insert("pidfile", json!(name.run().join("docker.pid")));
    keys.insert("group", json!(name.group()));
    keys.insert("cgroup-parent", json!(name.slice()));
    keys.insert("storage-driver", json!("overlay2"));
    keys.insert("live-restore", json!(live_restore));
    let engine = plan.host.engine_version();
    let cut = |pool: &Pool| if ONE_OF_64.hold(engine) { further(*pool) } else { *pool };
    let pools_text: Vec<_> =
        pools.iter().map(cut).map(|Pool { base, size }| json!({ "base": base, "size": size })).collect();
    keys.insert("default-address-pools", json!(pools_text));
    let first = |v4: bool| pools.iter().find(|pool| pool.base.addr().is_ipv4() == v4).map(Pool::first_bridge);
    match isolation {
        Isolation::Zone => {
            let on = ZONE.iter().filter(|(_, versions)| versions.hold(engine));
            keys.extend(on.map(|(key, _)| (*key, json!(true))));
            // Since then dockerd drops what comes for a container's own address, published or not.
            if !routed.is_empty() && Versions::since(28, 2).hold(engine) {
                keys.insert("allow-direct-routing", json!(true));
            }
            // The first network of the pool is docker0's, so that it is the same at every start.
            keys.extend(first(true).map(|bridge| ("bip", json!(bridge))));
        }
        Isolation::Shared => {
            shared(plan, daemon, &mut keys);
        }
    }
    if let Some(bridge) = first(false).filter(|_| plan.speaks_ipv6(daemon)) {
        keys.insert("fixed-cidr-v6", json!(bridge.trunc()));
        keys.insert("ipv6", json!(true));
    }

    let mut text = serde_json::to_string_pretty(&keys).expect("names and JSON values are JSON");
    text.push('\n');
    layout.text(name.etc().join("daemon.json"), text);
}

/// What is decided in the host's namespace: no rule and no sysctl is dockerd's, and what it publishes is on the daemon's own address.
///
/// With `iptables` each start of a dockerd would flush the chains of every other (moby, `setup_ip_tables_linux.go`).
fn shared(plan: &HostPlan, daemon: &Daemon, keys: &mut BTreeMap<&str, Value>) {
    for key in ["iptables", "ip6tables", "ip-forward", "ip-masq"] {
        keys.insert(key, json!(false));
    }
    keys.insert("userland-proxy", json!(true));
    keys.insert("bridge", json!(daemon.name.bridge()));
    let mut addresses = plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).map(IpNet::addr);
    if let Some(address) = addresses.find(std::net::IpAddr::is_ipv4) {
        keys.insert("ip", json!(address));
        // `ip` is for the default network alone.
        let options = keys.entry("default-network-opts").or_insert_with(|| json!({}));
        options["bridge"]["com.docker.network.bridge.host_binding_ipv4"] = json!(address.to_string());
    }
    // Without them containers ask the host's own, which the daemon's network need not lead to.
    let servers: Vec<_> = plan.interfaces_of(daemon).flat_map(|interface| &interface.dns).collect();
    if !servers.is_empty() {
        keys.insert("dns", json!(servers));
    }
}
