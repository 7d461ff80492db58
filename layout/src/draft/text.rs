//! The draft as text: what is decided as TOML, what is optional as TOML behind a `#`, all else as comments behind `# `.

use super::trial::{Daemon, Section, Trial, list, quote};
use super::{Fact, Key, Link, Machine};
use crate::spec::words::plain;

/// The first line: where editors that know `#:schema` (taplo, Even Better TOML) find the schema. A path beside the spec
/// works without a network.
const SCHEMA: &str = "#:schema ./host-spec.schema.json\n";

/// The widest comment, in characters.
const WIDTH: usize = 118;

/// Every key of `[host]` that has a default.
const HOST: &str = r#"#base = "debian-13"           # the operating system it is made from; or "debian-12"
#engine = "docker.io"         # Debian's own Docker; "docker-ce" is Docker's
#kernel = "generic"           # "cloud": smaller, virtual machines only
#disk = "16GiB"               # the smallest disk it must fit; quotas are checked against it
#packages = ["tcpdump"]       # Debian packages besides what dmhost needs
#files = [{ path = "/etc/motd", content = "Mine.\n", mode = "0644", owner = "root" }]  # and files
"#;

/// What all daemons can share.
const DEFAULTS: &str = r#"
# What every daemon has unless its own section says otherwise.
#[defaults]
#settings = { log-driver = "journald" }                  # any key of daemon.json that dmhost does not own
#storage = { quota = "4GiB" }                            # the most that its images, containers and volumes may take
#resources = { memory-max = "4GiB", memory-high = "3GiB", cpu-weight = 200, cpus = 1.5, tasks-max = 4096 }
# And io-weight, which takes the scheduler bfq.
#expose = ["80/tcp", "443/tcp"]                          # published ports that the network may reach; absent: all, []: none
#egress = ["0.0.0.0/0:443/tcp", "[::/0]:443/tcp"]        # where containers may go; absent: anywhere, []: to name servers alone
#live-restore = true                                     # containers outlive their daemon; false permits swarm
"#;

/// Every optional key of a daemon.
const DAEMON: &str = r#"#isolation = "zone"           # a network namespace of its own; the default
#pools = ["172.28.0.0/14", "fd64:6d68:6f73::/48"] # where Docker takes its networks from; these are the default
#routed = ["fd64:6d68:6f73::/48"]        # what of them a router leads to the daemon: containers without NAT
# Also expose, egress, live-restore, storage, resources and settings, as in [defaults]; what stands here counts more.
"#;

/// Writes the draft.
pub(super) fn write(machine: &Machine, trial: &Trial) -> String {
    let mut text = SCHEMA.to_owned();
    text +=
        &comment("A host spec to begin with, written by `dmhost init`. `dmhost check` tells what is wrong with it.");
    for missing in &trial.missing {
        text += &comment(&format!("FILL IN {missing}."));
    }
    for remark in &machine.remarks {
        text += &comment(&format!("Not taken over: {}", plain(remark, 300)));
    }
    for left_out in trial.left_out.iter().filter(|one| !matches!(one.of, Fact::Link(_) | Fact::Gateway(..))) {
        text += &comment(&format!("{}.", plain(&left_out.what, 400)));
    }
    text += &format!("version = 1\n\n[host]\nname = {}\n{HOST}", quote(&trial.host));
    text += &admin(machine, trial);
    text += &interfaces(machine, trial);
    text += DEFAULTS;
    text += &daemons(trial);
    text += &expect(trial);
    // What was put together here is TOML: each string by the one that quotes it.
    crate::format("host.toml", text.as_bytes()).unwrap_or(text)
}

fn admin(machine: &Machine, trial: &Trial) -> String {
    let mut text = "\n# sshd answers on this interface alone; keys only.\n".to_owned();
    let live = trial.admin.filter(|_| !trial.keys.is_empty());
    let off = if live.is_some() { "" } else { "#" };
    let interface = trial.admin.map_or("lan", |at| trial.sections[at].name.as_str());
    text += &format!("{off}[host.admin]\n#user = \"root\"\n{off}interface = {}\n", quote(interface));
    if live.is_some() {
        text += &format!("authorized-keys = {}\n", list(&trial.keys));
    } else {
        text += "#authorized-keys = [\"ssh-ed25519 AAAA... ops\"]\n";
    }
    for Key { from, line, .. } in machine.keys.iter().filter(|key| !trial.keys.iter().any(|one| one == key.line.trim()))
    {
        text += &format!("# In {}: {}\n", plain(from, 100), plain(line.trim(), 1000));
    }
    text
}

fn interfaces(machine: &Machine, trial: &Trial) -> String {
    let mut text = String::new();
    for (at, section) in trial.sections.iter().enumerate() {
        text.push('\n');
        if at == 0 {
            text += "# Each is a NIC, told by its MAC address (or path = \"pci-0000:00:03.0\", or name = \"enp1s0\"), or a VLAN on one. \
                     It may have\n# gateways, one of each IP version, or for IPv6 accept-ra = true, and dns, the name servers reached through it.\n";
        }
        if section.name != machine.links[at].name {
            text += &comment(&format!("On this machine: {}", plain(&machine.links[at].name, 60)));
        }
        for remark in &section.remarks {
            text += &comment(remark);
        }
        let carries = trial.sections.iter().any(|one| one.live && one.parent == Some(at));
        text += &interface(section, &machine.links[at], carries);
    }
    if trial.sections.is_empty() {
        text += "\n# Each is a NIC, told by its MAC address, path or name, or a VLAN on one.\n\
                 #[interfaces.lan]\n\
                 #nic = { mac = \"52:54:00:00:00:01\" }  # `ip link` shows it; or path = \"pci-0000:00:03.0\", or name = \"enp1s0\"\n\
                 #addresses = [\"192.0.2.10/24\"]\n\
                 #gateways = [\"192.0.2.1\"]\n\
                 #accept-ra = false\n\
                 #dns = [\"192.0.2.53\"]\n";
    }
    text
}

fn interface(section: &Section, link: &Link, carries: bool) -> String {
    let off = if section.live { "" } else { "#" };
    let mut text = String::new();
    if !section.live && section.remarks.is_empty() {
        text += "# Not in use: it needs an address, or a VLAN on it, or a daemon.\n";
    } else if carries {
        text += "# Carries tagged frames only: no addresses.\n";
    }
    text += &format!("{off}[interfaces.{}]\n{off}{}\n", name(&section.name), section.kind);
    text += &section.keys();
    if !section.live {
        let had: Vec<String> = link.addresses.iter().map(|address| address.net.to_string()).collect();
        let had = if had.is_empty() { vec!["192.0.2.10/24".to_owned()] } else { had };
        text += &format!("#addresses = {}\n", list(&had));
        if !link.gateways.is_empty() {
            let had: Vec<String> = link.gateways.iter().map(ToString::to_string).collect();
            text += &format!("#gateways = {}\n", list(&had));
        }
        if link.accept_ra {
            text += "#accept-ra = true\n";
        }
    }
    text
}

fn daemons(trial: &Trial) -> String {
    let mut text = String::new();
    for (at, Daemon { name, links }) in trial.daemons.iter().enumerate() {
        let live = links.iter().map(|at| &trial.sections[*at]).filter(|section| section.live);
        let names: Vec<String> = live.clone().map(|section| section.name.clone()).collect();
        let from: Vec<String> = live
            .flat_map(|section| &section.addresses)
            .filter_map(|address| address.parse::<ipnet::IpNet>().ok())
            .map(|net| net.trunc().to_string())
            .collect();
        text += &format!("\n[daemons.{}]\ninterfaces = {}\n", self::name(name), list(&names));
        if at == 0 {
            text += "# Mutual TLS on every address of its interfaces. names: further names in its certificate. from: who may connect;\n\
                     # absent: anyone on its networks who has a certificate. Without `api`: the unix socket only.\n";
            text +=
                &comment(&format!("api = {{ port = 2376, names = [\"{name}.example.org\"], from = {} }}", list(&from)));
        }
        text += "api = { port = 2376 }\n";
        if at == 0 {
            text += DAEMON;
            text += "\n# A further Docker network, made when the daemon starts. Also driver (bridge,\n\
                     # macvlan, ipvlan), parent, ipv6, subnet, gateway, ip-range, labels.\n";
            text += &format!("#[[daemons.{}.networks]]\n#name = \"backend\"\n#internal = true\n", self::name(name));
        }
    }
    if trial.daemons.is_empty() {
        text += "\n#[daemons.web]\n\
                 #interfaces = [\"web\"]        # its own: a NIC or a VLAN that nobody else has\n\
                 # The API: mutual TLS on every address of its interfaces. Without `api`: the unix socket only.\n\
                 #api = { port = 2376, names = [\"web.example.org\"], from = [\"198.51.100.0/24\"] }\n";
        text += DAEMON;
        text += "\n#[[daemons.web.networks]]     # made when the daemon starts; also driver, parent, ipv6, subnet, gateway, ip-range, labels\n\
                 #name = \"backend\"\n#internal = true\n";
    }
    text
}

/// A line of the proof that holds: one daemon's network does not reach another.
fn expect(trial: &Trial) -> String {
    let daemon = trial.daemons.first().map_or("web", |daemon| daemon.name.as_str());
    let other = trial.daemons.get(1).and_then(|daemon| daemon.links.first());
    let from = other.or(trial.admin.as_ref()).map_or("lan", |at| trial.sections[*at].name.as_str());
    format!(
        "\n# A line of your own for the proof. verdict: serves, refuses, denies or silent.\n\
         #[[expect]]\n#from = {}\n#to = {}\n#port = \"443/tcp\"\n#verdict = \"silent\"\n",
        quote(&format!("vlan:{from}")),
        quote(&format!("daemon:{daemon}"))
    )
}

/// A step of a header, in quotes where it takes them.
fn name(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quote(name) }
}

/// Prose as lines of comment.
fn comment(text: &str) -> String {
    let mut out = String::from("#");
    let mut width = 1;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 1 && width + 1 + length > WIDTH {
            out += "\n#";
            width = 1;
        }
        out.push(' ');
        out += word;
        width += 1 + length;
    }
    out.push('\n');
    out
}
