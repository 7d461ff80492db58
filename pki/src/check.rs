//! `check`: whether the folder serves a plan as it is; `show`: what is in it and for how long.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::plan::{Api, DaemonName};
use time::OffsetDateTime;

use crate::certificate::{Certificate, Purpose};
use crate::fault::{Expected, Fault, judge};
use crate::init::{read_certificate, read_key};
use crate::names::{self, CertificateKind, ClientName};
use crate::open::Pki;

/// Why a PKI folder does not serve a plan: one file and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: Utf8PathBuf,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.fault)
    }
}

/// One certificate, for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The daemon it belongs to; `None` for the server CA.
    pub daemon: Option<DaemonName>,
    /// What it is for.
    pub kind: CertificateKind,
    /// Its DNS names, in order.
    pub names: Vec<String>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// The last second of its validity, UTC.
    pub not_after: OffsetDateTime,
    /// Whole days from now to then; negative when it has ended.
    pub days_left: i64,
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
            addresses: api.addresses.iter().copied().collect(),
            issuer: Some(server_ca),
        }
    }

    /// What a client's certificate must be.
    pub(crate) fn client(client_ca: &'a Certificate) -> Self {
        Self { purpose: Purpose::Client, names: [].into(), addresses: [].into(), issuer: Some(client_ca) }
    }
}

impl Pki {
    /// What keeps the folder from serving the plan at `now`; empty if it does. CA keys need not be there, nor a
    /// client's folder: an image holds neither.
    ///
    /// # Errors
    /// If a file is damaged or cannot be read, or others may read a key.
    pub fn check(&self, plan: &HostPlan, now: SystemTime) -> Result<Vec<Problem>> {
        let now = OffsetDateTime::from(now).unix_timestamp();
        let mut problems = Vec::new();
        let apis: Vec<_> =
            plan.daemons.values().filter_map(|daemon| Some((&daemon.name, daemon.api.as_ref()?))).collect();
        if apis.is_empty() {
            return Ok(problems);
        }
        let server_ca = self.examined_authority(&CertificateKind::ServerCa, now, &mut problems)?;
        for (daemon, api) in apis {
            let client_ca = self.examined_authority(&CertificateKind::ClientCa(daemon.clone()), now, &mut problems)?;
            let kind = CertificateKind::Server(daemon.clone());
            let expected = server_ca.as_ref().map(|ca| Expected::server(api, ca));
            self.examine(&kind, &names::server_key(daemon), expected, now, &mut problems)?;

            let client = ClientName::default_client();
            let key = names::client_key(daemon, &client);
            let kind = CertificateKind::Client(daemon.clone(), client);
            if self.folder.certificate(&kind.path())?.is_some() {
                self.examine(&kind, &key, client_ca.as_ref().map(Expected::client), now, &mut problems)?;
            }
        }
        Ok(problems)
    }

    /// The certificates of the plan that are there, CAs first, each daemon's in turn.
    ///
    /// # Errors
    /// If one is damaged or cannot be read.
    pub fn show(&self, plan: &HostPlan, now: SystemTime) -> Result<Vec<CertificateInfo>> {
        let now = OffsetDateTime::from(now);
        let mut kinds = vec![CertificateKind::ServerCa];
        for daemon in plan.daemons.values().filter(|daemon| daemon.api.is_some()) {
            kinds.push(CertificateKind::ClientCa(daemon.name.clone()));
            kinds.push(CertificateKind::Server(daemon.name.clone()));
            kinds.push(CertificateKind::Client(daemon.name.clone(), ClientName::default_client()));
        }
        let mut shown = Vec::new();
        for kind in kinds {
            let Some(certificate) = read_certificate(&self.folder, &kind.path())? else { continue };
            shown.push(CertificateInfo {
                daemon: kind.daemon().cloned(),
                kind,
                names: certificate.names.into_iter().collect(),
                addresses: certificate.addresses.into_iter().collect(),
                not_after: certificate.not_after,
                days_left: (certificate.not_after - now).whole_seconds().div_euclid(86_400),
            });
        }
        Ok(shown)
    }

    fn examined_authority(
        &self,
        kind: &CertificateKind,
        now: i64,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Certificate>> {
        let found = read_certificate(&self.folder, &kind.path())?;
        let fault = found.as_ref().map_or(Some(Fault::Missing), |found| judge(found, &Expected::authority(), now, 0));
        problems.extend(fault.map(|fault| Problem { path: self.folder.path(&kind.path()), fault }));
        Ok(found)
    }

    /// Without an expectation (its CA is missing, which is a problem of its own) only presence and key are judged.
    fn examine(
        &self,
        kind: &CertificateKind,
        key: &Utf8Path,
        expected: Option<Expected<'_>>,
        now: i64,
        problems: &mut Vec<Problem>,
    ) -> Result<()> {
        let found = read_certificate(&self.folder, &kind.path())?;
        let own = read_key(&self.folder, key)?;
        if own.is_none() {
            problems.push(Problem { path: self.folder.path(key), fault: Fault::Missing });
        }
        let fault = match &found {
            None => Some(Fault::Missing),
            Some(found) if own.is_some_and(|own| !own.belongs_to(found)) => Some(Fault::Key),
            Some(found) => expected.and_then(|expected| judge(found, &expected, now, 0)),
        };
        problems.extend(fault.map(|fault| Problem { path: self.folder.path(&kind.path()), fault }));
        Ok(())
    }
}
