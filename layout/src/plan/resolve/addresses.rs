//! Addresses and ranges as text: CIDR, what cannot be an address of a host, host bits.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::Report;
use crate::spec::words::quoted;
use crate::spec::{At, Field, List};

/// The addresses of an interface, and whether all that was written could be read.
pub(super) fn interface(list: &Field<List<String>>, report: &mut Report) -> (Vec<At<IpNet>>, bool) {
    not_empty(list, "addresses", report);
    let mut good: Vec<At<IpNet>> = Vec::new();
    let mut complete = list.is_complete();
    for at in list.items() {
        let Some(net) = cidr(at, "192.0.2.10/24", report).filter(|net| usable(&at.with(*net), report)) else {
            complete = false;
            continue;
        };
        good.push(at.with(net));
    }
    (good, complete)
}

/// Single addresses of a key: gateways, name servers, those of an API. `what` has one of them.
pub(super) fn hosts(list: &Field<List<String>>, key: &str, what: &str, report: &mut Report) -> Vec<At<IpAddr>> {
    not_empty(list, key, report);
    let mut good: Vec<At<IpAddr>> = Vec::new();
    for at in list.items() {
        let Ok(address) = at.value.parse::<IpAddr>() else {
            let message = format!("{} is no address of a {what}", quoted(&at.value));
            let help = match at.value.parse::<IpNet>() {
                Ok(net) => format!("write it without a prefix length: `{}`", net.addr()),
                Err(_) => "write an IPv4 or IPv6 address, for example `192.0.2.1`".to_owned(),
            };
            report.push(at.place.error("address", message).help(help));
            continue;
        };
        let link_local_gateway = key == "gateways" && matches!(address, IpAddr::V6(v6) if link_local(v6));
        if let Some(why) = special(address).filter(|_| !link_local_gateway) {
            let message = format!("{address} is {why}, and no {what} has it");
            report.push(at.place.error("address-special", message).help("write a unicast address"));
        } else if let Some(first) = good.iter().find(|other| other.value == address) {
            let message = format!("{address} is there twice");
            let diagnostic = at.place.error("address-duplicate", message).help("leave one of them out");
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        } else {
            good.push(at.with(address));
        }
    }
    good
}

/// A range: CIDR without host bits.
pub(super) fn range(at: &At<String>, example: &str, report: &mut Report) -> Option<IpNet> {
    let net = cidr(at, example, report)?;
    if net != net.trunc() {
        let message = format!("{} has host bits: the range is {}", quoted(&at.value), net.trunc());
        report.push(at.place.error("host-bits", message).help(format!("write `{}`", net.trunc())));
        return None;
    }
    Some(net)
}

/// The IP version of an address, in words.
pub(super) fn version(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Whether two ranges have an address in common: one of them holds the other then.
pub(super) fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Says that an empty list has no effect.
pub(super) fn not_empty(list: &Field<List<String>>, key: &str, report: &mut Report) {
    if let Some(at) = list.given().filter(|at| at.value.items.is_empty() && at.value.complete) {
        let message = format!("an empty {} has no effect", quoted(key));
        report.push(at.place.error("no-effect", message).help(format!("leave {} out", quoted(key))));
    }
}

fn cidr(at: &At<String>, example: &str, report: &mut Report) -> Option<IpNet> {
    if let Ok(net) = at.value.parse::<IpNet>() {
        // Such numbers are octal to some programs (RFC 6943 section 3.1.1).
        if net.addr().is_ipv4() && net.to_string() != at.value {
            let message = format!("{} has numbers that begin with 0", quoted(&at.value));
            report.push(at.place.error("cidr", message).help(format!("write `{net}` if they are decimal")));
            return None;
        }
        return Some(net);
    }
    let (what, help) = match (at.value.parse::<IpAddr>(), at.value.split_once('/')) {
        (Ok(address), _) => {
            let one = if address.is_ipv4() { 32 } else { 128 };
            (
                "has no prefix length",
                format!("write `{address}/{one}` for it alone, or the prefix length of its subnet"),
            )
        }
        (Err(_), Some((address, _))) if address.parse::<IpAddr>().is_ok() => {
            let most = if address.contains(':') { 128 } else { 32 };
            ("has no good prefix length", format!("write a number from 0 to {most} after the `/`"))
        }
        (Err(_), _) => ("is no address with a prefix length", format!("write it like `{example}`")),
    };
    report.push(at.place.error("cidr", format!("{} {what}", quoted(&at.value))).help(help));
    None
}

/// Whether an interface can have this address.
fn usable(at: &At<IpNet>, report: &mut Report) -> bool {
    let net = at.value;
    if let Some(why) = special(net.addr()) {
        let message = format!("{} is {why}, and no interface is given it", net.addr());
        let help = match net.addr() {
            IpAddr::V6(v6) if link_local(v6) => "leave it out: the kernel makes link-local addresses by itself",
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "write the IPv4 address as such",
            IpAddr::V4(_) | IpAddr::V6(_) => "write a unicast address",
        };
        report.push(at.place.error("address-special", message).help(help));
        return false;
    }
    let longest = net.max_prefix_len();
    let example = net
        .hosts()
        .find(|host| *host != net.network())
        .map_or_else(String::new, |host| format!("write a host of it, for example `{host}/{}`", net.prefix_len()));
    if net.prefix_len() == 0 {
        let message = format!("{net} takes the whole Internet for its subnet");
        report.push(at.place.error("cidr", message).help("write the prefix length of its subnet"));
    } else if net.prefix_len() + 1 < longest && net.addr() == net.network() {
        let what = if net.addr().is_ipv4() {
            "the address of the subnet itself"
        } else {
            "the routers' anycast address of its subnet (RFC 4291, 2.6.1)"
        };
        report.push(at.place.error("address-is-network", format!("{} is {what}", net.addr())).help(example));
    } else if net.prefix_len() + 1 < longest && net.addr().is_ipv4() && net.addr() == net.broadcast() {
        let message = format!("{} is the broadcast address of its subnet", net.addr());
        report.push(at.place.error("address-is-broadcast", message).help(example));
    } else {
        return true;
    }
    false
}

/// Why no host has an address as its own; `None` if one may.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else {
        match address {
            IpAddr::V4(v4) if v4.is_link_local() => Some("a link-local address"),
            IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
            IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => Some("a reserved address"),
            IpAddr::V6(v6) if link_local(v6) => Some("a link-local address"),
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4-mapped address"),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

/// `fe80::/10`. (`Ipv6Addr::is_unicast_link_local` says the same.)
pub(super) fn link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}
