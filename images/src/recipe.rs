//! Recipes: which operating system a base is. They are text in `recipes/`, built into the program.
//!
//! A recipe may inherit another: its lists come after that one's, its tables are joined with that one's, and any other value
//! of its own stands. `host.engine` adds the packages of an engine, and for Docker's own the archive they come from.
//! All of this is an input of the base's key, so whatever changes here makes a new base.

use std::collections::BTreeMap;

use anyhow::Context;
use camino::Utf8Path;
use dmhost_layout::plan::{Base, Engine, Host, Kernel};
use serde::Deserialize;
use toml::{Table, Value};

use crate::pins::architecture;
use crate::vendor::{Archive, Vendor};

/// Which base of all that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// Which recipe.
    pub base: Base,
    /// Whose engine.
    pub engine: Engine,
    /// Which of its kernels.
    pub kernel: Kernel,
}

impl System {
    /// The one that a host asks for.
    pub fn of(host: &Host) -> Self {
        Self { base: host.base, engine: host.engine, kernel: host.kernel }
    }
}

/// A recipe as written, with what it inherits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// The distribution's release, for example `trixie`.
    pub suite: String,
    /// When it was released, in seconds since 1970: the clock of a base's making.
    pub released: u64,
    /// mmdebstrap's `--variant`: what is there before `packages`.
    pub variant: String,
    /// Packages by name, without the kernel's.
    pub packages: Vec<String>,
    /// Packages of each kernel.
    pub kernels: PerKernel,
    /// Modules of each kernel's initramfs.
    pub initramfs: PerKernel,
    /// What dpkg leaves out.
    pub paths: Paths,
    /// Links that stand before any package, by absolute path; the folders they lead to are made.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Files written before the packages are installed, by absolute path.
    pub files: BTreeMap<String, String>,
    /// The base's own package sources, written last.
    pub sources: BTreeMap<String, String>,
    /// What packages do to units, taken back.
    pub units: Units,
    engines: BTreeMap<String, EnginePackages>,
    /// The engine's own archive, where it is not Debian's.
    #[serde(skip)]
    pub vendor: Option<Vendor>,
}

/// A list for each kernel of the spec.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerKernel {
    cloud: Vec<String>,
    generic: Vec<String>,
}

impl PerKernel {
    /// The list of this kernel.
    pub fn of(&self, kernel: Kernel) -> &[String] {
        match kernel {
            Kernel::Cloud => &self.cloud,
            Kernel::Generic => &self.generic,
        }
    }
}

/// dpkg's `path-exclude` and `path-include`, in this order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Globs left out.
    pub exclude: Vec<String>,
    /// Globs kept all the same.
    pub include: Vec<String>,
}

/// Units that packages enable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Units whose enablement is taken back; they are not masked.
    pub disable: Vec<String>,
}

/// What an engine is installed of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnginePackages {
    packages: Vec<String>,
    /// Packages that are kept to versions, as apt_preferences(5) writes them.
    #[serde(default)]
    versions: BTreeMap<String, String>,
    archive: Option<Archive>,
}

/// Every recipe by its name: the stem of its file.
const TEXTS: [(&str, &str); 3] = [
    ("debian", include_str!("../recipes/debian.toml")),
    ("debian-12", include_str!("../recipes/debian-12.toml")),
    ("debian-13", include_str!("../recipes/debian-13.toml")),
];

/// A recipe with what it inherits, as a table.
fn table(name: &str) -> anyhow::Result<Table> {
    let (_, text) = TEXTS.into_iter().find(|(known, _)| *known == name).context("there is no such recipe")?;
    let mut own: Table = toml::from_str(text)?;
    let Some(inherited) = own.remove("inherits") else { return Ok(own) };
    let inherited = inherited.as_str().context("`inherits` names a recipe")?;
    let mut whole = table(inherited).with_context(|| format!("it inherits {inherited}"))?;
    join(&mut whole, own);
    Ok(whole)
}

fn join(inherited: &mut Table, own: Table) {
    for (key, value) in own {
        match (inherited.get_mut(&key), value) {
            (Some(Value::Array(inherited)), Value::Array(own)) => inherited.extend(own),
            (Some(Value::Table(inherited)), Value::Table(own)) => join(inherited, own),
            (_, value) => drop(inherited.insert(key, value)),
        }
    }
}

impl Recipe {
    /// The recipe of `base` with the packages of `engine`; `key` is the file with the key of its archive.
    ///
    /// # Errors
    /// If the engine comes from an archive of its own and `key` is missing, or is not its key.
    pub fn of(base: Base, engine: Engine, key: Option<&Utf8Path>) -> anyhow::Result<Self> {
        let invalid = || format!("the recipe of {} is not valid", base.as_str());
        let mut recipe: Self = table(base.as_str()).and_then(|table| Ok(table.try_into()?)).with_context(invalid)?;
        let EnginePackages { packages, versions, archive } =
            recipe.engines.remove(engine.as_str()).context("it does not have this engine").with_context(invalid)?;
        recipe.packages.extend(packages);
        if let Some(archive) = archive {
            let vendor = Vendor::new(archive, versions, engine, key)?;
            recipe.sources.extend(vendor.files(&recipe.suite, architecture()));
            recipe.vendor = Some(vendor);
        }
        Ok(recipe)
    }

    /// The same with further packages, which have no order of their own.
    #[must_use]
    pub fn with(mut self, packages: &[String]) -> Self {
        let mut further: Vec<_> = packages.iter().filter(|name| !self.packages.contains(name)).cloned().collect();
        further.sort();
        self.packages.extend(further);
        self
    }

    /// What decides the bytes of a base of this recipe, beside its packages: every text that enters it.
    pub(crate) fn inputs(&self, base: Base) -> anyhow::Result<Vec<String>> {
        let sources = self.sources.iter().flat_map(|(path, text)| [path.clone(), text.clone()]);
        Ok(std::iter::once(table(base.as_str())?.to_string()).chain(sources).collect())
    }
}

/// Whether an engine comes from an archive of its own, whose key has to be given.
pub fn takes_key(engine: Engine) -> bool {
    match engine {
        Engine::DockerIo => false,
        Engine::DockerCe => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_parses_and_names_what_docker_does_not_pull_in() {
        for base in Base::ALL {
            let recipe = Recipe::of(base, Engine::DockerIo, None).expect("it is part of the program");
            for package in ["docker.io", "ca-certificates", "apparmor", "nftables", "openssh-server"] {
                assert!(recipe.packages.iter().any(|name| name == package), "{package} is not named");
            }
            for kernel in [Kernel::Cloud, Kernel::Generic] {
                assert_eq!(recipe.kernels.of(kernel).len(), 1);
                assert!(recipe.initramfs.of(kernel).iter().any(|module| module == "btrfs"));
            }
            let sources: String = recipe.sources.into_values().collect();
            assert!(sources.contains(&format!("Suites: {0} {0}-updates\n", recipe.suite)), "{sources}");
        }
    }

    #[test]
    fn a_recipe_is_what_it_inherits_and_what_is_its_own() {
        let names = |base| Recipe::of(base, Engine::DockerIo, None).expect("it is part of the program").packages;
        let (twelve, thirteen) = (names(Base::Debian12), names(Base::Debian13));
        let differ = |of: &[String], from: &[String]| {
            of.iter().filter(|name| !from.contains(name)).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(differ(&twelve, &thirteen), ["usr-is-merged"]);
        assert_eq!(differ(&thirteen, &twelve), ["systemd-repart", "docker-cli"]);
        let mut inherited: Table = toml::from_str("a = 1\nlist = [1]\ntable.a = 1").expect("TOML");
        join(&mut inherited, toml::from_str("a = 2\nlist = [2]\ntable.b = 2").expect("TOML"));
        assert_eq!(inherited, toml::from_str("a = 2\nlist = [1, 2]\ntable = { a = 1, b = 2 }").expect("TOML"));
    }

    #[test]
    fn an_engine_with_an_archive_of_its_own_asks_for_its_key() {
        for engine in Engine::ALL {
            let recipe = Recipe::of(Base::Debian13, engine, None);
            assert_eq!(recipe.is_err(), takes_key(engine), "{}", engine.as_str());
        }
    }
}
