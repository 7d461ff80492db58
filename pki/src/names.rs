//! What a certificate is for, and from it the files it stands in, relative to the PKI folder.
//!
//! The path of a CA's key is told by [`authority_key`] alone, which only `init` and the survey call: nothing
//! that answers for credentials can name one.

use std::fmt;

use anyhow::{Result, bail};
use camino::Utf8PathBuf;
use dmhost_layout::plan::DaemonName;

/// What a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateKind {
    /// Signs the server certificates of all daemons.
    ServerCa,
    /// Signs the client certificates of one daemon.
    ClientCa(DaemonName),
    /// Shown by a daemon's API.
    Server(DaemonName),
    /// Shown by a client of a daemon's API.
    Client(DaemonName, ClientName),
}

/// A client's name, which is a folder's too: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientName(String);

impl ClientName {
    /// The name, if it has the shape.
    pub(crate) fn new(text: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let starts = text.bytes().next().is_some_and(plain);
        if !starts || text.len() > 63 || !text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte)) {
            bail!(
                "`{}` is no client's name: 1 to 63 lower-case letters, digits, `.`, `_` and `-`, a letter or digit first",
                text.escape_debug()
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// [`crate::DEFAULT_CLIENT`].
    pub(crate) fn default_client() -> Self {
        Self(crate::DEFAULT_CLIENT.to_owned())
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CertificateKind {
    /// The daemon it belongs to; `None` for the server CA.
    pub fn daemon(&self) -> Option<&DaemonName> {
        match self {
            Self::ServerCa => None,
            Self::ClientCa(daemon) | Self::Server(daemon) | Self::Client(daemon, _) => Some(daemon),
        }
    }

    /// Where the certificate stands, relative to the PKI folder.
    pub fn path(&self) -> Utf8PathBuf {
        match self {
            Self::ServerCa => "server-ca/ca.pem".into(),
            Self::ClientCa(daemon) => format!("{daemon}/client-ca/ca.pem").into(),
            Self::Server(daemon) => format!("{daemon}/server/cert.pem").into(),
            Self::Client(daemon, client) => format!("{daemon}/clients/{client}/cert.pem").into(),
        }
    }

    /// The common name: for humans only, no one decides by it.
    pub(crate) fn common_name(&self, host: &str) -> String {
        match self {
            Self::ServerCa => format!("dmhost {host} server CA"),
            Self::ClientCa(daemon) => format!("dmhost {host} {daemon} client CA"),
            Self::Server(daemon) => daemon.to_string(),
            Self::Client(daemon, client) => format!("{client} of {daemon}"),
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerCa => f.write_str("server CA"),
            Self::ClientCa(daemon) => write!(f, "client CA of {daemon}"),
            Self::Server(daemon) => write!(f, "server certificate of {daemon}"),
            Self::Client(daemon, client) => write!(f, "client certificate `{client}` of {daemon}"),
        }
    }
}

/// The key of a server certificate.
pub(crate) fn server_key(daemon: &DaemonName) -> Utf8PathBuf {
    format!("{daemon}/server/key.pem").into()
}

/// The folder of a daemon's clients.
pub(crate) fn clients(daemon: &DaemonName) -> Utf8PathBuf {
    format!("{daemon}/clients").into()
}

/// The key of a client certificate.
pub(crate) fn client_key(daemon: &DaemonName, client: &ClientName) -> Utf8PathBuf {
    format!("{daemon}/clients/{client}/key.pem").into()
}

/// The copy of the server CA's certificate beside a client's.
pub(crate) fn client_trust(daemon: &DaemonName, client: &ClientName) -> Utf8PathBuf {
    format!("{daemon}/clients/{client}/ca.pem").into()
}

/// The key of a CA: of the server CA, or of a daemon's client CA. For `init` and the survey alone.
pub(crate) fn authority_key(client_ca_of: Option<&DaemonName>) -> Utf8PathBuf {
    match client_ca_of {
        None => "server-ca/ca-key.pem".into(),
        Some(daemon) => format!("{daemon}/client-ca/ca-key.pem").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::ClientName;

    #[test]
    fn a_clients_name_leads_nowhere_else() {
        for name in ["admin", "ci.runner-2", "0"] {
            assert_eq!(ClientName::new(name).map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for name in ["", ".", "..", "../server", "a/b", "-x", "Admin", "a\n", &"a".repeat(64)] {
            let refused = ClientName::new(name).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.contains("is no client's name")), "{name:?}");
        }
    }
}
