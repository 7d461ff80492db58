//! `expose`: published ports that the network may reach, `80/tcp` or `8000-8010/udp`, and who: `5432/tcp from 192.0.2.0/24`.

use ipnet::IpNet;

use super::links::Link;
use super::{Report, Reported, sources};
use crate::plan::{Api, Exposed, PortRange, Protocol};
use crate::spec::words::quoted;
use crate::spec::{At, Field, List};

/// Reads `expose`; `None` if it is absent.
pub(super) fn read(
    list: &Field<List<String>>,
    api: Option<&Api>,
    links: &[&Link<'_>],
    report: &mut Report,
) -> Result<Option<Vec<Exposed>>, Reported> {
    match list {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(Reported),
        Field::Given(_) => {}
    }
    let mut good: Vec<At<Exposed>> = Vec::new();
    let mut complete = list.is_complete();
    for at in list.items() {
        let Some(exposed) = one(at, links, report) else {
            complete = false;
            continue;
        };
        let ports = exposed.ports;
        let clash = |other: &&At<Exposed>| {
            let other = other.value.ports;
            other.protocol == ports.protocol && ports.first <= other.last && other.first <= ports.last
        };
        if let Some(first) = good.iter().find(clash) {
            let message = format!("{} overlaps {}", quoted(&ports.to_string()), quoted(&first.value.ports.to_string()));
            let help = match (&first.value.from, &exposed.from) {
                (Some(_), Some(_)) => "write all sources of a port in one entry, apart by `, `",
                (None, None) => "leave one out, or make one range of both",
                (None, Some(_)) | (Some(_), None) => "leave one of them out: a port without `from` is for every source",
            };
            let diagnostic = at.place.error("expose-overlap", message).help(help);
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        }
        if let Some(api) = api.filter(|api| ports.has(Protocol::Tcp, api.port)) {
            let message = format!("{} has the port of the daemon's API, {}/tcp, in it", quoted(&at.value), api.port);
            let help = "leave that port out: `api.from` says who may reach it; no container can publish it";
            report.push(at.place.error("expose-api-port", message).help(help));
        }
        good.push(at.with(exposed));
    }
    if complete { Ok(Some(good.into_iter().map(|at| at.value).collect())) } else { Err(Reported) }
}

/// Reads one entry.
fn one(at: &At<String>, links: &[&Link<'_>], report: &mut Report) -> Option<Exposed> {
    let (ports, from) = match at.value.split_once(' ') {
        None => (at.value.as_str(), None),
        Some((ports, rest)) => (ports, Some(rest.strip_prefix("from ").unwrap_or_default())),
    };
    let example = parse(ports).map_or("5432/tcp".to_owned(), |ports| ports.to_string());
    if let Some((what, help)) = misspelt(&at.value, from, &example) {
        report.push(at.place.error("expose-syntax", format!("{} {what}", quoted(&at.value))).help(help));
        return None;
    }
    let ports = parse(ports).map_err(|(code, message, help)| report.push(at.place.error(code, message).help(help)));
    let from = match from {
        None => None,
        Some(from) => {
            let ranges: Vec<At<String>> = from.split(',').map(|range| at.with(range.trim().to_owned())).collect();
            Some(sources::read(&ranges, links, report)?.into_iter().map(|at| at.value).collect())
        }
    };
    Some(Exposed { ports: ports.ok()?, from })
}

/// What is wrong with the form of an entry, and what to write; `example` is its port, or one. What is wrong within a part is the part's.
fn misspelt(text: &str, from: Option<&str>, example: &str) -> Option<(&'static str, String)> {
    let Some(from) = from else {
        let (net, ports) = text.rsplit_once(':')?;
        let net = net.trim_start_matches('[').trim_end_matches(']');
        net.parse::<IpNet>().ok()?;
        return Some(("says where to, as in `egress`", format!("write who may reach the port: `{ports} from {net}`")));
    };
    let ranges: Vec<&str> = from.split(',').map(str::trim).collect();
    if ranges.iter().all(|range| range.is_empty()) {
        let help = format!("write `{example}` for every source, or `{example} from 198.51.100.0/24`");
        Some(("is more than a port, and no port with its sources", help))
    } else if ranges.contains(&"any") {
        Some(("is for any source, which a port alone is", format!("write `{example}`")))
    } else if ranges.iter().any(|range| range.is_empty() || range.contains(' ')) {
        let good: Vec<&str> = from.split([',', ' ']).filter(|range| range.contains(['.', ':'])).collect();
        let good = if good.is_empty() { "198.51.100.0/24".to_owned() } else { good.join(", ") };
        Some(("has no `, ` between two ranges, or one too many", format!("write `{example} from {good}`")))
    } else {
        None
    }
}

/// A code, a message and a help.
pub(super) type Refusal = (&'static str, String, String);

/// Reads `80/tcp` or `8000-8010/udp`.
pub(super) fn parse(text: &str) -> Result<PortRange, Refusal> {
    let syntax = || "write it like `80/tcp` or `8000-8010/udp`".to_owned();
    let Some((ports, protocol)) = text.split_once('/') else {
        let help = if text.parse::<u16>().is_ok() { format!("write `{text}/tcp` or `{text}/udp`") } else { syntax() };
        return Err(("expose-syntax", format!("{} names no protocol", quoted(text)), help));
    };
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        other => {
            let help = "write `tcp` or `udp` in lower case".to_owned();
            return Err(("expose-protocol", format!("there is no protocol {} with ports", quoted(other)), help));
        }
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port(first, text, &syntax)?, port(last, text, &syntax)?);
    if first > last {
        let help = format!("write `{last}-{first}/{}`", protocol.as_str());
        return Err(("expose-range-inverted", format!("{} ends before it begins", quoted(text)), help));
    }
    Ok(PortRange { protocol, first, last })
}

fn port(digits: &str, text: &str, syntax: &impl Fn() -> String) -> Result<u16, Refusal> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = if digits.contains(':') {
            "publishes to another port, which is `docker run`'s to say"
        } else {
            "is no port or range of ports"
        };
        return Err(("expose-syntax", format!("{} {what}", quoted(text)), syntax()));
    }
    match digits.parse::<u16>() {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => {
            let help = "write ports from 1 to 65535".to_owned();
            Err(("port-out-of-range", format!("{} is no port", quoted(digits)), help))
        }
    }
}
