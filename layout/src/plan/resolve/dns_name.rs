//! Names in a server certificate: DNS names as RFC 1123 and RFC 5280 have them, no wildcards, no addresses.

use std::net::IpAddr;

/// The name in lower case; else why it is none, and what to write.
pub(super) fn check(text: &str) -> Result<String, (&'static str, &'static str)> {
    if text.parse::<IpAddr>().is_ok() {
        return Err(("is an address", "leave it out: all addresses of the daemon are in its certificate"));
    }
    if text.contains('*') {
        return Err(("has a wildcard, which would stand for other daemons too", "write every name out"));
    }
    if text.ends_with('.') {
        return Err(("ends in a dot", "write it without the dot: names in certificates are always whole"));
    }
    if text.contains("://") || text.contains(':') {
        return Err(("is no DNS name", "write the name alone, without scheme and port"));
    }
    let help =
        "write labels of letters, digits and `-`, up to 63 characters each and 253 in all, such as `web.example.org`";
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(letters)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(("is no DNS name", help));
    }
    // What looks like a cut-off IPv4 address is taken for one by many clients.
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(("is no DNS name: its last label is a number", help));
    }
    Ok(text.to_ascii_lowercase())
}
