//! Clients of the daemons' APIs, as the PKI makes them: the right one, one without a certificate, one of another daemon.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use dmhost_layout::plan::{DaemonName, HostPlan};
use dmhost_pki::{DEFAULT_CLIENT, Pki};

use super::question::Credential;
use crate::fabric::ClientTls;

/// Every client that the proof needs.
#[derive(Debug)]
pub struct Clients {
    with: BTreeMap<DaemonName, ClientTls>,
    without: BTreeMap<DaemonName, ClientTls>,
}

impl Clients {
    /// Reads the client certificates of every daemon with an API.
    ///
    /// # Errors
    /// If one is missing or unreadable.
    pub fn of(plan: &HostPlan, pki: &Pki) -> Result<Self> {
        let (mut with, mut without) = (BTreeMap::new(), BTreeMap::new());
        for daemon in plan.daemons.values().filter(|daemon| daemon.tls_api().is_some()) {
            let name = &daemon.name;
            let bundle =
                pki.client(name, DEFAULT_CLIENT).with_context(|| format!("no client certificate for {name}"))?;
            with.insert(name.clone(), ClientTls::new(&bundle.ca, Some((&bundle.cert, &bundle.key)))?);
            without.insert(name.clone(), ClientTls::new(&bundle.ca, None)?);
        }
        Ok(Self { with, without })
    }

    /// The client that asks `daemon` with this credential; `None` for one that speaks no TLS.
    ///
    /// # Errors
    /// If the daemon has no API.
    pub fn client(&self, daemon: &DaemonName, credential: &Credential) -> Result<Option<&ClientTls>> {
        let found = match credential {
            Credential::Own => self.with.get(daemon),
            Credential::Absent => self.without.get(daemon),
            // All server certificates come from one CA, so another daemon's client trusts this server.
            Credential::Other(other) => self.with.get(other),
            Credential::Plaintext => return Ok(None),
        };
        found.map(Some).with_context(|| format!("{daemon} has no API"))
    }
}
