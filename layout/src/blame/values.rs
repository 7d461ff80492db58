//! Other values that a value could have: of the same kind, near to it, the likeliest to fit first.
//!
//! They are guesses. Whether one is valid, the resolver says; so nothing here has to know a rule.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::document::{Shape, literal};

/// Words of which a key takes one or another.
const WORDS: &[&[&str]] = &[
    &["generic", "cloud"],
    &["zone", "shared"],
    &["serves", "refuses", "denies", "silent"],
    &["json-file", "local", "journald", "syslog"],
    &["debug", "info", "warn", "error"],
    &["bridge", "passthru", "private", "vepa"],
    &["l2", "l3", "l3s"],
    &["active-backup", "802.3ad", "balance-rr", "balance-xor"],
    &["slow", "fast"],
    &["layer2", "layer2+3", "layer3+4"],
];

/// Other values, as TOML.
pub(super) fn others(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Boolean(boolean) => vec![(!boolean).to_string()],
        Shape::Integer(number) => [number + 1, number - 1, number + 1000, number / 2, number * 2, number + 37]
            .into_iter()
            .filter(|other| other != number)
            .map(|other| other.to_string())
            .collect(),
        Shape::Float(number) => [number * 2.0, number / 2.0].iter().map(|other| format!("{other:?}")).collect(),
        Shape::String(text) => strings(text).iter().map(|other| literal(other)).collect(),
        Shape::Empty | Shape::Array | Shape::Table => Vec::new(),
    }
}

fn strings(text: &str) -> Vec<String> {
    if let Ok(net) = text.parse::<IpNet>() {
        return if net.addr() == net.network() { subnets(net) } else { hosts(net) };
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return [1, -1, 2, -2, 16].into_iter().filter_map(|by| Some(moved(address, by)?.to_string())).collect();
    }
    let word = WORDS.iter().find(|words| words.contains(&text)).into_iter().flat_map(|words| words.iter());
    let mut all: Vec<String> = word.filter(|word| **word != text).map(|word| (*word).to_owned()).collect();
    if text.len() == 17 && text.split(':').count() == 6 {
        // A MAC address: its last byte.
        all.extend(["fe", "fd", "7e"].iter().map(|byte| format!("{}{byte}", &text[..15])));
    }
    all.extend(counted(text));
    all.extend([format!("{text}x"), format!("x{text}")]);
    all
}

/// The last number in a text, one more and one less.
fn counted(text: &str) -> Vec<String> {
    let Some(end) = text.rfind(|c: char| c.is_ascii_digit()).map(|last| last + 1) else {
        return Vec::new();
    };
    let start = text[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |before| before + 1);
    let Ok(number) = text[start..end].parse::<u64>() else {
        return Vec::new();
    };
    [number.checked_add(1), number.checked_sub(1), number.checked_add(10)]
        .into_iter()
        .flatten()
        .map(|other| format!("{}{other}{}", &text[..start], &text[end..]))
        .collect()
}

/// Other hosts of an interface's net.
fn hosts(net: IpNet) -> Vec<String> {
    [1, -1, 2, 3, 4, 7, -2]
        .into_iter()
        .filter_map(|by| moved(net.addr(), by))
        .filter(|address| net.contains(address))
        .map(|address| format!("{address}/{}", net.prefix_len()))
        .collect()
}

/// The neighbours of a range, then half of it and twice as much.
fn subnets(net: IpNet) -> Vec<String> {
    let bits = net.max_prefix_len() - net.prefix_len();
    let half = net.prefix_len().checked_add(1).filter(|length| *length <= net.max_prefix_len());
    let half = half.map(|length| format!("{}/{length}", net.network()));
    let size = 1_i128.checked_shl(u32::from(bits)).filter(|size| *size > 0);
    let neighbours = size.into_iter().flat_map(|size| [size, -size]).filter_map(|by| moved(net.network(), by));
    let double = net.supernet().map(|double| double.to_string());
    neighbours.map(|base| format!("{base}/{}", net.prefix_len())).chain(half).chain(double).collect()
}

fn moved(address: IpAddr, by: i128) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let number = i128::from(u32::from(v4)).checked_add(by)?;
            Some(IpAddr::V4(Ipv4Addr::from(u32::try_from(number).ok()?)))
        }
        IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from(u128::from(v6).checked_add_signed(by)?))),
    }
}
