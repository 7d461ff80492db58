//! The pins: every package of a base by version and SHA-256, as `<spec stem>.lock` records them.
//!
//! A lock is TOML, written by dmhost and read by people. It says which packages, never from which mirror.

use std::fmt::{self, Write};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::Kernel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::recipe::{Recipe, System};

/// The version of the lock's format.
const VERSION: u32 = 1;

const HEAD: &str = "# Made by dmhost; to be kept beside the spec. `dmhost build --update-lock` asks the archive for newer packages.\n\n";

/// One package file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as dpkg writes it.
    pub version: String,
    /// Its architecture: `all` or the base's.
    pub architecture: String,
    /// Which archive has it.
    pub archive: Archive,
    /// Where it is below the archive's URI, percent-encoded.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
}

/// An archive: Debian's, or the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// The releases and their updates.
    Main,
    /// Security updates.
    Security,
    /// The engine's own, which is not Debian's.
    Engine,
}

/// Every package of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    version: u32,
    /// When the archive was asked: seconds since 1970.
    pub asked_at: u64,
    /// The base they are of.
    pub base: String,
    /// Whose engine it has.
    pub engine: String,
    /// Its kernel.
    pub kernel: String,
    /// dpkg's name of the architecture.
    pub architecture: String,
    /// SHA-256 of what the recipe asks for: another one makes other pins.
    pub asked: String,
    /// The packages, by name.
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
}

/// The file that records the pins of a spec, and what may become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// What may become of it.
    pub mode: LockMode,
}

/// What a build may do with a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Uses it if it is there and fits, and writes nothing.
    Read,
    /// Uses it if it is there and fits, and writes it if not.
    Keep,
    /// Uses it as it is, or fails.
    Locked,
    /// Asks the archive anew and writes it.
    Update,
}

/// The lock beside a spec: `host.toml` has `host.lock`.
pub fn lock_path(spec: &Utf8Path) -> Utf8PathBuf {
    spec.with_extension("lock")
}

/// The names of what a recipe asks for with this kernel.
pub(crate) fn asked_packages(recipe: &Recipe, kernel: Kernel) -> Vec<&str> {
    recipe.packages.iter().chain(recipe.kernels.of(kernel)).map(String::as_str).collect()
}

/// What decides which packages are asked for, as a SHA-256.
pub(crate) fn asked(recipe: &Recipe, kernel: Kernel) -> String {
    let names = asked_packages(recipe, kernel);
    digest([recipe.suite.as_str(), recipe.variant.as_str(), architecture()].into_iter().chain(names))
}

/// dpkg's name of this machine's architecture: bases are made for the machine they are made on.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// SHA-256 over texts, each with its length before it.
pub(crate) fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Pins {
    /// Pins of what a base asks for with this kernel; the packages are put in order.
    ///
    /// # Errors
    /// If there is no such recipe.
    pub fn new(system: System, recipe: &Recipe, asked_at: u64, mut packages: Vec<Package>) -> Self {
        let System { base, engine, kernel } = system;
        packages.sort();
        let asked = asked(recipe, kernel);
        Self {
            version: VERSION,
            asked_at,
            base: base.as_str().to_owned(),
            engine: engine.as_str().to_owned(),
            kernel: kernel.as_str().to_owned(),
            architecture: architecture().to_owned(),
            asked,
            packages,
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// If it cannot be read, is no lock, or one of a later version.
    pub fn read(path: &Utf8Path) -> anyhow::Result<Self> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(&text).with_context(|| format!("{path} is no lock of dmhost's; --update-lock writes it anew"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = toml::from_str(text)?;
        anyhow::ensure!(version == VERSION, "its version is {version}, and this dmhost knows {VERSION}");
        let pins: Self = toml::from_str(text)?;
        for Package { name, sha256, path, .. } in &pins.packages {
            let digits = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            anyhow::ensure!(digits, "the sha256 of {name} has to be 64 digits from 0 to f");
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.starts_with('/');
            anyhow::ensure!(plain && !path.split('/').any(|part| part == ".."), "the path of {name} leads elsewhere");
        }
        anyhow::ensure!(!pins.packages.is_empty(), "it pins no package");
        Ok(pins)
    }

    /// The lock as text.
    ///
    /// # Errors
    /// None that is known: every field has a form in TOML.
    pub fn text(&self) -> anyhow::Result<String> {
        let text = toml::to_string(self).context("could not write the pins as TOML")?;
        Ok(format!("{HEAD}{text}"))
    }

    /// What decides the bytes of a base: packages and their hashes, not when they were asked for or where they lie.
    pub fn digest(&self) -> String {
        let texts = self.packages.iter().flat_map(|package| {
            [&package.name, &package.version, &package.architecture, &package.sha256].map(String::as_str)
        });
        digest(texts)
    }

    /// Why these pins are not for this recipe with this kernel; `None`: they are.
    pub(crate) fn misfit(&self, system: System, recipe: &Recipe) -> Option<String> {
        let System { base, engine, kernel } = system;
        let wanted = [
            ("base", base.as_str(), &self.base),
            ("engine", engine.as_str(), &self.engine),
            ("kernel", kernel.as_str(), &self.kernel),
            ("architecture", architecture(), &self.architecture),
        ];
        if let Some((what, is, was)) = wanted.into_iter().find(|(_, is, was)| is != was) {
            return Some(format!("it is for the {what} {was}, not {is}"));
        }
        (self.asked != asked(recipe, kernel)).then(|| "the base asks for other packages than it did".to_owned())
    }

    /// What is different in `newer`.
    pub fn changes(&self, newer: &Self) -> Changes {
        let find = |pins: &Self, name: &str| pins.packages.iter().find(|package| package.name == name).cloned();
        let mut changes = Changes::default();
        for package in &newer.packages {
            match find(self, &package.name) {
                None => changes.added.push(package.name.clone()),
                Some(old) if old.version == package.version => {}
                Some(old) => changes.changed.push((package.name.clone(), old.version, package.version.clone())),
            }
        }
        let gone = self.packages.iter().filter(|package| find(newer, &package.name).is_none());
        changes.removed = gone.map(|package| package.name.clone()).collect();
        changes
    }
}

/// How one lock differs from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Packages that are new.
    pub added: Vec<String>,
    /// Name, old and new version.
    pub changed: Vec<(String, String, String)>,
    /// Packages that are gone.
    pub removed: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, removed } = self;
        write!(f, "{} added, {} changed, {} removed", added.len(), changed.len(), removed.len())
    }
}

#[cfg(test)]
mod tests {
    use dmhost_layout::plan::{Base, Engine};

    use super::*;

    const CLOUD: System = System { base: Base::Debian13, engine: Engine::DockerIo, kernel: Kernel::Cloud };

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            archive: Archive::Main,
            path: format!("pool/main/{name}_{version}_amd64.deb"),
            size: 7,
            sha256: "0f".repeat(32),
        }
    }

    fn pins(packages: Vec<Package>) -> Pins {
        Pins::new(CLOUD, &recipe(), 5, packages)
    }

    fn recipe() -> Recipe {
        Recipe::of(CLOUD.base, CLOUD.engine, None).expect("it is part of the program")
    }

    #[test]
    fn a_lock_is_read_as_it_was_written_and_its_digest_knows_no_time() {
        let mut lock = pins(vec![package("b", "2"), package("a", "1:1+x~1")]);
        assert_eq!(lock.packages[0].name, "a");
        let text = lock.text().expect("it is written");
        assert!(text.starts_with("# Made by dmhost") && text.contains("[[package]]\nname = \"a\"\n"), "{text}");
        assert_eq!(Pins::parse(&text).expect("it is read"), lock);
        let digest = lock.digest();
        lock.asked_at = 9;
        assert_eq!(lock.digest(), digest);
        lock.packages[0].sha256 = "f0".repeat(32);
        assert_ne!(lock.digest(), digest);
    }

    #[test]
    fn a_lock_that_leads_elsewhere_is_refused() {
        let refusal = |change: &dyn Fn(&mut Package)| {
            let mut bad = package("a", "1");
            change(&mut bad);
            Pins::parse(&pins(vec![bad]).text().expect("it is written")).expect_err("it is bad").to_string()
        };
        assert_eq!(refusal(&|bad| bad.path = "../x".to_owned()), "the path of a leads elsewhere");
        assert_eq!(refusal(&|bad| bad.path = "a b".to_owned()), "the path of a leads elsewhere");
        assert_eq!(
            refusal(&|bad| bad.sha256 = "../../x".to_owned()),
            "the sha256 of a has to be 64 digits from 0 to f"
        );
        assert_eq!(
            Pins::parse("version = 2\n").expect_err("it is newer").to_string(),
            "its version is 2, and this dmhost knows 1"
        );
    }

    #[test]
    fn pins_of_another_kernel_or_list_do_not_fit() {
        let mut recipe = recipe();
        let lock = pins(vec![package("a", "1")]);
        assert_eq!(lock.misfit(CLOUD, &recipe), None);
        assert_eq!(
            lock.misfit(System { kernel: Kernel::Generic, ..CLOUD }, &recipe).as_deref(),
            Some("it is for the kernel cloud, not generic")
        );
        assert_eq!(
            lock.misfit(System { engine: Engine::DockerCe, ..CLOUD }, &recipe).as_deref(),
            Some("it is for the engine docker.io, not docker-ce")
        );
        recipe.packages.push("nano".to_owned());
        assert_eq!(lock.misfit(CLOUD, &recipe).as_deref(), Some("the base asks for other packages than it did"));
    }

    #[test]
    fn changes_are_counted() {
        let old = pins(vec![package("a", "1"), package("b", "1"), package("c", "1")]);
        let new = pins(vec![package("a", "1"), package("b", "2"), package("d", "1")]);
        assert_eq!(old.changes(&new).to_string(), "1 added, 1 changed, 1 removed");
    }
}
