//! A docker context, written into the client's own store, so that it can be made where no docker is installed, with a
//! mark in its metadata that it is ours. The client keeps what it does not know of the metadata.
//!
//! The store (docker/cli, `cli/context/store`): `contexts/meta/ID/meta.json` and `contexts/tls/ID/docker/*.pem`, where ID
//! is the SHA-256 of the name.

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::client::Contact;
use crate::folder::{CERTIFICATE_MODE, Folder, KEY_MODE};
use crate::open::ClientBundle;

/// The key in a context's metadata that marks it as ours.
const MARK: &str = "dmhost";

impl Contact {
    /// What the context is called unless its user has a name for it: the host, the daemon, and the client if it is
    /// not the default one.
    pub fn context_name(&self) -> String {
        let base = format!("{}-{}", self.host, self.daemon);
        if self.client == crate::DEFAULT_CLIENT { base } else { format!("{base}-{}", self.client) }
    }

    /// Whether the context `name` may be made in the docker client's folder `config` (`$DOCKER_CONFIG`, or `.docker`
    /// in the home): it is not there, or this client's already.
    ///
    /// # Errors
    /// If docker takes no such name, the context is not ours or is another client's, or the system refuses.
    pub fn check_context(&self, config: &Utf8Path, name: &str) -> Result<()> {
        check_name(name)?;
        let (store, meta, tls) = places(config, name);
        match store.certificate(&meta)? {
            Some(bytes) => self.ours(&bytes, name, &store.path(&meta)),
            None if store.path(&tls).exists() => {
                bail!("{} holds TLS files of a context `{name}` that is not there; move them away", store.path(&tls))
            }
            None => Ok(()),
        }
    }

    /// Makes the context `name`; gives whether anything changed.
    ///
    /// # Errors
    /// As for [`Self::check_context`].
    pub fn write_context(&self, bundle: &ClientBundle, config: &Utf8Path, name: &str) -> Result<bool> {
        self.check_context(config, name)?;
        let (store, meta, tls) = places(config, name);
        let mark = self.context_mark();
        let text = json!({
            "Name": name,
            "Metadata": { "Description": self.title(), MARK: mark },
            "Endpoints": { "docker": { "Host": self.endpoint, "SkipTLSVerify": false } }
        })
        .to_string();
        // The mark first: what an interruption leaves is known for ours by the next run.
        let mut changed = store.put(&meta, text.as_bytes(), CERTIFICATE_MODE)?;
        for (file, bytes, mode) in [
            ("key.pem", bundle.key.as_slice(), KEY_MODE),
            ("cert.pem", &bundle.cert, KEY_MODE),
            ("ca.pem", &bundle.ca, KEY_MODE),
        ] {
            changed |= store.put(&tls.join("docker").join(file), bytes, mode)?;
        }
        Ok(changed)
    }

    fn context_mark(&self) -> Value {
        json!({ "host": self.host, "daemon": self.daemon.as_str(), "client": self.client })
    }

    fn ours(&self, bytes: &[u8], name: &str, path: &Utf8Path) -> Result<()> {
        let found: Value =
            serde_json::from_slice(bytes).with_context(|| format!("{path}, of the context `{name}`, is no JSON"))?;
        match &found["Metadata"][MARK] {
            Value::Null => bail!(
                "the docker context `{name}` is there and dmhost did not make it: say --context with another name, or \
                 remove it with `docker context rm {name}`"
            ),
            found if *found == self.context_mark() => Ok(()),
            found => bail!(
                "the docker context `{name}` is for client {} of {} on {}, not for the {}: say --context with another name",
                found["client"],
                found["daemon"],
                found["host"],
                self.title()
            ),
        }
    }
}

/// The store of contexts, and in it the metadata and the TLS files of one.
fn places(config: &Utf8Path, name: &str) -> (Folder, Utf8PathBuf, Utf8PathBuf) {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let id: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let store = Folder::absent(&config.join("contexts"));
    (store, format!("meta/{id}/meta.json").into(), format!("tls/{id}").into())
}

/// docker/cli, `cli/context/store`, `restrictedNamePattern`; `default` is the client's own.
fn check_name(name: &str) -> Result<()> {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    if name == "default" || name.len() < 2 || !starts || !name.bytes().all(plain) {
        bail!(
            "docker takes no context `{}`: at least two letters, digits, `_`, `.`, `+` and `-`, a letter or digit \
             first, and not `default`",
            name.escape_debug()
        );
    }
    Ok(())
}
