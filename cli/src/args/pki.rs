//! Certificates: `pki` and `client`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{Spec, path};

/// `dmhost pki`.
#[derive(Debug, Subcommand)]
pub(crate) enum Pki {
    /// Make the CAs, server and client certificates that are missing or no longer fit the spec
    #[command(
        after_help = "Examples:\n  dmhost pki init host.toml\n  dmhost pki init host.toml --server-ca corp.pem,corp-key.pem --client-ca web=team.pem\n\nThe folder is SPEC's name with .pki in place of .toml, mode 0700; what is still valid stays as it is."
    )]
    Init(PkiInit),
    /// Tell of each CA and certificate what it says, how long it lasts and whether it fits the spec
    #[command(
        after_help = "Examples:\n  dmhost pki show host.toml\n  dmhost pki show host.toml --days 60 || mail -s 'certificates of atlas' ops\n\nExit code 1 if one is missing, does not fit or ends too soon. No key is ever printed."
    )]
    Show(PkiShow),
}

/// `dmhost pki init`.
#[derive(Debug, Args)]
pub(crate) struct PkiInit {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// Your own CA for the server certificates: PEM files, CERT up to its root; the key is used and not copied
    #[arg(long, value_name = "CERT,KEY", value_parser = ca_files)]
    pub(crate) server_ca: Option<dmhost_pki::CaFiles>,
    /// Your own CA for the clients of one daemon; without KEY you issue their certificates yourself
    #[arg(long, value_name = "DAEMON=CERT[,KEY]", value_parser = daemon_ca)]
    pub(crate) client_ca: Vec<(String, dmhost_pki::CaFiles)>,
}

/// `dmhost pki show`.
#[derive(Debug, Args)]
pub(crate) struct PkiShow {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// What ends within this many days is a no
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) days: u32,
}

/// `dmhost client`.
#[derive(Debug, Args)]
#[group(id = "place", required = true, multiple = false, args = ["context", "out"])]
pub(crate) struct Client {
    #[command(flatten)]
    pub(crate) spec: Spec,
    /// The daemon, by its name in the spec
    pub(crate) daemon: String,
    /// The client's name, for whom a certificate is issued unless there is one that lasts
    #[arg(long = "as", value_name = "WHO", default_value = dmhost_pki::DEFAULT_CLIENT)]
    pub(crate) who: String,
    /// Make a docker context [default name: HOST-DAEMON, or HOST-DAEMON-WHO]
    // Without a name it is the empty one, which docker takes for none either.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) context: Option<String>,
    /// Write a folder for DOCKER_CERT_PATH: new, empty, or this client's already
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) out: Option<Utf8PathBuf>,
    /// Which address or name of the daemon to dial [default: its first address]
    #[arg(long, visible_alias = "address", value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The key of the daemon's client CA, where it is kept outside of the PKI folder; it is not copied
    #[arg(long, value_name = "KEY", value_parser = path())]
    pub(crate) ca_key: Option<Utf8PathBuf>,
}

/// `CERT[,KEY]`.
fn ca_files(text: &str) -> Result<dmhost_pki::CaFiles, String> {
    let (certificate, key) = text.split_once(',').map_or((text, None), |(certificate, key)| (certificate, Some(key)));
    if certificate.is_empty() || key.is_some_and(str::is_empty) {
        return Err("an empty path".to_owned());
    }
    Ok(dmhost_pki::CaFiles { certificate: certificate.into(), key: key.map(Into::into) })
}

/// `DAEMON=CERT[,KEY]`.
fn daemon_ca(text: &str) -> Result<(String, dmhost_pki::CaFiles), String> {
    let (daemon, files) = text.split_once('=').ok_or("not of the form DAEMON=CERT[,KEY]")?;
    Ok((daemon.to_owned(), ca_files(files)?))
}
