//! `expose`: published ports that the network may reach, `80/tcp` or `8000-8010/udp`.

use super::{Report, Reported};
use crate::plan::{Api, PortRange, Protocol};
use crate::spec::words::quoted;
use crate::spec::{At, Field, List};

/// Reads `expose`; `None` if it is absent.
pub(super) fn read(
    list: &Field<List<String>>,
    api: Option<&Api>,
    report: &mut Report,
) -> Result<Option<Vec<PortRange>>, Reported> {
    match list {
        Field::Absent => return Ok(None),
        Field::Bad => return Err(Reported),
        Field::Given(_) => {}
    }
    let mut good: Vec<At<PortRange>> = Vec::new();
    let mut complete = list.is_complete();
    for at in list.items() {
        let expose = match parse(&at.value) {
            Ok(expose) => expose,
            Err((code, message, help)) => {
                report.push(at.place.error(code, message).help(help));
                complete = false;
                continue;
            }
        };
        let clash = |other: &&At<PortRange>| {
            other.value.protocol == expose.protocol
                && other.value.first <= expose.last
                && expose.first <= other.value.last
        };
        if let Some(first) = good.iter().find(clash) {
            let message = format!("{} overlaps {}", quoted(&at.value), quoted(&written(first.value)));
            let diagnostic = at.place.error("expose-overlap", message).help("leave one out, or make one range of both");
            report.push(diagnostic.related(first.place.value.clone(), "the first"));
        }
        if let Some(api) =
            api.filter(|api| expose.protocol == Protocol::Tcp && (expose.first..=expose.last).contains(&api.port))
        {
            let message = format!("{} has the port of the daemon's API, {}/tcp, in it", quoted(&at.value), api.port);
            let help = "leave that port out: `api.from` says who may reach it; no container can publish it";
            report.push(at.place.error("expose-api-port", message).help(help));
        }
        good.push(at.with(expose));
    }
    if complete { Ok(Some(good.into_iter().map(|at| at.value).collect())) } else { Err(Reported) }
}

pub(super) fn written(expose: PortRange) -> String {
    let PortRange { protocol, first, last } = expose;
    let protocol = protocol.as_str();
    if first == last { format!("{first}/{protocol}") } else { format!("{first}-{last}/{protocol}") }
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
