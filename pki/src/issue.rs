//! Making keys and certificates: ECDSA P-256, valid from an hour ago, with a random serial of 128 bits.

use anyhow::{Context as _, Result, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType,
    SerialNumber,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use time::{Duration, OffsetDateTime};

use crate::certificate::{Certificate, Purpose};
use crate::fault::Expected;
use crate::key::Key;

/// How long a CA is valid: ten years of 365 days.
const AUTHORITY_VALIDITY: Duration = Duration::days(3650);
/// How long what it signs is valid: the most that TLS clients at large accept of a private CA.
const LEAF_VALIDITY: Duration = Duration::days(825);
/// Validity begins this long before now, for hosts whose clock is behind.
const BACKDATED: Duration = Duration::hours(1);

/// A CA's certificate that signs itself.
pub(crate) fn authority(common_name: &str, key: &Key, now: OffsetDateTime) -> Result<Certificate> {
    let mut params = params(common_name, now, now + AUTHORITY_VALIDITY)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key.0).context("the CA's certificate could not be signed")?;
    Certificate::from_pem(certificate.pem().into_bytes())
        .context("the CA's certificate that was just made is unreadable")
}

/// A certificate for `key` with what is expected of it; it ends no later than its CA.
pub(crate) fn leaf(
    common_name: &str,
    key: &Key,
    expected: &Expected<'_>,
    authority: (&Certificate, &Key),
    now: OffsetDateTime,
) -> Result<Certificate> {
    let mut params = params(common_name, now, (now + LEAF_VALIDITY).min(authority.0.not_after))?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match expected.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::Authority => return Err(anyhow!("a CA signs itself")),
    }];
    params.subject_alt_names = expected.addresses.iter().copied().map(SanType::IpAddress).collect();
    for name in &expected.names {
        let name = name.as_str().try_into().with_context(|| format!("`{name}` cannot stand in a certificate"))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    let text = std::str::from_utf8(&authority.0.pem).context("the CA's certificate is not text")?;
    let issuer = Issuer::from_ca_cert_pem(text, &authority.1.0).context("the CA's certificate cannot sign")?;
    let certificate = params.signed_by(&key.0, &issuer).context("the certificate could not be signed")?;
    Certificate::from_pem(certificate.pem().into_bytes()).context("the certificate that was just made is unreadable")
}

fn params(common_name: &str, now: OffsetDateTime, not_after: OffsetDateTime) -> Result<CertificateParams> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| anyhow!("the system gives no random numbers"))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now - BACKDATED;
    params.not_after = not_after;
    Ok(params)
}
