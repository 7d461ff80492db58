//! What stands beside an image: `IMAGE.json`, what it was made of and what it came to; `IMAGE.cdx.json`, the same packages
//! as a bill of materials in CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::BTreeMap;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::base::BaseTree;
use crate::contents::Contents;
use crate::meant::resolve;
use crate::pins::Pins;

/// What is told of an image.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) host: &'a str,
    /// SHA-256 of the spec, where there is one.
    pub(crate) spec: Option<&'a str>,
    /// The base's key.
    pub(crate) base: &'a str,
    pub(crate) pins: &'a Pins,
    pub(crate) contents: &'a Contents,
    /// The names of the subvolumes, the root's first.
    pub(crate) subvolumes: Vec<&'a str>,
}

/// The path of a report beside an image.
pub fn beside(image: &Utf8Path, ending: &str) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{image}.{ending}"))
}

impl Subject<'_> {
    /// `IMAGE.json`.
    pub(crate) fn image(&self, tree: &BaseTree) -> anyhow::Result<Value> {
        let installed = self.installed(tree)?;
        let packages: Vec<_> = self
            .pins
            .packages
            .iter()
            .map(|package| {
                json!({
                    "name": package.name, "version": package.version, "architecture": package.architecture,
                    "sha256": package.sha256, "bytes": installed.get(&package.name).copied().unwrap_or_default(),
                })
            })
            .collect();
        let subvolumes: Vec<_> = self
            .subvolumes
            .iter()
            .map(|name| json!({ "name": name, "bytes": self.contents.bytes_below(name) }))
            .collect();
        Ok(json!({
            "version": 1,
            "dmhost": env!("CARGO_PKG_VERSION"),
            "host": self.host,
            "spec_sha256": self.spec,
            "base": self.base,
            "tree_sha256": self.contents.digest(),
            "files": self.contents.nodes.len(),
            "subvolumes": subvolumes,
            "packages": packages,
        }))
    }

    /// Bytes of the files that each package has in the image, by the list that dpkg keeps of them.
    fn installed(&self, tree: &BaseTree) -> anyhow::Result<BTreeMap<String, u64>> {
        let root = self.subvolumes.first().context("an image has a root")?;
        let below = format!("{root}/");
        let nodes = self.contents.nodes.iter();
        let nodes = nodes.filter_map(|(path, node)| Some((path.strip_prefix(&below)?.to_owned(), node.clone())));
        let inside = Contents { nodes: nodes.collect() };
        let info = tree.root.join("var/lib/dpkg/info");
        let mut sizes = BTreeMap::new();
        for package in &self.pins.packages {
            // Those that can be there for several architectures at once have theirs in the name.
            let names = [package.name.clone(), format!("{}:{}", package.name, package.architecture)];
            let list = names.iter().find_map(|name| fs_err::read_to_string(info.join(format!("{name}.list"))).ok());
            let list = list.with_context(|| format!("dpkg keeps no list of {}", package.name))?;
            let mut bytes = 0;
            for path in list.lines() {
                let place = match Utf8Path::new(path).parent() {
                    // The link itself counts, not what it leads to.
                    Some(parent) => {
                        format!("{}/{}", resolve(&inside, parent)?, Utf8Path::new(path).file_name().unwrap_or_default())
                    }
                    None => continue,
                };
                bytes += inside.nodes.get(place.trim_start_matches('/')).map_or(0, crate::contents::Node::size);
            }
            sizes.insert(package.name.clone(), bytes);
        }
        Ok(sizes)
    }

    /// `IMAGE.cdx.json`. It holds no time and no random number: the same image has the same bill.
    pub(crate) fn bill(&self) -> Value {
        let components: Vec<_> = self
            .pins
            .packages
            .iter()
            .map(|package| {
                let purl = purl(&package.name, &package.version, &package.architecture);
                json!({
                    "type": "library", "bom-ref": purl, "name": package.name, "version": package.version,
                    "purl": purl, "hashes": [{ "alg": "SHA-256", "content": package.sha256 }],
                })
            })
            .collect();
        let tool = json!({ "type": "application", "name": "dmhost", "version": env!("CARGO_PKG_VERSION") });
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "tools": { "components": [tool] },
                "component": {
                    "type": "operating-system", "bom-ref": "image", "name": self.host, "version": self.contents.digest(),
                },
            },
            "components": components,
        })
    }
}

/// A package URL: <https://github.com/package-url/purl-spec>.
fn purl(name: &str, version: &str, architecture: &str) -> String {
    let quote = |text: &str| {
        text.bytes().fold(String::new(), |quoted, byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                quoted + &char::from(byte).to_string()
            }
            other => quoted + &format!("%{other:02X}"),
        })
    };
    format!("pkg:deb/debian/{}@{}?arch={architecture}", quote(name), quote(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_quotes_what_it_must() {
        assert_eq!(
            purl("libstdc++6", "1:14.2.0-19~x", "amd64"),
            "pkg:deb/debian/libstdc%2B%2B6@1%3A14.2.0-19~x?arch=amd64"
        );
    }
}
