//! Probe containers: on each daemon real containers from an image that holds the probe alone, started with the real
//! `docker run`.
//!
//! One on the default network is published with `-p`; its page names the daemon, so that an answer from the wrong one is
//! seen. One is on a user's network, made by the proof. Two more wait for what is asked of them: a neighbour of the first, and one
//! on the host's network.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{self, Daemon, DaemonName, HostPlan, Isolation, Protocol};
use serde_json::{Value, json};

use super::inside::enter;
use super::question::{CONTAINER_PORT, Inner, Network, Place, borrowed, bound, inner_port, probe_ports};
use crate::bed::{BedRequest, Testbed};
use crate::fabric::Mac;
use crate::guest::Guest;
use crate::vm::Waiting;

/// The program, as `build.rs` made it: static, of this machine's architecture.
const PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dmhost-probe"));
/// The program's place in the guest: on tmpfs, so that the disk's own state is not touched by it, and not on `/run`, where
/// nothing is executed.
pub(super) const PROGRAM: &str = "/dev/shm/dmhost-probe/probe";
/// The same in its image.
pub(crate) const IN_IMAGE: &str = "/probe";
const IMAGE: &str = "/dev/shm/dmhost-probe/image.tar";
/// The container on the default network; the image has the same name.
pub(crate) const DEFAULT: &str = "dmhost-probe";
/// The user's network and the container on it.
pub(crate) const USER: &str = "dmhost-probe-user";
/// A second container on the default network.
pub(super) const SECOND: &str = "dmhost-probe-second";
/// A container on the host's network: in a zone, the zone's.
pub(super) const HOST: &str = "dmhost-probe-host";

/// The container on a network that answers for it.
pub(crate) fn container(network: &Network) -> String {
    match network {
        Network::Default => DEFAULT.to_owned(),
        Network::User => USER.to_owned(),
        // No name that the others have.
        Network::Declared(name) => format!("{DEFAULT}.{name}"),
    }
}
/// For one daemon, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The page that the probe container of a daemon answers with.
pub fn page(name: &DaemonName) -> String {
    format!("probe of daemon {name}\n")
}

/// Starts the probe containers of every daemon that has none yet, all daemons at once, and tells the addresses behind each.
///
/// # Errors
/// If a daemon does not start its containers; the message has Docker's own.
pub fn start(plan: &HostPlan, guest: &Guest) -> Result<Vec<Inner>> {
    guest.put(PROGRAM, 0o755, PROBE)?;
    guest.put(IMAGE, 0o600, &image()?)?;
    std::thread::scope(|scope| {
        let starting: Vec<_> =
            plan.daemons.values().map(|daemon| scope.spawn(|| start_one(plan, daemon, guest))).collect();
        let mut inner = Vec::new();
        for thread in starting {
            match thread.join() {
                Ok(addresses) => inner.extend(addresses?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(inner)
    })
}

/// A host whose boot is done and whose probe containers run, as [`Testbed::settled`]. Where they do not start, what came of it is not kept,
/// and the host is one without them: the proof starts them itself then, and tells of it.
///
/// # Errors
/// As [`Testbed::settled`].
pub fn settled(request: &BedRequest<'_>, waiting: Waiting<'_>) -> Result<Testbed> {
    const NOT_STARTED: &str = "the probe containers do not start";
    let started = |bed: &Testbed| {
        let started = start(request.plan, &bed.guest).map(drop);
        started.or_else(|error| {
            bed.alive()?;
            Err(error.context(NOT_STARTED))
        })
    };
    match Testbed::settled_with(request, "probe containers run", started, waiting) {
        Err(error) if error.downcast_ref::<&str>() == Some(&NOT_STARTED) => Testbed::settled(request, waiting),
        other => other,
    }
}

/// Whether [`start`] has been here.
///
/// # Errors
/// If the machine ended or its agent does not answer.
pub fn are_started(guest: &Guest) -> Result<bool> {
    Ok(guest.run(&format!("[ -e {PROGRAM} ]"), PATIENCE)?.status == Some(0))
}

/// Where the ports of a probe container are published: where Docker does by itself (`None`), and on a shared daemon by name on its
/// further addresses too.
pub(crate) fn places(plan: &HostPlan, daemon: &Daemon) -> Vec<Option<IpAddr>> {
    let mut places = vec![None];
    if daemon.isolation == Isolation::Shared {
        let addresses = plan.interfaces_of(daemon).flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr);
        let mut addresses: Vec<IpAddr> = addresses.collect();
        if let Some(first) = addresses.iter().position(IpAddr::is_ipv4) {
            addresses.remove(first);
        }
        places.extend(addresses.into_iter().map(Some));
    }
    places
}

/// The probe in a container of a daemon, in a script: its arguments follow.
pub(crate) fn exec(name: &DaemonName, container: &str) -> String {
    format!("{PROGRAM} exec {} {container} {IN_IMAGE}", name.socket())
}

/// A request to a daemon's API, in a script.
pub(super) fn call(name: &DaemonName, method: &str, path: &str, body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { format!(" '{body}'") };
    format!("{PROGRAM} call {} {method} '{path}'{body}", name.socket())
}

/// The port inside a probe container, as Docker writes it.
pub(crate) fn inside(protocol: Protocol) -> String {
    format!("{CONTAINER_PORT}/{}", protocol.as_str())
}

/// Starts a container on this network, which is published on a port of the loopback if at all.
fn start_on(name: &DaemonName, container: &str, (network, port): (&str, Option<u16>), command: &[&str]) -> String {
    let command: Vec<&str> = [&[IN_IMAGE], command].concat();
    let mut config = json!({ "Image": DEFAULT, "Cmd": command, "HostConfig": { "NetworkMode": network } });
    if let Some(port) = port {
        let at = json!([{ "HostIp": "::1", "HostPort": port.to_string() }]);
        let [tcp, udp] = Protocol::ALL.map(inside);
        config["ExposedPorts"] = json!({ &tcp: {}, &udp: {} });
        config["HostConfig"]["PortBindings"] = json!({ &tcp: at, &udp: at });
    }
    let create = call(name, "POST", &format!("/containers/create?name={container}"), &config);
    let start = call(name, "POST", &format!("/containers/{container}/start"), &Value::Null);
    format!("{create} >/dev/null\n{start}")
}

/// In a script: the name that Docker gives to a network's bridge.
fn bridge_name(docker: &str, network: &str) -> String {
    format!("br-$({docker} network inspect --format '{{{{slice .Id 0 12}}}}' {network})")
}

/// In a script: the addresses that an internal network's bridge has, as JSON. Docker itself tells of none where the spec names none.
fn bridge_of(daemon: &Daemon, docker: &str, plan::Network { name, .. }: &plan::Network) -> String {
    let (enter, bridge) = (enter(daemon), bridge_name(docker, name));
    format!(
        "printf '{{\"Internal\":\"{name}\",\"Bridge\":'
         {enter}ip -json address show dev {bridge}
         printf '}}'"
    )
}

/// In a script: gives a container on an internal network the routes that Docker gives it none of, so that rules are what keeps it in.
fn way_out(docker: &str, plan::Network { name, subnets, .. }: &plan::Network, container: &str) -> String {
    let versions = subnets.iter().map(|subnet| if subnet.range.addr().is_ipv4() { "-4" } else { "-6" });
    let versions: Vec<&str> = versions.collect();
    format!(
        "bridge={bridge}
         sandbox=$({docker} inspect --format '{{{{.NetworkSettings.SandboxKey}}}}' {container})
         for version in {versions}; do
             gateway=$(ip $version -brief address show dev $bridge scope global | awk '{{ sub(\"/.*\", \"\", $3); print $3 }}')
             nsenter --net=$sandbox ip $version route replace default via $gateway
         done",
        bridge = bridge_name(docker, name),
        versions = versions.join(" ")
    )
}

fn start_one(plan: &HostPlan, daemon: &Daemon, guest: &Guest) -> Result<Vec<Inner>> {
    let name = &daemon.name;
    let ports = probe_ports(daemon);
    let of = |protocol: Protocol| {
        ports.of(protocol).into_iter().map(move |port| format!("{port}:{CONTAINER_PORT}/{}", protocol.as_str()))
    };
    let ports: Vec<String> = of(Protocol::Tcp).chain(of(Protocol::Udp)).collect();
    let places = places(plan, daemon).into_iter().map(|place| match place {
        None => String::new(),
        Some(IpAddr::V4(address)) => format!("{address}:"),
        Some(IpAddr::V6(address)) => format!("[{address}]:"),
    });
    let mut publish: String =
        places.flat_map(|place| ports.iter().map(move |port| format!(" -p {place}{port}"))).collect();
    if let Some((address, port)) = bound(plan, daemon) {
        let _ = write!(publish, " -p {}:{CONTAINER_PORT}", SocketAddr::new(address, port));
    }
    for (protocol, place) in borrowed(plan, daemon) {
        let _ = write!(publish, " -p {place}:{CONTAINER_PORT}/{}", protocol.as_str());
    }
    let docker = format!("docker -H unix://{}", name.socket());
    let inspect = |container: &str| call(name, "GET", &format!("/containers/{container}/json"), &Value::Null);
    let declared =
        || daemon.networks.iter().map(|network| (network, container(&Network::Declared(network.name.clone()))));
    let script = format!(
        "set -eu
         if ! {last} >/dev/null 2>&1; then
             {docker} import - {DEFAULT} <{IMAGE} >/dev/null
             {docker} run -d --name {DEFAULT}{publish} {DEFAULT} {IN_IMAGE} serve '{page}' >/dev/null
             {network} >/dev/null
             {start}
             {ways}
         fi
         printf '[%s,%s' \"$({default})\" \"$({user})\"
         {declared}
         printf ']'",
        page = page(name),
        network = call(name, "POST", "/networks/create", &json!({ "Name": USER })),
        start = declared()
            .map(|(network, container)| {
                start_on(name, &container, (&network.name, inner_port(daemon, network)), &["serve", &page(name)])
            })
            .chain([
                start_on(name, USER, (USER, None), &["serve", &page(name)]),
                start_on(name, SECOND, ("bridge", None), &["wait"]),
                start_on(name, HOST, ("host", None), &["wait"]),
            ])
            .collect::<Vec<_>>()
            .join("\n"),
        ways = declared()
            .filter(|(network, _)| network.internal && daemon.isolation == Isolation::Shared)
            .map(|(network, container)| way_out(&docker, network, &container))
            .collect::<Vec<_>>()
            .join("\n"),
        declared = declared()
            .flat_map(|(network, container)| {
                // Of an internal network no container knows the bridge: it is no way out.
                [Some(inspect(&container)), network.internal.then(|| bridge_of(daemon, &docker, network))]
            })
            .flatten()
            .map(|told| format!("printf ',%s' \"$({told})\""))
            .collect::<Vec<_>>()
            .join("\n"),
        last = inspect(HOST),
        default = inspect(DEFAULT),
        user = inspect(USER),
    );
    let told =
        guest.must(&script, PATIENCE).with_context(|| format!("daemon {name} does not run a probe container"))?;
    let told = serde_json::from_str(&told);
    told.map_err(anyhow::Error::from)
        .and_then(|told| addresses(daemon, &told))
        .with_context(|| format!("what daemon {name} tells of its containers is not understood"))
}

/// Containers' and bridges' addresses, from `docker inspect` of containers and what [`bridge_of`] prints of internal networks.
///
/// # Errors
/// If it is not what that tells.
pub(crate) fn addresses(daemon: &Daemon, told: &Value) -> Result<Vec<Inner>> {
    let mut found = Vec::new();
    for container in told.as_array().context("no list")? {
        if let Some(name) = container["Internal"].as_str() {
            let own = container["Bridge"][0]["addr_info"].as_array().with_context(|| format!("no bridge of {name}"))?;
            for own in own.iter().filter(|own| own["scope"] == "global") {
                let text = own["local"].as_str().unwrap_or_default();
                let address: IpAddr = text.parse().with_context(|| format!("the bridge of {name}: {own}"))?;
                let (daemon, network) = (daemon.name.clone(), Network::Declared(name.to_owned()));
                found.push(Inner { daemon, network, place: Place::Bridge, address, mac: None });
            }
            continue;
        }
        let networks = container["NetworkSettings"]["Networks"].as_object().context("no networks")?;
        for (network, keys) in networks {
            for (key, place) in [
                ("IPAddress", Place::Container),
                ("GlobalIPv6Address", Place::Container),
                ("Gateway", Place::Bridge),
                ("IPv6Gateway", Place::Bridge),
            ] {
                let text = keys[key].as_str().unwrap_or_default();
                if text.is_empty() {
                    continue;
                }
                let address: IpAddr = text.parse().with_context(|| format!("{key} of {network}: {text}"))?;
                let network = match network.as_str() {
                    USER => Network::User,
                    "bridge" => Network::Default,
                    name => Network::Declared(name.to_owned()),
                };
                let parent = network.of(daemon).and_then(|network| network.driver.parent());
                if parent.is_some() && place == Place::Bridge {
                    // A gateway of the segment's is none of the host's.
                    continue;
                }
                let mac = parent.and(keys["MacAddress"].as_str()).and_then(mac);
                found.push(Inner { daemon: daemon.name.clone(), network, place, address, mac });
            }
        }
    }
    Ok(found)
}

/// A MAC address as Docker writes it.
fn mac(text: &str) -> Option<Mac> {
    let octets = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<Vec<_>>>()?;
    <[u8; 6]>::try_from(octets).ok().map(Mac)
}

/// A container image that holds the probe alone: a tar of its root.
///
/// # Errors
/// None, as long as there is memory.
pub(crate) fn image() -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, "tmp/", std::io::empty()).context("cannot write the probe's image")?;
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(PROBE.len() as u64);
    tar.append_data(&mut header, &IN_IMAGE[1..], PROBE).context("cannot write the probe's image")?;
    tar.into_inner().context("cannot write the probe's image")
}
