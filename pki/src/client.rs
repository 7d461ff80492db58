//! Clients of a daemon beside the one that `init` makes: their certificates, and whom they are to talk to.

use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use dmhost_layout::HostPlan;
use dmhost_layout::plan::{Api, DaemonName};

use crate::folder::Folder;
use crate::init::{Change, Run, read_certificate, read_private};
use crate::names::{CertificateKind, ClientName};
use crate::open::{ClientBundle, Pki};

/// A client and the API it talks to: what a folder or a context of ours is marked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The host's name.
    pub host: String,
    /// The daemon.
    pub daemon: DaemonName,
    /// The client's name.
    pub client: String,
    /// Where the API is: `tcp://198.51.100.2:2376`.
    pub endpoint: String,
}

impl Contact {
    /// A client of a daemon of the plan, dialling `address`: one of the API's addresses or names, by default its
    /// first address, which needs no resolver.
    ///
    /// # Errors
    /// If the plan has no such daemon, it has no API, or `address` is none that its certificate is for.
    pub fn new(plan: &HostPlan, daemon: &str, client: &str, address: Option<&str>) -> Result<Self> {
        let api = api(plan, daemon)?;
        let choices = || api.addresses.iter().map(ToString::to_string).chain(api.names.clone());
        let same = |choice: &String| {
            address.is_none_or(|address| {
                choice.eq_ignore_ascii_case(address)
                    || address.parse().is_ok_and(|address: std::net::IpAddr| {
                        api.addresses.contains(&address) && address.to_string() == *choice
                    })
            })
        };
        let Some(found) = choices().find(same) else {
            let all: Vec<_> = choices().collect();
            bail!(
                "the certificate of {daemon} is not for `{}`; it is for {}",
                address.unwrap_or_default().escape_debug(),
                all.join(", ")
            );
        };
        let brackets = if found.contains(':') { ("[", "]") } else { ("", "") };
        Ok(Self {
            host: plan.host.name.clone(),
            daemon: daemon.parse().with_context(|| format!("`{daemon}` is no daemon's name"))?,
            client: ClientName::new(client)?.to_string(),
            endpoint: format!("tcp://{}{found}{}:{}", brackets.0, brackets.1, api.port),
        })
    }

    /// For people, and to tell one folder of ours from another: who, of which daemon, on which host.
    pub(crate) fn title(&self) -> String {
        format!("client `{}` of {} on {}, by dmhost", self.client, self.daemon, self.host)
    }
}

fn api<'a>(plan: &'a HostPlan, daemon: &str) -> Result<&'a Api> {
    let Some((_, found)) = plan.daemons.iter().find(|(name, _)| name.as_str() == daemon) else {
        let all: Vec<_> = plan.daemons.keys().map(DaemonName::as_str).collect();
        bail!("the spec has no daemon `{}`; it has {}", daemon.escape_debug(), all.join(", "));
    };
    if found.api.as_ref().is_some_and(|api| !api.tls) {
        bail!(
            "the API of {daemon} is in plain text, so it has no clients with certificates: connect to it without TLS"
        );
    }
    found.api.as_ref().with_context(|| {
        format!("{daemon} has no API over TCP, so it has no clients: give it `api = {{}}` in the spec, or use its unix socket on the host")
    })
}

/// The bundle of a client, and what had to be made for it: nothing if its certificate is there and lasts. `ca_key` is
/// the key of the daemon's client CA where that is kept outside of the folder; it is read and not copied.
///
/// # Errors
/// If there is no PKI, no CA in it for this daemon, its key is needed and not there, or a file is damaged or may be read
/// by others who should not.
pub fn issue_client(
    plan: &HostPlan,
    dir: &Utf8Path,
    contact: &Contact,
    ca_key: Option<&Utf8Path>,
    now: SystemTime,
) -> Result<(ClientBundle, Vec<Change>)> {
    let pki = Pki::open(dir)?;
    let client = ClientName::new(&contact.client)?;
    let daemon = &contact.daemon;
    let mut run = Run::new(&plan.host.name, pki.folder.clone(), now);
    let kind = CertificateKind::ClientCa(daemon.clone());
    for needed in [&CertificateKind::ServerCa, &kind] {
        present(&pki.folder, needed)?;
    }
    let trusted = present(&pki.folder, &CertificateKind::ServerCa)?;
    let mut client_ca = run.authority(kind)?;
    if let Some(path) = ca_key {
        let key = read_private(path)?;
        if !key.belongs_to(&client_ca.certificate) {
            bail!("{path} is not the key of the client CA of {daemon}");
        }
        client_ca.key = Some(key);
    }
    run.client(daemon, client, &client_ca, &trusted)?;
    let changes = run.finish(dir)?;
    Ok((pki.client(daemon, &contact.client)?, changes))
}

fn present(folder: &Folder, kind: &CertificateKind) -> Result<Vec<u8>> {
    let found = read_certificate(folder, &kind.path())?;
    let found = found
        .with_context(|| format!("{} is missing: make it with `dmhost pki init SPEC`", folder.path(&kind.path())))?;
    Ok(found.pem)
}
