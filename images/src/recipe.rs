//! Recipes: which operating system a base is. They are text in `recipes/`, built into the program.
//!
//! A recipe's text is an input of the base's key, so whatever changes here makes a new base.

use std::collections::BTreeMap;

use anyhow::Context;
use dmhost_layout::plan::{Base, Kernel};
use serde::Deserialize;

/// A recipe as written.
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
    /// Files written before the packages are installed, by absolute path.
    pub files: BTreeMap<String, String>,
    /// The base's own package sources, written last.
    pub sources: BTreeMap<String, String>,
    /// What packages do to units, taken back.
    pub units: Units,
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

/// The text of a base's recipe.
pub fn text(base: Base) -> &'static str {
    match base {
        Base::Debian13 => include_str!("../recipes/debian-13.toml"),
    }
}

impl Recipe {
    /// The recipe of `base`.
    ///
    /// # Errors
    /// If the text in this program is not a recipe; a test reads them all.
    pub fn of(base: Base) -> anyhow::Result<Self> {
        toml::from_str(text(base)).with_context(|| format!("the recipe of {} is not valid", base.as_str()))
    }

    /// The same with further packages, which have no order of their own.
    #[must_use]
    pub fn with(mut self, packages: &[String]) -> Self {
        let mut further: Vec<_> = packages.iter().filter(|name| !self.packages.contains(name)).cloned().collect();
        further.sort();
        self.packages.extend(further);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_parses_and_names_what_docker_does_not_pull_in() {
        let recipe = Recipe::of(Base::Debian13).expect("it is part of the program");
        for package in ["docker-cli", "ca-certificates", "apparmor", "nftables", "openssh-server"] {
            assert!(recipe.packages.iter().any(|name| name == package), "{package} is not named");
        }
        for kernel in [Kernel::Cloud, Kernel::Generic] {
            assert_eq!(recipe.kernels.of(kernel).len(), 1);
            assert!(recipe.initramfs.of(kernel).iter().any(|module| module == "btrfs"));
        }
    }
}
