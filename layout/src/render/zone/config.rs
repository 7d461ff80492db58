//! daemon.json and the TLS files it names.
//!
//! Source of the keys: dockerd(8) and moby's `daemon/config`, by version of the engine. The command line carries `--config-file` alone:
//! a key given twice keeps dockerd from starting.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::engine::Versions;
use crate::layout::{CredentialId, Layout};
use crate::plan::{Api, Daemon, HostPlan, Pool};

/// What is on in every zone, in the engines that have it.
const ON: &[(&str, Versions)] = &[
    ("iptables", Versions::ALL),
    ("ip-forward", Versions::ALL),
    ("userland-proxy", Versions::ALL),
    // Without it FORWARD stays open for IPv6.
    ("ip6tables", Versions::ALL),
    // Before engine 27.0 `ip6tables` is taken together with this alone.
    ("experimental", Versions::until(27)),
];

pub(super) fn render(plan: &HostPlan, daemon: &Daemon, layout: &mut Layout) {
    let Daemon {
        name,
        interfaces: _,
        api,
        expose: _,
        pools,
        live_restore,
        quota: _,
        resources: _,
        networks: _,
        settings,
    } = daemon;
    let mut keys: BTreeMap<&str, Value> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let tls = name.etc().join("tls");

    let mut hosts = vec![format!("unix://{}", name.socket())];
    if let Some(Api { port, addresses, names: _, from: _ }) = api {
        hosts.extend(addresses.iter().map(|address| format!("tcp://{}", std::net::SocketAddr::new(*address, *port))));
        keys.insert("tlsverify", json!(true));
        for (key, file, id) in [
            ("tlscacert", "ca.pem", CredentialId::ClientCa(name.clone())),
            ("tlscert", "cert.pem", CredentialId::ServerCertificate(name.clone())),
            ("tlskey", "key.pem", CredentialId::ServerKey(name.clone())),
        ] {
            let path = tls.join(file);
            keys.insert(key, json!(path));
            layout.secret(path, id);
        }
        layout.directory(tls, 0o700);
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
    keys.extend(ON.iter().filter(|(_, versions)| versions.hold(engine)).map(|(key, _)| (*key, json!(true))));

    let pools_text: Vec<_> = pools.iter().map(|Pool { base, size }| json!({ "base": base, "size": size })).collect();
    keys.insert("default-address-pools", json!(pools_text));
    for pool in pools {
        match pool.base {
            IpNet::V4(base) => {
                // The first network of the pool is docker0's, so that it is the same at every start.
                let first = base.hosts().next().unwrap_or(base.network());
                keys.entry("bip").or_insert_with(|| json!(format!("{first}/{}", pool.size)));
            }
            IpNet::V6(base) if speaks_ipv6(plan, daemon) => {
                keys.entry("fixed-cidr-v6").or_insert_with(|| json!(format!("{}/{}", base.network(), pool.size)));
                keys.insert("ipv6", json!(true));
            }
            IpNet::V6(_) => {}
        }
    }

    let mut text = serde_json::to_string_pretty(&keys).expect("names and JSON values are JSON");
    text.push('\n');
    layout.text(name.etc().join("daemon.json"), text);
}

/// Whether an interface of the daemon has an IPv6 address: without one, IPv6 in containers leads nowhere.
fn speaks_ipv6(plan: &HostPlan, daemon: &Daemon) -> bool {
    plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).any(|net| net.addr().is_ipv6())
}
