//! A certificate as it was read: the fields that are judged, from PEM, by `x509-parser`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To sign certificates.
    Authority,
    /// A TLS server, and nothing else.
    Server,
    /// A TLS client, and nothing else.
    Client,
}

/// A certificate and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// The file's bytes.
    pub(crate) pem: Vec<u8>,
    der: Vec<u8>,
    /// `SubjectPublicKeyInfo` as DER.
    pub(crate) public_key: Vec<u8>,
    /// `None` if it is for something dmhost does not use.
    pub(crate) purpose: Option<Purpose>,
    /// DNS names, lower case.
    pub(crate) names: BTreeSet<String>,
    /// IP addresses.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// First second of its validity.
    pub(crate) not_before: OffsetDateTime,
    /// Last second of its validity.
    pub(crate) not_after: OffsetDateTime,
    /// Who signed it, likewise.
    pub(crate) issuer: String,
    /// The subject as OpenSSL writes one: `CN=web`.
    pub(crate) subject: String,
    /// Hexadecimal, upper case, without separators.
    pub(crate) serial: String,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    pub(crate) fn from_pem(pem: Vec<u8>) -> Result<Self> {
        let Ok((_, block)) = x509_parser::pem::parse_x509_pem(&pem) else { bail!("it holds no PEM block") };
        if block.label != "CERTIFICATE" {
            bail!("it holds a `{}`, not a certificate", block.label.escape_debug());
        }
        let Ok((_, x509)) = X509Certificate::from_der(&block.contents) else { bail!("its certificate is damaged") };
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        if let Some(alternatives) = x509.subject_alternative_name().context("its alternative names are damaged")? {
            for name in &alternatives.value.general_names {
                match name {
                    GeneralName::DNSName(name) => _ = names.insert(name.to_ascii_lowercase()),
                    GeneralName::IPAddress(octets) => _ = addresses.insert(address(octets)?),
                    // Nothing that TLS compares with an address or a host name.
                    _ => {}
                }
            }
        }
        let time = |time: x509_parser::time::ASN1Time| {
            OffsetDateTime::from_unix_timestamp(time.timestamp()).context("its validity is out of range")
        };
        Ok(Self {
            public_key: x509.public_key().raw.to_vec(),
            purpose: purpose(&x509)?,
            not_before: time(x509.validity().not_before)?,
            not_after: time(x509.validity().not_after)?,
            names,
            addresses,
            issuer: x509.issuer().to_string(),
            subject: x509.subject().to_string(),
            serial: x509.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect(),
            der: block.contents,
            pem,
        })
    }

    /// Every certificate of a PEM file, each with its own PEM, in order.
    pub(crate) fn chain(pem: &[u8]) -> Result<Vec<Self>> {
        const END: &str = "-----END CERTIFICATE-----";
        let text = std::str::from_utf8(pem).context("it is not text")?;
        let mut chain = Vec::new();
        for part in text.split_inclusive(END) {
            let Some(begin) = part.find("-----BEGIN CERTIFICATE-----") else { continue };
            chain.push(Self::from_pem(format!("{}\n", &part[begin..]).into_bytes())?);
        }
        if chain.is_empty() {
            bail!("it holds no PEM block of a certificate");
        }
        Ok(chain)
    }

    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// Whether `authority` signed it, by name and by signature.
    pub(crate) fn issued_by(&self, authority: &Self) -> bool {
        let (Ok((_, own)), Ok((_, authority))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der))
        else {
            return false; // both were parsed once already
        };
        own.issuer().as_raw() == authority.subject().as_raw()
            && own.verify_signature(Some(authority.public_key())).is_ok()
    }
}

fn purpose(x509: &X509Certificate<'_>) -> Result<Option<Purpose>> {
    let usage = x509.key_usage().context("its key usage is damaged")?;
    if x509.is_ca() {
        // Without a key usage a CA may do anything (RFC 5280, 4.2.1.3): OpenSSL made such ones for long.
        return Ok(usage.is_none_or(|usage| usage.value.key_cert_sign()).then_some(Purpose::Authority));
    }
    let extended = x509.extended_key_usage().context("its extended key usage is damaged")?;
    Ok(extended.and_then(|extended| match (extended.value.server_auth, extended.value.client_auth) {
        (true, false) => Some(Purpose::Server),
        (false, true) => Some(Purpose::Client),
        (true, true) | (false, false) => None,
    }))
}

fn address(octets: &[u8]) -> Result<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Ok(octets.into());
    }
    let octets = <[u8; 16]>::try_from(octets).context("it has an address of neither 4 nor 16 bytes")?;
    Ok(octets.into())
}
