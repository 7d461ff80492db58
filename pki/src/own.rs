//! CAs that the user brings, judged before anything is written, all at once. Their keys are read and never copied.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::plan::DaemonName;
use time::{Duration, OffsetDateTime};

use crate::certificate::{Certificate, Purpose};
use crate::init::read_private;
use crate::key::Key;
use crate::names::CertificateKind;

/// A CA in files of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFiles {
    /// Its certificate, PEM; then those above it, each signed by the next, up to one that signs itself. Of a client CA
    /// the first alone is used: dockerd would let in whom the others sign.
    pub certificate: Utf8PathBuf,
    /// Its key, PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Option<Utf8PathBuf>,
}

/// What the user brings in place of what [`crate::init`] would make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// Signs the server certificates; needs its key.
    pub server_ca: Option<CaFiles>,
    /// Each signs the clients of one daemon; without its key dmhost issues none.
    pub client_cas: BTreeMap<String, CaFiles>,
}

/// A CA that was judged good.
pub(crate) struct OwnCa {
    /// What goes into the folder; its `pem` has the whole chain for a server CA.
    pub(crate) certificate: Certificate,
    pub(crate) key: Option<Key>,
    pub(crate) files: CaFiles,
}

impl Brought {
    /// Reads and judges all of them; what is wrong is told of all.
    pub(crate) fn read(&self, plan: &HostPlan, now: OffsetDateTime) -> Result<BTreeMap<CertificateKind, OwnCa>> {
        let (mut good, mut bad) = (BTreeMap::new(), Vec::new());
        let mut take = |kind: Result<CertificateKind>, files: &CaFiles| match kind
            .and_then(|kind| Ok((read(&kind, files, now)?, kind)))
        {
            Ok((ca, kind)) => _ = good.insert(kind, ca),
            Err(error) => bad.push(error),
        };
        if let Some(files) = &self.server_ca {
            take(Ok(CertificateKind::ServerCa), files);
        }
        for (daemon, files) in &self.client_cas {
            let found = plan.daemons.values().find(|found| found.name.as_str() == daemon && found.tls_api().is_some());
            let kind = found.map(|found| CertificateKind::ClientCa(found.name.clone()));
            take(
                kind.ok_or_else(|| {
                    anyhow!("a client CA for `{daemon}`: the spec has no such daemon with an API over TLS")
                }),
                files,
            );
        }
        match bad.len() {
            0 => Ok(good),
            1 => Err(bad.remove(0)),
            _ => bail!("{}", bad.iter().map(|error| format!("{error:#}")).collect::<Vec<_>>().join("\n  and: ")),
        }
    }
}

fn read(kind: &CertificateKind, files: &CaFiles, now: OffsetDateTime) -> Result<OwnCa> {
    let path = &files.certificate;
    let chain = Certificate::chain(&fs_err::read(path).context("a CA's certificate cannot be read")?)
        .with_context(|| format!("{path} is no certificate"))?;
    for certificate in &chain {
        if certificate.purpose != Some(Purpose::Authority) {
            bail!("{path}: `{}` is no CA: its basic constraints or key usage do not let it sign", certificate.subject);
        }
        if certificate.not_before > now {
            bail!("{path}: `{}` is valid from {} on only", certificate.subject, certificate.not_before.date());
        }
        // What it signs ends with it, and is made anew 30 days before its end.
        if certificate.not_after <= now + Duration::days(31) {
            bail!("{path}: `{}` ends on {}: too soon to sign with", certificate.subject, certificate.not_after.date());
        }
    }
    for pair in chain.windows(2) {
        if !pair[0].issued_by(&pair[1]) {
            bail!("{path}: `{}` is not signed by the next one, `{}`", pair[0].subject, pair[1].subject);
        }
    }
    let key = files.key.as_deref().map(read_private).transpose()?;
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else { bail!("{path} holds no certificate") };
    if let (Some(key), Some(key_path)) = (&key, &files.key)
        && !key.belongs_to(first)
    {
        bail!("{key_path} is not the key of {path}: the CA's own certificate has to be the first in it");
    }
    let mut certificate = first.clone();
    if *kind == CertificateKind::ServerCa {
        if !last.issued_by(last) {
            bail!("{path} is not complete: the certificate of `{}` is missing at its end", last.issuer);
        }
        if key.is_none() {
            bail!("a server CA needs its key, to sign the server certificates: CERT,KEY");
        }
        certificate.pem = chain.iter().flat_map(|certificate| certificate.pem.clone()).collect();
    }
    Ok(OwnCa { certificate, key, files: files.clone() })
}

/// Two daemons whose client CAs are one, or one the other's issuer: dockerd asks for the chain alone, so the clients of
/// one would be the other's.
pub(crate) fn check_apart(cas: &[(DaemonName, Certificate)]) -> Result<()> {
    for (index, (daemon, ca)) in cas.iter().enumerate() {
        for (other, theirs) in &cas[index + 1..] {
            let one = if ca.public_key == theirs.public_key {
                "are the same"
            } else if ca.issued_by(theirs) || theirs.issued_by(ca) {
                "are one above the other"
            } else {
                continue;
            };
            bail!(
                "the client CAs of {daemon} and {other} {one}: every client of one could use the other; give each its own"
            );
        }
    }
    Ok(())
}

/// Whether dmhost made this CA, and so may make it anew.
pub(crate) fn made_here(kind: &CertificateKind, certificate: &Certificate) -> bool {
    let end = match kind {
        CertificateKind::ServerCa => " server CA".to_owned(),
        CertificateKind::ClientCa(daemon) => format!(" {daemon} client CA"),
        CertificateKind::Server(_) | CertificateKind::Client(..) => return true,
    };
    certificate.issued_by(certificate)
        && certificate.subject.starts_with("CN=dmhost ")
        && certificate.subject.ends_with(&end)
}

/// Where a brought CA's key is, for messages.
pub(crate) fn key_words(key: Option<&Utf8Path>) -> String {
    key.map_or("without its key".to_owned(), |key| format!("its key stays at {key} and is not copied"))
}
