//! `check`: whether the folder serves a plan as it is; `show`: what is in it, for how long, and what is wrong.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use anyhow::Result;
use camino::Utf8PathBuf;
use dmhost_layout::HostPlan;
use dmhost_layout::plan::DaemonName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate::Certificate;
use crate::fault::Fault;
use crate::names::{CertificateKind, ClientName};
use crate::open::Pki;
use crate::own::check_apart;
use crate::survey::{When, survey};

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

/// One certificate that a plan asks for or a client has, for a table. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The daemon it belongs to; `None` for the server CA.
    pub daemon: Option<DaemonName>,
    /// What it is for.
    pub kind: CertificateKind,
    /// Its file.
    pub path: Utf8PathBuf,
    /// What it says; `None` if it is missing or damaged.
    pub facts: Option<CertificateFacts>,
    /// Whether its key stands in the folder. That of a CA may be kept elsewhere.
    pub key: bool,
    /// What keeps it from being used, in words that begin with the file; empty if nothing does.
    pub problems: Vec<String>,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its subject, as OpenSSL writes one: `CN=web`.
    pub subject: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its SHA-256, hexadecimal with colons.
    pub fingerprint: String,
    /// Its DNS names, in order.
    pub names: Vec<String>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// The last second of its validity, UTC.
    pub not_after: OffsetDateTime,
    /// Whole days from now to then; negative when it has ended.
    pub days_left: i64,
}

impl CertificateFacts {
    fn of(certificate: &Certificate, now: OffsetDateTime) -> Self {
        Self {
            subject: certificate.subject.clone(),
            serial: certificate.serial.clone(),
            fingerprint: certificate.fingerprint(),
            names: certificate.names.iter().cloned().collect(),
            addresses: certificate.addresses.iter().copied().collect(),
            not_after: certificate.not_after,
            days_left: (certificate.not_after - now).whole_seconds().div_euclid(86_400),
        }
    }

    /// [`Self::not_after`] as RFC 3339 has it: `2028-09-30T12:00:00Z`.
    pub fn end(&self) -> String {
        // Only a year past 9999 has no such form, and X.509 has no such year.
        self.not_after.format(&Rfc3339).unwrap_or_else(|_| self.not_after.to_string())
    }
}

impl Pki {
    /// What keeps the folder from serving the plan at `now`; empty if it does. CA keys need not be there, nor a
    /// client's folder: an image holds neither. Of the clients the default one alone counts.
    ///
    /// # Errors
    /// If a file is damaged or cannot be read, others may read a key, or two daemons have the same client CA.
    pub fn check(&self, plan: &HostPlan, now: SystemTime) -> Result<Vec<Problem>> {
        let now = OffsetDateTime::from(now).unix_timestamp();
        let default = ClientName::default_client();
        let (mut problems, mut client_cas) = (Vec::new(), Vec::new());
        for entry in survey(&self.folder, plan, When { now, margin: 0 })? {
            let certificate = entry.certificate?;
            let missing = certificate.is_none();
            if let (CertificateKind::ClientCa(daemon), Some(certificate)) = (&entry.kind, certificate) {
                client_cas.push((daemon.clone(), certificate));
            }
            match &entry.kind {
                CertificateKind::Client(_, who) if missing || *who != default => {}
                CertificateKind::ServerCa
                | CertificateKind::ClientCa(_)
                | CertificateKind::Server(_)
                | CertificateKind::Client(..) => problems.extend(entry.problems),
            }
        }
        check_apart(&client_cas)?;
        Ok(problems)
    }

    /// Every certificate of the plan, CAs first, each daemon's in turn, and every client's. What ends within `days`
    /// days of `now` has a problem already.
    ///
    /// # Errors
    /// If a key is damaged, or others may read one, or the system refuses.
    pub fn show(&self, plan: &HostPlan, now: SystemTime, days: u32) -> Result<Vec<CertificateInfo>> {
        let now = OffsetDateTime::from(now);
        let when = When { now: now.unix_timestamp(), margin: i64::from(days) * 86_400 };
        let info = |entry: crate::survey::Entry| CertificateInfo {
            daemon: entry.kind.daemon().cloned(),
            path: self.folder.path(&entry.kind.path()),
            facts: entry.found().map(|found| CertificateFacts::of(found, now)),
            key: entry.key,
            problems: {
                let damaged = entry.certificate.as_ref().err().map(|error| format!("{error:#}"));
                entry.problems.iter().map(ToString::to_string).chain(damaged).collect()
            },
            kind: entry.kind,
        };
        Ok(survey(&self.folder, plan, when)?.into_iter().map(info).collect())
    }
}
