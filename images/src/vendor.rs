//! An engine's own archive: where it is, how apt is to trust it, and what the image keeps of it.
//!
//! Its key cannot come from a package of Debian's, so the user gives the file; that it is the right key, its fingerprint
//! tells. Formats: apt_preferences(5), sources.list(5); the key in `openpgp`.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::Engine;
use serde::Deserialize;

use crate::openpgp;

/// Where the image keeps the key.
const KEYRING: &str = "/etc/apt/keyrings/docker.asc";

/// An archive as a recipe names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// `URI/dists`, without a `/` at its end.
    pub uri: String,
    /// Its component.
    pub component: String,
    /// The fingerprint of its primary key, 40 hexadecimal digits.
    pub fingerprint: String,
}

/// An archive with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendor {
    /// Where it is.
    pub archive: Archive,
    /// The key, in armour.
    pub key: String,
    /// Versions that packages are kept to.
    versions: BTreeMap<String, String>,
}

impl Vendor {
    /// The archive with the key of this file.
    pub(crate) fn new(
        archive: Archive,
        versions: BTreeMap<String, String>,
        engine: Engine,
        key: Option<&Utf8Path>,
    ) -> anyhow::Result<Self> {
        let Archive { uri, fingerprint, .. } = &archive;
        let Some(path) = key else {
            anyhow::bail!(
                "the engine {} comes from {uri}, whose key no package of Debian's has: give it with \
                 `--engine-key FILE`, the file {uri}/gpg; it is held against the fingerprint {fingerprint}",
                engine.as_str()
            )
        };
        // In words alone: that the file cannot be read is not the machine's fault.
        let key = fs_err::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("could not read the key of the engine's archive: {error}"))?;
        let found = openpgp::fingerprint(&key).with_context(|| format!("{path} is no key of an archive"))?;
        anyhow::ensure!(
            found == *fingerprint,
            "{path} is another key than that of {uri}: its fingerprint is {found}, and not {fingerprint}"
        );
        Ok(Self { archive, key, versions })
    }

    /// The line of apt's sources for a suite, `keyring` being where the key is.
    pub(crate) fn line(&self, suite: &str, keyring: &Utf8Path) -> String {
        let Archive { uri, component, .. } = &self.archive;
        format!("deb [signed-by={keyring}] {uri} {suite} {component}")
    }

    /// apt's preferences: which versions are taken at all.
    pub(crate) fn preferences(&self) -> String {
        self.versions.iter().fold(String::new(), |mut text, (package, version)| {
            // Writing to a String cannot fail. A priority from 1000 on takes a version whatever else there is.
            let _ = write!(text, "Package: {package}\nPin: version {version}\nPin-Priority: 1000\n\n");
            text
        })
    }

    /// What the image has of it: an administrator installs security updates from there.
    pub(crate) fn files(&self, suite: &str, architecture: &str) -> BTreeMap<String, String> {
        let Archive { uri, component, .. } = &self.archive;
        let source = format!(
            "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {component}\nArchitectures: {architecture}\n\
             Signed-By: {KEYRING}\n"
        );
        BTreeMap::from([
            (KEYRING.to_owned(), self.key.clone()),
            ("/etc/apt/preferences.d/docker".to_owned(), self.preferences()),
            ("/etc/apt/sources.list.d/docker.sources".to_owned(), source),
        ])
    }

    /// Writes the key down for apt.
    pub(crate) fn write_key(&self, folder: &Utf8Path) -> anyhow::Result<Utf8PathBuf> {
        let path = folder.join("engine.asc");
        fs_err::write(&path, &self.key)?;
        Ok(path)
    }
}
