//! The PKI as others use it: the bytes behind a [`CredentialId`], and a client's bundle. No way leads from here to a
//! CA's key: no [`CredentialId`] names one.

use std::fmt;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::CredentialId;
use dmhost_layout::plan::DaemonName;
use zeroize::Zeroizing;

use crate::folder::{Folder, PKI};
use crate::names::{self, CertificateKind, ClientName};

/// A PKI folder that was made by [`crate::init`].
#[derive(Debug, Clone)]
pub struct Pki {
    pub(crate) folder: Folder,
}

/// What a client needs to talk to one daemon, each as PEM.
pub struct ClientBundle {
    /// The server CA's certificate: whom to trust.
    pub ca: Vec<u8>,
    /// The client's certificate.
    pub cert: Vec<u8>,
    /// Its key, secret.
    pub key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ClientBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBundle").finish_non_exhaustive()
    }
}

impl Pki {
    /// Where the PKI of a spec is: `<spec stem>.pki`, beside it.
    pub fn path_for(spec: &Utf8Path) -> Utf8PathBuf {
        spec.with_extension("pki")
    }

    /// Opens a PKI folder. What is in it is read when it is asked for.
    ///
    /// # Errors
    /// If there is none, or users other than its owner may enter it.
    pub fn open(dir: &Utf8Path) -> Result<Self> {
        let folder = Folder::open(dir, PKI)?
            .with_context(|| format!("there is no PKI folder {dir}: make it with `dmhost pki init SPEC`"))?;
        Ok(Self { folder })
    }

    /// The bytes of a credential, PEM.
    ///
    /// # Errors
    /// If the file is missing or cannot be read, or a key may be read by others.
    pub fn credential(&self, id: &CredentialId) -> Result<Vec<u8>> {
        match id {
            CredentialId::ServerCertificate(daemon) => self.certificate(&CertificateKind::Server(daemon.clone())),
            CredentialId::ServerKey(daemon) => Ok(self.key(&names::server_key(daemon))?.to_vec()),
            CredentialId::ClientCa(daemon) => self.certificate(&CertificateKind::ClientCa(daemon.clone())),
        }
    }

    /// The bundle of one client of a daemon, [`crate::DEFAULT_CLIENT`] for instance.
    ///
    /// # Errors
    /// If `who` is no client's name, or a file is missing or cannot be read.
    pub fn client(&self, daemon: &DaemonName, who: &str) -> Result<ClientBundle> {
        let who = ClientName::new(who)?;
        Ok(ClientBundle {
            ca: self.present(&names::client_trust(daemon, &who))?,
            key: self.key(&names::client_key(daemon, &who))?,
            cert: self.certificate(&CertificateKind::Client(daemon.clone(), who))?,
        })
    }

    fn certificate(&self, kind: &CertificateKind) -> Result<Vec<u8>> {
        self.present(&kind.path())
    }

    fn present(&self, relative: &Utf8Path) -> Result<Vec<u8>> {
        self.folder.certificate(relative)?.with_context(|| self.missing(relative))
    }

    fn key(&self, relative: &Utf8Path) -> Result<Zeroizing<Vec<u8>>> {
        self.folder.key(relative)?.with_context(|| self.missing(relative))
    }

    fn missing(&self, relative: &Utf8Path) -> String {
        format!("{} is missing: make it with `dmhost pki init SPEC`", self.folder.path(relative))
    }
}
