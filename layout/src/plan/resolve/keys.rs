//! Authorized keys: a type, base64, a comment; what the base64 holds must begin with that type (RFC 4253, 6.6).

use super::Report;
use crate::spec::words::{nearest, quoted};
use crate::spec::{At, Field, List};

/// Types of keys that Debian 13's sshd takes. DSA is gone since OpenSSH 10.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The lines of `authorized_keys`; `None` if one of them is none, or there are none.
pub(super) fn read(list: &Field<List<String>>, report: &mut Report) -> Option<Vec<String>> {
    let at = list.given()?;
    if at.value.items.is_empty() && at.value.complete {
        let message = "without a key nobody can log in: there are no passwords";
        report.push(at.place.error("no-effect", message).help("write a public key, or leave `[host.admin]` out"));
        return None;
    }
    let mut first: Vec<(&str, &At<String>)> = Vec::new();
    let mut good = at.value.complete;
    for key in list.items() {
        if let Err((message, help)) = check(&key.value) {
            report.push(key.place.error("authorized-key", message).help(help));
            good = false;
            continue;
        }
        let blob = key.value.split_whitespace().nth(1).unwrap_or_default();
        if let Some((_, other)) = first.iter().find(|(other, _)| *other == blob) {
            let diagnostic =
                key.place.error("authorized-key-duplicate", "the key is there twice").help("leave one of them out");
            report.push(diagnostic.related(other.place.value.clone(), "the first"));
        }
        first.push((blob, key));
    }
    good.then(|| list.items().iter().map(|key| key.value.trim().to_owned()).collect())
}

/// Why a line is no key, and what to write.
fn check(line: &str) -> Result<(), (String, String)> {
    let paste = || "paste one line of a `.pub` file, for example `ssh-ed25519 AAAA... ops`".to_owned();
    if line.contains("-----BEGIN") {
        let help = "take it out of this file now, make a new pair, and paste the `.pub` file's line".to_owned();
        return Err(("this is a private key, or part of one".to_owned(), help));
    }
    if line.chars().any(char::is_control) {
        return Err(("a key is one line without control characters".to_owned(), paste()));
    }
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    if !TYPES.contains(&kind) {
        let message = format!("{} is no type of key that sshd takes", quoted(kind));
        let help = nearest(kind, TYPES).map_or_else(paste, |kind| format!("did you mean `{kind}`?"));
        return Err((message, help));
    }
    let Some(blob) = words.next() else {
        return Err((format!("there is nothing after {}", quoted(kind)), paste()));
    };
    let Some(bytes) = base64(blob) else {
        return Err((format!("what follows {} is no base64: the key is cut off or damaged", quoted(kind)), paste()));
    };
    let fields = fields(&bytes);
    match fields.as_deref().map(|fields| (fields.first().copied(), fields.len())) {
        Some((Some(named), _)) if named != kind.as_bytes() => {
            let named = String::from_utf8_lossy(named);
            Err((format!("the key says that it is {}, the line says {}", quoted(&named), quoted(kind)), paste()))
        }
        Some((Some(_), count)) if count >= 2 && sizes(kind, fields.as_deref().unwrap_or_default()) => Ok(()),
        Some(_) | None => Err(("the key is cut off or damaged".to_owned(), paste())),
    }
}

/// Whether the fields of a key are as many and as long as its type has them.
fn sizes(kind: &str, fields: &[&[u8]]) -> bool {
    match (kind, fields) {
        ("ssh-ed25519", [_, key]) | ("sk-ssh-ed25519@openssh.com", [_, key, _]) => key.len() == 32,
        ("ssh-rsa", [_, exponent, modulus]) => !exponent.is_empty() && modulus.len() >= 128,
        ("ecdsa-sha2-nistp256", [_, _, point]) | ("sk-ecdsa-sha2-nistp256@openssh.com", [_, _, point, _]) => {
            point.len() == 65
        }
        ("ecdsa-sha2-nistp384", [_, _, point]) => point.len() == 97,
        ("ecdsa-sha2-nistp521", [_, _, point]) => point.len() == 133,
        (_, _) => false,
    }
}

/// The length-prefixed strings of a key; `None` if the last is cut off.
fn fields(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        all.push(rest.get(..length)?);
        bytes = rest.get(length..)?;
    }
    Some(all)
}

/// Base64 with its padding (RFC 4648, 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in body.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            // The mask leaves eight bits.
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}
