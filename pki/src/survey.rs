//! What stands in the folder for a plan, one entry per certificate, each with what is wrong with it. What is judged
//! here is what `check` refuses by and `show` prints.

use std::net::IpAddr;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::plan::{Api, DaemonName};

use crate::certificate::{Certificate, Purpose};
use crate::check::Problem;
use crate::fault::{Expected, Fault, judge};
use crate::folder::Folder;
use crate::init::{read_certificate, read_key};
use crate::names::{self, CertificateKind, ClientName};

/// One certificate that the plan asks for, or that a client has.
pub(crate) struct Entry {
    /// What it is for.
    pub(crate) kind: CertificateKind,
    /// `None` if it is missing; an error if it is damaged.
    pub(crate) certificate: Result<Option<Certificate>>,
    /// Whether its key stands in the folder.
    pub(crate) key: bool,
    /// What is wrong, each with its file.
    pub(crate) problems: Vec<Problem>,
}

/// The moment of the judgement, in seconds since 1970, and for how many seconds more a certificate has to last.
#[derive(Clone, Copy)]
pub(crate) struct When {
    pub(crate) now: i64,
    pub(crate) margin: i64,
}

impl Expected<'static> {
    /// What a CA must be.
    pub(crate) fn authority() -> Self {
        Self { purpose: Purpose::Authority, names: [].into(), addresses: [].into(), issuer: None }
    }
}

impl<'a> Expected<'a> {
    /// What a daemon's server certificate must be.
    pub(crate) fn server(api: &Api, server_ca: &'a Certificate) -> Self {
        Self {
            purpose: Purpose::Server,
            names: api.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            addresses: api.addresses.iter().copied().collect::<std::collections::BTreeSet<IpAddr>>(),
            issuer: Some(server_ca),
        }
    }

    /// What a client's certificate must be.
    pub(crate) fn client(client_ca: &'a Certificate) -> Self {
        Self { purpose: Purpose::Client, names: [].into(), addresses: [].into(), issuer: Some(client_ca) }
    }
}

/// Every certificate of the plan, CAs first, each daemon's in turn, and the clients of each by name.
///
/// # Errors
/// If a key is damaged or may be read by others, or the system refuses.
pub(crate) fn survey(folder: &Folder, plan: &HostPlan, when: When) -> Result<Vec<Entry>> {
    let apis: Vec<_> = plan.daemons.values().filter_map(|daemon| Some((&daemon.name, daemon.tls_api()?))).collect();
    let mut entries = Vec::new();
    if apis.is_empty() {
        return Ok(entries);
    }
    let server_ca = authority(folder, CertificateKind::ServerCa, when)?;
    let trusted = server_ca.found().cloned();
    entries.push(server_ca);
    for (daemon, api) in apis {
        let client_ca = authority(folder, CertificateKind::ClientCa(daemon.clone()), when)?;
        let signer = client_ca.found().cloned();
        let makes_clients = client_ca.key;
        entries.push(client_ca);

        let expected = trusted.as_ref().map(|ca| Expected::server(api, ca));
        let kind = CertificateKind::Server(daemon.clone());
        entries.push(leaf(folder, kind, &names::server_key(daemon), expected.as_ref(), when)?);

        let expected = signer.as_ref().map(Expected::client);
        for client in clients(folder, daemon, makes_clients)? {
            let key = names::client_key(daemon, &client);
            let trust = names::client_trust(daemon, &client);
            let mut entry =
                leaf(folder, CertificateKind::Client(daemon.clone(), client), &key, expected.as_ref(), when)?;
            if let (Ok(Some(_)), Some(trusted)) = (&entry.certificate, &trusted) {
                let fault = match folder.certificate(&trust)? {
                    None => Some(Fault::Missing),
                    Some(bytes) => (bytes != trusted.pem).then_some(Fault::Trust),
                };
                entry.problems.extend(fault.map(|fault| Problem { path: folder.path(&trust), fault }));
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// The clients that have a folder, and the default one where it could be made: a place where images are built needs
/// neither clients nor keys of CAs.
fn clients(folder: &Folder, daemon: &DaemonName, makes_clients: bool) -> Result<Vec<ClientName>> {
    let mut clients: Vec<_> = folder
        .folders(&names::clients(daemon))?
        .iter()
        .filter_map(|name| ClientName::new(name).ok())
        .filter(|client| folder.path(&CertificateKind::Client(daemon.clone(), client.clone()).path()).exists())
        .collect();
    let default = ClientName::default_client();
    if makes_clients && !clients.contains(&default) {
        clients.push(default);
        clients.sort();
    }
    Ok(clients)
}

fn authority(folder: &Folder, kind: CertificateKind, when: When) -> Result<Entry> {
    let key = names::authority_key(kind.daemon());
    entry(folder, kind, &key, Some(&Expected::authority()), when)
}

/// Without an expectation (its CA is missing, which is a problem of its own) only presence and key are judged.
fn leaf(
    folder: &Folder,
    kind: CertificateKind,
    key: &Utf8Path,
    expected: Option<&Expected<'_>>,
    when: When,
) -> Result<Entry> {
    let mut entry = entry(folder, kind, key, expected, when)?;
    if !entry.key {
        entry.problems.insert(0, Problem { path: folder.path(key), fault: Fault::Missing });
    }
    Ok(entry)
}

fn entry(
    folder: &Folder,
    kind: CertificateKind,
    key: &Utf8Path,
    expected: Option<&Expected<'_>>,
    when: When,
) -> Result<Entry> {
    let certificate = read_certificate(folder, &kind.path());
    let own = read_key(folder, key)?;
    let has_key = own.is_some();
    let fault = match &certificate {
        Err(_) => None, // the error stands in the entry
        Ok(None) => Some(Fault::Missing),
        Ok(Some(found)) if own.is_some_and(|own| !own.belongs_to(found)) => Some(Fault::Key),
        Ok(Some(found)) => expected.and_then(|expected| judge(found, expected, when.now, when.margin)),
    };
    let path: Utf8PathBuf = folder.path(&kind.path());
    let problems = fault.map(|fault| Problem { path, fault }).into_iter().collect();
    Ok(Entry { kind, certificate, key: has_key, problems })
}

impl Entry {
    /// The certificate, if it is there and whole.
    pub(crate) fn found(&self) -> Option<&Certificate> {
        self.certificate.as_ref().ok().and_then(Option::as_ref)
    }
}
