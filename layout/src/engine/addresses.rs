//! Addresses in daemon.json: bridges, pools, sockets, registries.

use std::net::IpAddr;

use ipnet::IpNet;

use super::node::Node;
use crate::diagnostics::Diagnostic;
use crate::spec::words::quoted;

/// A refusal: what is wrong, and what to write.
type Refusal = (String, String);

/// `bip`: the bridge's own address with its prefix length.
pub(super) fn bridge(text: &str) -> Result<(), Refusal> {
    let help = "write the bridge's own address, for example `172.20.0.1/24`".to_owned();
    match text.parse::<IpNet>() {
        Err(_) => Err((format!("{} is no address with a prefix length", quoted(text)), help)),
        Ok(net) if net.addr() == net.network() && net.prefix_len() + 1 < net.max_prefix_len() => {
            Err((format!("{} is the subnet, and no address on it", quoted(text)), help))
        }
        Ok(_) => Ok(()),
    }
}

/// `dns-search`: a domain, or `.` for none.
pub(super) fn domain(text: &str) -> Result<(), Refusal> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !text.trim().is_empty() && text.bytes().all(letters) {
        return Ok(());
    }
    Err((
        format!("{} is no domain", quoted(text)),
        "write a domain, for example `example.org`, or `.` for none".to_owned(),
    ))
}

/// `default-address-pools`: each a range, and networks in it that are no larger than it is. The first network of a daemon
/// needs IPv4.
pub(super) fn pools(node: &Node, path: &str, report: &mut Vec<Diagnostic>) {
    let mut v4 = node.items().is_empty();
    for (n, pool) in node.items().iter().enumerate() {
        let path = format!("{path}[{n}]");
        let field = |name: &str| {
            pool.members().iter().find(|member| member.key.eq_ignore_ascii_case(name)).map(|member| &member.node)
        };
        let mut error = |node: &Node, message: String, help: &str| {
            report.push(Diagnostic::error("engine-value", path.clone(), node.span.clone(), message).help(help));
        };
        let (Some(base), Some(size)) = (field("base"), field("size")) else {
            error(
                pool,
                "a pool has a `base` and a `size`".to_owned(),
                "write `base` and `size`, the prefix length of each network",
            );
            continue;
        };
        let Some(Ok(net)) = base.as_str().map(str::parse::<IpNet>) else {
            error(base, "this is no range".to_owned(), "write it like `172.20.0.0/14`");
            continue;
        };
        v4 |= net.addr().is_ipv4();
        let good = size.as_i64().and_then(|size| u8::try_from(size).ok());
        if !good.is_some_and(|size| (net.prefix_len()..=net.max_prefix_len()).contains(&size)) {
            let message = format!("networks of this size are not in {net}: dockerd does not start");
            error(
                size,
                message,
                &format!("write a prefix length from {} to {}", net.prefix_len(), net.max_prefix_len()),
            );
        }
    }
    if !v4 {
        let message = "dockerd does not start without an IPv4 pool: its first network takes a subnet of one";
        let diagnostic = Diagnostic::error("engine-value", path, node.span.clone(), message);
        report.push(diagnostic.help("write one too, for example `172.20.0.0/14` with size 24"));
    }
}

/// `hosts`: sockets that the API listens on.
pub(super) fn listen(text: &str) -> Result<(), Refusal> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(()) };
    match scheme {
        "unix" | "fd" => Ok(()),
        "tcp" => {
            let port = rest.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
            match port.map(str::parse::<u16>) {
                Some(Err(_)) => {
                    Err((format!("{} has no good port", quoted(text)), "write a port from 1 to 65535".to_owned()))
                }
                Some(Ok(_)) | None => Ok(()),
            }
        }
        _ => Err((
            format!("dockerd does not listen on {}", quoted(scheme)),
            "write `unix:///run/NAME.sock` or `tcp://192.0.2.10:2376`".to_owned(),
        )),
    }
}

/// `metrics-addr`: an address and a port.
pub(super) fn metrics(text: &str) -> Result<(), Refusal> {
    let help = "write it like `127.0.0.1:9323`".to_owned();
    match text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
        None => Err((format!("{} has no port: dockerd does not start", quoted(text)), help)),
        Some((_, port)) if port.parse::<u16>().is_err() => Err((format!("{} is no port", quoted(port)), help)),
        Some(_) => Ok(()),
    }
}

/// `insecure-registries`: a range, or a host with perhaps a port.
pub(super) fn registry(text: &str) -> Result<(), Refusal> {
    if text.parse::<IpNet>().is_ok() {
        return Ok(());
    }
    // dockerd takes a scheme away, with a warning.
    let text = text.trim_start_matches("http://").trim_start_matches("https://");
    let help = "write a host and perhaps a port, `registry.example.org:5000`, or a range, `192.0.2.0/24`".to_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err((format!("{} has no good port", quoted(text)), help));
    }
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(letters) || host.starts_with('-') || host.ends_with('-') {
        return Err((format!("{} is no registry: dockerd does not start", quoted(text)), help));
    }
    Ok(())
}

/// `registry-mirrors`: an http or https URL without query.
pub(super) fn mirror(text: &str) -> Result<(), Refusal> {
    let help = "write it like `https://mirror.example.org`".to_owned();
    match text.split_once("://") {
        Some(("http" | "https", rest)) if rest.contains(['?', '#']) => {
            Err((format!("{} has a query or a fragment: dockerd does not start", quoted(text)), help))
        }
        Some(("http" | "https", rest)) if !rest.is_empty() && !rest.starts_with('/') => Ok(()),
        Some(_) | None => Err((format!("{} is no URL of a mirror: dockerd does not start", quoted(text)), help)),
    }
}

/// An address with a port from a `tcp://` socket; the port is dockerd's default without one.
pub(crate) fn socket(text: &str) -> Option<(Option<IpAddr>, u16)> {
    let rest = text.strip_prefix("tcp://")?;
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        Some(_) | None => (rest, 2375),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.parse().ok(), port))
}
