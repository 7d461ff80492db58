//! `dmhost init` and its values: what is no NIC, VLAN or daemon is refused with the command line.

use camino::Utf8PathBuf;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use dmhost_layout::plan::{DaemonName, InterfaceName, MacAddress};
use ipnet::IpNet;

use super::path;

pub(super) const HELP: &str = "\
Examples:
  dmhost init                                    from this machine, into host.toml
  dmhost init --daemon web=enp2s0 --daemon lab=enp3s0 --admin enp1s0
  dmhost init --name atlas --nic lan@52:54:00:00:00:01=192.0.2.10/24 --gateway 192.0.2.1 \\
      --nic trunk@52:54:00:00:00:02 --vlan web@trunk:10=198.51.100.2/24 --daemon web=web

Without --daemon, the interface with a gateway is the administrator's, and each other one that has an address gets a \
daemon of its own. With --nic, another machine is described, and of this one only the keys are read. What this machine has \
and a spec cannot say stands in the file as a comment.

The spec passes `dmhost check`, whatever is missing. Exit codes: 0 it is a whole host; 1 it was written, and what \
standard error and its `FILL IN` lines tell is to be filled in (a NIC, a key, an interface for a daemon); 2 a flag cannot be \
had, or the file is there already; nothing was written. 3 the machine cannot be asked.

The first line, `#:schema ./host-spec.schema.json`, is for editors (taplo, Even Better TOML): they complete and check keys \
without a network if that file is beside the spec: `dmhost schema > host-spec.schema.json`.";

/// `dmhost init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The spec to write; `-`: to standard output
    #[arg(long, value_name = "FILE", default_value = "host.toml", value_parser = path())]
    pub(crate) out: Utf8PathBuf,
    /// Overwrite FILE
    #[arg(long)]
    pub(crate) force: bool,
    /// The host's name [default: this machine's]
    #[arg(long, value_parser = host)]
    pub(crate) name: Option<String>,
    /// A NIC and its addresses; repeat it for each. This machine's are not read then
    #[arg(long, value_name = "[NAME@]MAC[=ADDR/LEN,...]", value_parser = nic)]
    pub(crate) nic: Vec<Nic>,
    /// A VLAN on a NIC, and its addresses; repeat it for each
    #[arg(long, value_name = "[NAME@]NIC:VID[=ADDR/LEN,...]", value_parser = vlan)]
    pub(crate) vlan: Vec<Vlan>,
    /// The default gateway of the interface whose subnet it is on; repeat it for each
    #[arg(long, value_name = "ADDR")]
    pub(crate) gateway: Vec<std::net::IpAddr>,
    /// A name server; repeat it for each [default: this machine's]
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns: Vec<std::net::IpAddr>,
    /// A daemon and its interfaces; repeat it for each
    #[arg(long, value_name = "NAME=IF[,IF...]", value_parser = daemon)]
    pub(crate) daemon: Vec<(String, Vec<String>)>,
    /// The interface that sshd answers on
    #[arg(long, value_name = "IF")]
    pub(crate) admin: Option<String>,
    /// A public key, or a file of them; repeat it for each [default: ~/.ssh/id_*.pub]
    #[arg(long, value_name = "FILE|KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) authorized_key: Vec<String>,
}

/// `--nic`.
#[derive(Debug, Clone)]
pub(crate) struct Nic {
    pub(crate) name: Option<String>,
    pub(crate) mac: MacAddress,
    pub(crate) addresses: Vec<IpNet>,
}

/// `--vlan`.
#[derive(Debug, Clone)]
pub(crate) struct Vlan {
    pub(crate) name: Option<String>,
    pub(crate) parent: String,
    pub(crate) id: u16,
    pub(crate) addresses: Vec<IpNet>,
}

/// Reads `NAME`, as a host spec has it.
fn host(text: &str) -> Result<String, String> {
    // A string of JSON is one of TOML.
    let spec = format!("version = 1\n[host]\nname = {}\n", serde_json::Value::from(text));
    let (_, diagnostics) = dmhost_layout::plan_from_toml("", &spec);
    let refusal = diagnostics.iter().next().map(|first| match &first.help {
        Some(help) => format!("{}; {help}", first.message),
        None => first.message.clone(),
    });
    refusal.map_or_else(|| Ok(text.to_owned()), Err)
}

/// Reads `[NAME@]MAC[=ADDR/LEN,...]`.
fn nic(text: &str) -> Result<Nic, String> {
    let (name, rest) = named(text)?;
    let (mac, addresses) = rest.split_once('=').map_or((rest, None), |(mac, addresses)| (mac, Some(addresses)));
    let mac = mac.parse::<MacAddress>().map_err(|error| error.to_string())?;
    Ok(Nic { name, mac, addresses: nets(addresses)? })
}

/// Reads `[NAME@]NIC:VID[=ADDR/LEN,...]`.
fn vlan(text: &str) -> Result<Vlan, String> {
    let (name, rest) = named(text)?;
    let (link, addresses) = rest.split_once('=').map_or((rest, None), |(link, addresses)| (link, Some(addresses)));
    let (parent, id) = link.rsplit_once(':').ok_or("write it like lan:10=192.0.2.10/24")?;
    let id = id.parse().ok().filter(|id| (1..=4094).contains(id)).ok_or("a VID is a number from 1 to 4094")?;
    Ok(Vlan { name, parent: parent.to_owned(), id, addresses: nets(addresses)? })
}

/// Reads `NAME=IF[,IF...]`.
fn daemon(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, links) = text.split_once('=').ok_or("write it like web=enp2s0")?;
    name.parse::<DaemonName>().map_err(|error| error.to_string())?;
    let links: Vec<String> = links.split(',').map(str::to_owned).collect();
    if links.iter().any(String::is_empty) {
        Err("write it like web=enp2s0".to_owned())
    } else {
        Ok((name.to_owned(), links))
    }
}

fn named(text: &str) -> Result<(Option<String>, &str), String> {
    let Some((name, rest)) = text.split_once('@') else { return Ok((None, text)) };
    name.parse::<InterfaceName>().map_err(|error| error.to_string())?;
    Ok((Some(name.to_owned()), rest))
}

fn nets(text: Option<&str>) -> Result<Vec<IpNet>, String> {
    let net = |one: &str| {
        one.parse::<IpNet>().map_err(|_| format!("{one:?} is no address with a prefix length, such as 192.0.2.10/24"))
    };
    text.map_or_else(|| Ok(Vec::new()), |text| text.split(',').map(net).collect())
}
