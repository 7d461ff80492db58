//! This machine as a first spec sees it: `ip -json`, sysfs, resolv.conf, the host name, the user's public keys.
//!
//! What is read is handed to [`facts`], which is pure; a machine that cannot be asked is an error, one that has nothing is
//! not.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::draft::{Address, Key, Link, LinkKind, Machine};
use ipnet::IpNet;
use serde_json::Value;

/// What the system says.
pub(super) struct Said {
    /// `ip -json -details address show`.
    pub(super) addresses: Value,
    /// `ip -json route show default`, of both IP versions.
    pub(super) routes: Vec<Value>,
    /// Names of the links that are hardware: they have a device.
    pub(super) hardware: BTreeSet<String>,
    /// Names of the links that are wireless.
    pub(super) wireless: BTreeSet<String>,
    pub(super) resolv_conf: String,
    pub(super) name: String,
}

/// Asks the system.
pub(super) fn ask() -> anyhow::Result<Said> {
    let sys = Utf8Path::new("/sys/class/net");
    let mut hardware = BTreeSet::new();
    let mut wireless = BTreeSet::new();
    for entry in sys.read_dir_utf8().context("cannot list the machine's links in /sys/class/net")? {
        let entry = entry.context("cannot list the machine's links in /sys/class/net")?;
        let name = entry.file_name().to_owned();
        if entry.path().join("device").exists() {
            hardware.insert(name.clone());
        }
        if entry.path().join("wireless").exists() || entry.path().join("phy80211").exists() {
            wireless.insert(name);
        }
    }
    // systemd-resolved's own file tells the servers behind its stub.
    let servers = |path: &str| fs_err::read_to_string(path).ok();
    let resolv_conf = servers("/run/systemd/resolve/resolv.conf").or_else(|| servers("/etc/resolv.conf"));
    Ok(Said {
        addresses: ip(&["-details", "address", "show"])?,
        routes: vec![ip(&["-4", "route", "show", "default"])?, ip(&["-6", "route", "show", "default"])?],
        hardware,
        wireless,
        resolv_conf: resolv_conf.unwrap_or_default(),
        name: fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default(),
    })
}

fn ip(words: &[&str]) -> anyhow::Result<Value> {
    let command = format!("ip -json {}", words.join(" "));
    let output = match std::process::Command::new("ip").arg("-json").args(words).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            anyhow::bail!("`ip` is missing: install iproute2, or describe the machine by --nic")
        }
        other => other.with_context(|| format!("cannot run `{command}`"))?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{command}` failed: {}", said.trim());
    // Without a route it prints nothing at all.
    let text = String::from_utf8_lossy(&output.stdout);
    let text = if text.trim().is_empty() { "[]" } else { text.trim() };
    serde_json::from_str(text).with_context(|| format!("`{command}` printed no JSON"))
}

/// What a draft is made from. Of links, those that are hardware, and VLANs; of addresses, those that stay.
pub(super) fn facts(said: &Said) -> Machine {
    let links: Vec<&Value> = said.addresses.as_array().into_iter().flatten().collect();
    let mut machine = Machine {
        name: Some(said.name.trim().to_owned())
            .filter(|name| !name.is_empty() && name != "(none)" && name != "localhost"),
        dns: servers(&said.resolv_conf),
        ..Machine::default()
    };
    for link in &links {
        let name = text(link, "ifname");
        if said.hardware.contains(name) && text(link, "link_type") == "ether" {
            let mac = if link["permaddr"].is_string() { text(link, "permaddr") } else { text(link, "address") };
            let kind = LinkKind::Nic { mac: mac.to_owned() };
            let mut nic = of(name, kind, link, said);
            nic.unusable = said.wireless.contains(name).then(|| "wireless: a host has wired NICs alone".to_owned());
            lend(&mut nic, link, &links, said, &mut machine.remarks);
            machine.links.push(nic);
        }
    }
    for link in &links {
        let info = &link["linkinfo"];
        if let (Some("vlan"), Some(id)) = (info["info_kind"].as_str(), info["info_data"]["id"].as_u64()) {
            let parent = carrier(text(link, "link"), &links, said);
            let kind = LinkKind::Vlan { parent, id: u16::try_from(id).unwrap_or(0) };
            machine.links.push(of(text(link, "ifname"), kind, link, said));
        }
    }
    machine
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn of(name: &str, kind: LinkKind, link: &Value, said: &Said) -> Link {
    let addresses = link["addr_info"].as_array().into_iter().flatten().filter_map(address).collect();
    let routes = said.routes.iter().filter_map(Value::as_array).flatten();
    // A route over several links has one hop for each.
    let hops = routes.flat_map(|route| {
        let several = route["nexthops"].as_array().into_iter().flatten();
        std::iter::once(route).chain(several).map(|hop| (hop, text(route, "protocol")))
    });
    let mut gateways: Vec<(IpAddr, &str)> = hops
        .filter(|(hop, _)| text(hop, "dev") == name)
        .filter_map(|(hop, protocol)| {
            let gateway = hop["gateway"].as_str().or(hop["via"]["host"].as_str())?;
            Some((gateway.parse().ok()?, protocol))
        })
        .collect();
    // The first is the one with the best metric; a host has one of each IP version.
    let mut seen = BTreeSet::new();
    gateways.retain(|(gateway, _)| seen.insert(gateway.is_ipv4()));
    let learnt = |(_, protocol): &(IpAddr, &str)| *protocol == "ra";
    let accept_ra = gateways.iter().any(learnt);
    gateways.retain(|gateway| !learnt(gateway));
    let gateways = gateways.into_iter().map(|(gateway, _)| gateway).collect();
    Link { name: name.to_owned(), kind, addresses, gateways, accept_ra, unusable: None }
}

/// An address that a host could keep: not of this link alone, not one that is made anew every day.
fn address(info: &Value) -> Option<Address> {
    let flag = |name: &str| info[name].as_bool().unwrap_or(false);
    if text(info, "scope") != "global" || flag("temporary") || flag("deprecated") || flag("tentative") {
        return None;
    }
    let net = format!("{}/{}", text(info, "local"), info["prefixlen"].as_u64()?).parse::<IpNet>().ok()?;
    let remark = (flag("dynamic") && net.addr().is_ipv4())
        .then(|| "leased by DHCP here; a host keeps it, so have it reserved".to_owned())
        .or_else(|| flag("dynamic").then(|| "made from what a router announced; a host keeps it".to_owned()));
    Some(Address { net, remark })
}

/// The NIC that carries a VLAN's frames: its link, or the one NIC in a bridge or bond that is its link.
fn carrier(link: &str, links: &[&Value], said: &Said) -> String {
    if said.hardware.contains(link) {
        return link.to_owned();
    }
    let members: Vec<&str> = members(link, links, said);
    if let [one] = members[..] { one.to_owned() } else { link.to_owned() }
}

fn members<'v>(master: &str, links: &[&'v Value], said: &Said) -> Vec<&'v str> {
    let of = links.iter().filter(|link| text(link, "master") == master).map(|link| text(link, "ifname"));
    of.filter(|name| said.hardware.contains(*name)).collect()
}

/// Gives a NIC the addresses of the bridge or bond that it alone is in; tells of one with several NICs.
fn lend(nic: &mut Link, link: &Value, links: &[&Value], said: &Said, remarks: &mut Vec<String>) {
    let master = text(link, "master");
    let Some(over) = links.iter().find(|one| !master.is_empty() && text(one, "ifname") == master) else { return };
    let members = members(master, links, said);
    if members.len() == 1 {
        let lent = of(master, nic.kind.clone(), over, said);
        nic.gateways.extend(lent.gateways);
        nic.accept_ra |= lent.accept_ra;
        nic.addresses.extend(lent.addresses.into_iter().map(|address| Address {
            remark: Some(format!("the address of {master}, which this NIC alone is in")),
            ..address
        }));
    } else if members.first() == Some(&nic.name.as_str()) {
        let addresses: Vec<String> =
            of(master, nic.kind.clone(), over, said).addresses.iter().map(|address| address.net.to_string()).collect();
        let kind = text(&over["linkinfo"], "info_kind");
        let has = if addresses.is_empty() { String::new() } else { format!(", which has {}", addresses.join(", ")) };
        remarks.push(format!("{master}, a {kind} of {}{has}", members.join(", ")));
    }
}

/// `nameserver` lines of resolv.conf(5), but for a stub on this machine.
fn servers(resolv_conf: &str) -> Vec<IpAddr> {
    let words = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let mut servers: Vec<IpAddr> = words.filter_map(|word| word.trim().parse().ok()).collect();
    servers.retain(|server| !server.is_loopback());
    servers
}

/// The public keys of a folder. Those that ssh-keygen names by itself are the user's own; the others may be for one use
/// alone, and are not chosen.
pub(super) fn keys(folder: &Utf8Path) -> Vec<Key> {
    // No folder, no keys.
    let entries = folder.read_dir_utf8().into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<Utf8PathBuf> = entries.map(|entry| entry.path().to_owned()).collect();
    paths.retain(|path| path.extension() == Some("pub"));
    paths.sort();
    let read = |path: &Utf8PathBuf| {
        let text = fs_err::read_to_string(path).ok()?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?.to_owned();
        let name = path.file_name().unwrap_or_default();
        let chosen = name.starts_with("id_") && !name.contains("-cert");
        (!line.contains("-cert-v01@")).then(|| Key { from: path.to_string(), line, chosen })
    };
    paths.iter().filter_map(read).collect()
}

/// What the machine could not be asked is the machine's fault.
pub(super) fn this() -> anyhow::Result<Machine> {
    Ok(facts(&ask()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ip` of iproute2 6.1 prints, less what is not read.
    fn said() -> Said {
        let addresses = serde_json::json!([
            { "ifname": "lo", "link_type": "loopback", "address": "00:00:00:00:00:00",
              "addr_info": [{ "local": "127.0.0.1", "prefixlen": 8, "scope": "host" }] },
            { "ifname": "eno1", "link_type": "ether", "address": "52:54:00:00:00:01", "addr_info": [
                { "local": "192.0.2.10", "prefixlen": 24, "scope": "global", "dynamic": true },
                { "local": "2001:db8::10", "prefixlen": 64, "scope": "global" },
                { "local": "2001:db8::abcd", "prefixlen": 64, "scope": "global", "temporary": true, "dynamic": true },
                { "local": "fe80::1234", "prefixlen": 64, "scope": "link" }] },
            { "ifname": "eno2", "link_type": "ether", "address": "52:54:00:00:00:02", "master": "vmbr0", "addr_info": [] },
            { "ifname": "eno3", "link_type": "ether", "address": "52:54:00:00:00:33", "permaddr": "52:54:00:00:00:03",
              "master": "bond0", "addr_info": [] },
            { "ifname": "eno4", "link_type": "ether", "address": "52:54:00:00:00:33", "permaddr": "52:54:00:00:00:04",
              "master": "bond0", "addr_info": [] },
            { "ifname": "wlp2s0", "link_type": "ether", "address": "52:54:00:00:00:05", "addr_info": [] },
            { "ifname": "ib0", "link_type": "infiniband", "address": "80:00", "addr_info": [] },
            { "ifname": "veth1", "link_type": "ether", "address": "52:54:00:00:00:06",
              "addr_info": [{ "local": "10.9.9.9", "prefixlen": 24, "scope": "global" }] },
            { "ifname": "vmbr0", "link_type": "ether", "address": "52:54:00:00:00:02", "linkinfo": { "info_kind": "bridge" },
              "addr_info": [{ "local": "198.51.100.2", "prefixlen": 24, "scope": "global" }] },
            { "ifname": "bond0", "link_type": "ether", "address": "52:54:00:00:00:33", "linkinfo": { "info_kind": "bond" },
              "addr_info": [{ "local": "203.0.113.9", "prefixlen": 24, "scope": "global" }] },
            { "ifname": "vmbr0.30", "link": "vmbr0", "link_type": "ether", "address": "52:54:00:00:00:02",
              "linkinfo": { "info_kind": "vlan", "info_data": { "protocol": "802.1Q", "id": 30 } },
              "addr_info": [{ "local": "10.30.0.2", "prefixlen": 24, "scope": "global" }] },
        ]);
        let four = serde_json::json!([
            { "dst": "default", "gateway": "192.0.2.1", "dev": "eno1", "metric": 100 },
            { "dst": "default", "gateway": "192.0.2.2", "dev": "eno1", "metric": 200 },
            { "dst": "default", "nexthops": [
                { "gateway": "198.51.100.1", "dev": "vmbr0", "weight": 1 }, { "gateway": "10.30.0.1", "dev": "vmbr0.30", "weight": 1 }] },
        ]);
        let six = serde_json::json!([
            { "dst": "default", "gateway": "fe80::1", "dev": "eno1", "protocol": "static", "metric": 100 },
            { "dst": "default", "gateway": "fe80::2", "dev": "eno1", "protocol": "ra", "metric": 1024 },
            { "dst": "default", "gateway": "fe80::3", "dev": "vmbr0", "protocol": "ra", "metric": 1024 },
        ]);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Said {
            addresses,
            routes: vec![four, six],
            hardware: set(&["eno1", "eno2", "eno3", "eno4", "wlp2s0", "ib0"]),
            wireless: set(&["wlp2s0"]),
            resolv_conf: "# made\nsearch example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n".to_owned(),
            name: "atlas\n".to_owned(),
        }
    }

    #[test]
    fn hardware_and_vlans_are_links_and_lasting_addresses_theirs() {
        let machine = facts(&said());
        let told: Vec<String> = machine
            .links
            .iter()
            .map(|link| {
                let nets: Vec<String> = link.addresses.iter().map(|address| address.net.to_string()).collect();
                let learns = if link.accept_ra { " learns" } else { "" };
                format!(
                    "{} {:?} {nets:?} {:?}{learns} {}",
                    link.name,
                    link.kind,
                    link.gateways,
                    link.unusable.is_some()
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "eno1 Nic { mac: \"52:54:00:00:00:01\" } [\"192.0.2.10/24\", \"2001:db8::10/64\"] [192.0.2.1, fe80::1] false",
                "eno2 Nic { mac: \"52:54:00:00:00:02\" } [\"198.51.100.2/24\"] [198.51.100.1] learns false",
                "eno3 Nic { mac: \"52:54:00:00:00:03\" } [] [] false",
                "eno4 Nic { mac: \"52:54:00:00:00:04\" } [] [] false",
                "wlp2s0 Nic { mac: \"52:54:00:00:00:05\" } [] [] true",
                "vmbr0.30 Vlan { parent: \"eno2\", id: 30 } [\"10.30.0.2/24\"] [10.30.0.1] false",
            ]
        );
        assert_eq!(machine.remarks, ["bond0, a bond of eno3, eno4, which has 203.0.113.9/24"]);
        assert_eq!(machine.dns, ["192.0.2.53".parse::<IpAddr>().expect("an address")]);
        assert_eq!(machine.name.as_deref(), Some("atlas"));
        let leased = machine.links[0].addresses[0].remark.as_deref();
        assert_eq!(leased, Some("leased by DHCP here; a host keeps it, so have it reserved"));
    }

    #[test]
    fn a_machine_without_anything_has_no_facts() {
        let said = Said {
            addresses: serde_json::json!([]),
            routes: Vec::new(),
            hardware: BTreeSet::new(),
            wireless: BTreeSet::new(),
            resolv_conf: String::new(),
            name: "(none)\n".to_owned(),
        };
        assert_eq!(facts(&said), Machine::default());
    }

    #[test]
    fn keys_of_ones_own_are_chosen() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        for (name, text) in [
            ("id_ed25519.pub", "ssh-ed25519 AAAA me\n"),
            ("id_ed25519", "secret"),
            ("deploy.pub", "\n# a comment\nssh-rsa BBBB deploy\n"),
            ("id_ed25519-cert.pub", "ssh-ed25519-cert-v01@openssh.com CCCC me\n"),
        ] {
            fs_err::write(folder.join(name), text).expect("it can be written");
        }
        let keys = keys(folder);
        let told: Vec<(&str, bool)> = keys.iter().map(|key| (key.line.as_str(), key.chosen)).collect();
        assert_eq!(told, [("ssh-rsa BBBB deploy", false), ("ssh-ed25519 AAAA me", true)]);
        assert_eq!(super::keys(&folder.join("nowhere")), []);
    }
}
