//! The fingerprint of an OpenPGP key in armour: RFC 4880, sections 4.2 (packets), 5.5.2 (keys), 6.2 (armour) and 12.2
//! (fingerprints). That signatures are good, apt says.

use std::ops::Range;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Packets of keys: secret ones have no business here.
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;

/// The fingerprint of the one primary key in `text`: 40 hexadecimal digits in upper case.
///
/// # Errors
/// If it is not one key of version 4 in armour: with a second one, apt would trust that too.
pub(crate) fn fingerprint(text: &str) -> anyhow::Result<String> {
    let bytes = armoured(text)?;
    let mut rest = &bytes[..];
    let mut found = None;
    while let Some(Packet { tag, body, after }) = packet(rest)? {
        rest = after;
        match tag {
            SECRET_KEY | SECRET_SUBKEY => bail!("it holds a secret key"),
            PUBLIC_KEY => {
                ensure!(found.is_none(), "it holds several keys");
                ensure!(body.first() == Some(&4), "it is of another version than 4");
                let length = u16::try_from(body.len()).context("it is longer than a key can be")?;
                let digest = Sha1::new_with_prefix([0x99]).chain_update(length.to_be_bytes()).chain_update(body);
                found = Some(digest.finalize().iter().map(|byte| format!("{byte:02X}")).collect());
            }
            _ => {}
        }
    }
    found.context("it holds no key")
}

/// The bytes of the one block of armour.
fn armoured(text: &str) -> anyhow::Result<Vec<u8>> {
    let (_, rest) = text.split_once(BEGIN).with_context(|| format!("it has no line {BEGIN}"))?;
    let (block, rest) = rest.split_once(END).with_context(|| format!("it has no line {END}"))?;
    ensure!(!rest.contains(BEGIN), "it holds several keys");
    // Headers end with an empty line; a checksum begins with `=` and is on a line of its own.
    let lines = block.trim_start_matches(['\r', '\n', ' ']).lines().map(str::trim);
    let body = lines.skip_while(|line| line.contains(": ")).filter(|line| !line.starts_with('='));
    STANDARD.decode(body.collect::<String>()).context("its armour is damaged")
}

struct Packet<'b> {
    tag: u8,
    body: &'b [u8],
    after: &'b [u8],
}

/// The first packet; `None` at the end.
fn packet(bytes: &[u8]) -> anyhow::Result<Option<Packet<'_>>> {
    let Some((&head, rest)) = bytes.split_first() else { return Ok(None) };
    ensure!(head & 0x80 != 0, "its packets are damaged");
    let first = rest.first().copied().unwrap_or_default();
    let (tag, start, length) = if head & 0x40 == 0 {
        let wide = match head & 3 {
            3 => bail!("it has a packet without a length"),
            power => 1 << power,
        };
        ((head >> 2) & 0xf, wide, number(rest, 0..wide)?)
    } else {
        let (start, length) = match first {
            0..=191 => (1, usize::from(first)),
            192..=223 => (2, number(rest, 0..2)? - (192 << 8) + 192),
            255 => (5, number(rest, 1..5)?),
            224..=254 => bail!("it has a packet without a length"),
        };
        (head & 0x3f, start, length)
    };
    let body = rest.get(start..start.saturating_add(length)).context("its packets are cut off")?;
    Ok(Some(Packet { tag, body, after: &rest[start + length..] }))
}

fn number(bytes: &[u8], at: Range<usize>) -> anyhow::Result<usize> {
    let bytes = bytes.get(at).context("its packets are cut off")?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of Ed25519, made and named by gpg 2.2.
    const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawdUMRYJKwYBBAHaRw8BAQdAct6P8dvGClBFEETaVYW5PpXdzEz+Ue6Igldz
s6JN1Tm0GVNtYWxsIDxzbWFsbEBleGFtcGxlLm9yZz6IkAQTFggAOBYhBDudDDpg
JDz+w47lL3D1rXPQOLw9BQJrB1QxAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheA
AAoJEHD1rXPQOLw9UX0BALEignptYSepRoFbAHMOSFOuTgZtRgC4uVkK2Hww01wd
AP9GEz2PSk1Ma29deaO8Yj34LNXUCwSeomtt9eVXK6kaAA==
=2zS2
-----END PGP PUBLIC KEY BLOCK-----
";

    #[test]
    fn a_key_is_named_as_gpg_names_it() {
        let name = "3B9D0C3A60243CFEC38EE52F70F5AD73D038BC3D";
        assert_eq!(fingerprint(KEY).expect("it is a key"), name);
        let other = KEY.replace("BLOCK-----\n\n", "BLOCK-----\r\nComment: a header\r\n\r\n").replace('\n', "\r\n");
        assert_eq!(fingerprint(&other).expect("it is a key"), name);
    }

    #[test]
    fn what_is_not_one_whole_key_is_refused() {
        let refusal = |text: &str| fingerprint(text).expect_err("it is refused").to_string();
        assert_eq!(refusal("\u{99}\u{2}"), format!("it has no line {BEGIN}"));
        assert_eq!(refusal(&KEY[..200]), format!("it has no line {END}"));
        assert_eq!(refusal(&KEY.repeat(2)), "it holds several keys");
        assert_eq!(
            refusal(&KEY.replace("AP9GEz2PSk1Ma29deaO8Yj34LNXUCwSeomtt9eVXK6kaAA==\n", "")),
            "its packets are cut off"
        );
        assert_eq!(refusal(&KEY.replace("mDME", "lDME")), "it holds a secret key");
        assert_eq!(refusal(&KEY.replace("mDMEa", "mDMFa")), "it is of another version than 4");
        assert_eq!(refusal(&KEY.replace('+', "*")), "its armour is damaged");
    }
}
