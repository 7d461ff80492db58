//! The values of `dmhost init`: what is no NIC, VLAN or daemon is refused with the command line.

use dmhost_layout::plan::{DaemonName, InterfaceName, MacAddress};
use ipnet::IpNet;

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
pub(super) fn host(text: &str) -> Result<String, String> {
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
pub(super) fn nic(text: &str) -> Result<Nic, String> {
    let (name, rest) = named(text)?;
    let (mac, addresses) = rest.split_once('=').map_or((rest, None), |(mac, addresses)| (mac, Some(addresses)));
    let mac = mac.parse::<MacAddress>().map_err(|error| error.to_string())?;
    Ok(Nic { name, mac, addresses: nets(addresses)? })
}

/// Reads `[NAME@]NIC:VID[=ADDR/LEN,...]`.
pub(super) fn vlan(text: &str) -> Result<Vlan, String> {
    let (name, rest) = named(text)?;
    let (link, addresses) = rest.split_once('=').map_or((rest, None), |(link, addresses)| (link, Some(addresses)));
    let (parent, id) = link.rsplit_once(':').ok_or("write it like lan:10=192.0.2.10/24")?;
    let id = id.parse().ok().filter(|id| (1..=4094).contains(id)).ok_or("a VID is a number from 1 to 4094")?;
    Ok(Vlan { name, parent: parent.to_owned(), id, addresses: nets(addresses)? })
}

/// Reads `NAME=IF[,IF...]`.
pub(super) fn daemon(text: &str) -> Result<(String, Vec<String>), String> {
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
