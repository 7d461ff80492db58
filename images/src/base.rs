//! The base: the operating system as a tree, made once by mmdebstrap from a recipe and kept in the cache.
//!
//! Its key is the hash of every input: the pinned packages, the recipe's texts, engine and kernel, and `FORMAT` for this code.
//! The mirror is none, since a package is known by its hash.

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::Kernel;

use crate::command::Command;
use crate::machine::Privilege;
use crate::pins::{Pins, asked_packages, digest};
use crate::recipe::{Recipe, System};

/// Counts changes of the code that makes a base: whoever changes what a base holds adds one.
const FORMAT: u32 = 5;

const INSTALL: &str = include_str!("scripts/install.sh");
const FINISH: &str = include_str!("scripts/finish.sh");
/// What dpkg leaves out of every package, now and in later upgrades.
const PATHS: &str = "/etc/dpkg/dpkg.cfg.d/dmhost";

/// Everything that decides what a base holds, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseKey {
    /// Which base.
    pub system: System,
    /// SHA-256 of all inputs, 64 hexadecimal digits.
    pub digest: String,
}

impl BaseKey {
    /// The key of this base, made of these packages. Without them the key names no base: it stands in a dry run for one
    /// that is not known before the archive has been asked.
    ///
    /// # Errors
    /// None that is known: the recipe was read before.
    pub fn new(system: System, recipe: &Recipe, pins: Option<&Pins>) -> anyhow::Result<Self> {
        let System { base, engine, kernel } = system;
        let (pins, texts) = (pins.map(Pins::digest).unwrap_or_default(), recipe.inputs(base)?);
        let (format, arch) = (FORMAT.to_string(), std::env::consts::ARCH);
        let inputs = [INSTALL, FINISH, engine.as_str(), kernel.as_str(), arch, &format, &pins];
        Ok(Self { system, digest: digest(inputs.into_iter().chain(texts.iter().map(String::as_str))) })
    }

    /// Its folder's name in the cache.
    pub fn folder(&self) -> String {
        format!("{}-{}-{}", self.system.base.as_str(), self.system.kernel.as_str(), &self.digest[..16])
    }
}

/// How a base is made: the commands in their order, `tree` being where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bootstrap {
    /// mmdebstrap.
    pub install: Command,
    /// What is done to the tree afterwards; takes [`Bootstrap::sources`] as a tar.
    pub finish: Command,
    /// Files the base gets last.
    pub sources: Vec<(String, String)>,
}

impl Bootstrap {
    /// The commands that make the base of `recipe` as `root` in the folder `aside`, of the packages in the flat archive
    /// `packages` there.
    pub fn new(recipe: &Recipe, kernel: Kernel, privilege: Privilege, aside: &Utf8Path) -> Self {
        let names = asked_packages(recipe, kernel);
        let (tree, packages) = (aside.join("root"), aside.join("packages"));
        // The clock of what is stamped while the base is made: the initramfs, the accounts.
        let epoch = format!("SOURCE_DATE_EPOCH={}", recipe.released);
        let mut argv: Vec<String> = ["sh", "-euc", INSTALL, "install", aside.as_str()].map(str::to_owned).into();
        argv.extend([
            "env".to_owned(),
            epoch.clone(),
            // What the kernel's own package does is done once at the end, when all that goes into it is there.
            "INITRD=No".to_owned(),
            "mmdebstrap".to_owned(),
            // Inside our own namespaces, where we are root: this mode makes no device nodes, which a namespace may not.
            "--mode=unshare".to_owned(),
            "--format=directory".to_owned(),
            format!("--variant={}", recipe.variant),
            format!("--include={}", names.join(",")),
            "--skip=check/qemu".to_owned(),
        ]);
        // A base that is not finished is thrown away: nothing has to reach the disk before that. `finish.sh` takes it back.
        argv.push("--dpkgopt=force-unsafe-io".to_owned());
        // Not by `--dpkgopt`, for which mmdebstrap sends every essential package through a filter in Python; what it unpacks
        // itself is taken away again before dpkg installs it once more.
        let (exclude, include) = (recipe.paths.exclude.iter(), recipe.paths.include.iter());
        let paths = exclude.clone().map(|glob| format!("path-exclude={glob}\n"));
        let paths: String = paths.chain(include.map(|glob| format!("path-include={glob}\n"))).collect();
        argv.push(format!("--setup-hook={}", write_file(PATHS, &paths)));
        argv.push(exclude.fold("--extract-hook=rm -rf".to_owned(), |text, glob| text + " \"$1\"" + glob));
        argv.extend(
            recipe
                .links
                .iter()
                .map(|(path, to)| format!("--setup-hook=mkdir -p \"$1/{to}\" && ln -s '{to}' \"$1{path}\"")),
        );
        let modules = recipe.initramfs.of(kernel).iter().fold(String::new(), |text, module| text + module + "\n");
        let files = recipe.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        for (path, text) in files.chain([("/etc/initramfs-tools/modules", modules.as_str())]) {
            argv.push(format!("--essential-hook={}", write_file(path, text)));
        }
        argv.push("--customize-hook=chroot \"$1\" update-initramfs -c -k all".to_owned());
        argv.extend([recipe.suite.clone(), aside.join("overlay/root").to_string()]);
        // Each package has been verified by its hash, which Debian's signature vouched for when it was pinned.
        argv.push(format!("deb [trusted=yes] copy://{packages} ./"));
        let finish = ["env", &epoch, "sh", "-euc", FINISH, "finish", tree.as_str()].into_iter().map(str::to_owned);
        Self {
            install: Command::privileged(privilege, argv),
            finish: Command::privileged(privilege, finish.chain(recipe.units.disable.iter().cloned())),
            sources: recipe.sources.iter().map(|(path, text)| (path.clone(), text.clone())).collect(),
        }
    }
}

/// A hook of mmdebstrap: the tree is `$1`. What begins as a script may be run.
fn write_file(path: &str, text: &str) -> String {
    let text = text.trim_start();
    let quoted = text.replace('\'', r"'\''");
    let mode = if text.starts_with("#!") { "755" } else { "644" };
    format!("mkdir -p \"$(dirname \"$1{path}\")\" && printf %s '{quoted}' >\"$1{path}\" && chmod {mode} \"$1{path}\"")
}

/// A base in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseTree {
    /// The tree itself.
    pub root: Utf8PathBuf,
}

impl BaseTree {
    /// The kernel's release, for example `6.12.0-1-cloud-amd64`.
    ///
    /// # Errors
    /// If there is not exactly one kernel in `/boot`.
    pub fn release(&self) -> anyhow::Result<String> {
        let boot = self.root.join("boot");
        let mut found = Vec::new();
        for entry in boot.read_dir_utf8().with_context(|| format!("could not look for kernels in {boot}"))? {
            let entry = entry.with_context(|| format!("could not look for kernels in {boot}"))?;
            found.extend(entry.file_name().strip_prefix("vmlinuz-").map(str::to_owned));
        }
        match (found.pop(), found.is_empty()) {
            (Some(release), true) => Ok(release),
            (None, _) => anyhow::bail!("the base in {} has no kernel", self.root),
            (Some(_), false) => anyhow::bail!("the base in {} has several kernels", self.root),
        }
    }

    /// The kernel of this release.
    pub fn kernel(&self, release: &str) -> Utf8PathBuf {
        self.root.join(format!("boot/vmlinuz-{release}"))
    }

    /// The initramfs of this release.
    pub fn initrd(&self, release: &str) -> Utf8PathBuf {
        self.root.join(format!("boot/initrd.img-{release}"))
    }

    /// systemd-boot for UEFI on x86-64.
    pub fn boot_loader(&self) -> Utf8PathBuf {
        self.root.join("usr/lib/systemd/boot/efi/systemd-bootx64.efi")
    }

    /// Every package as `name version architecture`, in the order of dpkg's status file.
    ///
    /// # Errors
    /// If that file cannot be read.
    pub fn packages(&self) -> anyhow::Result<Vec<String>> {
        let status =
            fs_err::read_to_string(self.root.join("var/lib/dpkg/status")).context("the base has no package list")?;
        let field = |stanza: &str, key: &str| stanza.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
        let line = |stanza| {
            Some(format!(
                "{} {} {}",
                field(stanza, "Package: ")?,
                field(stanza, "Version: ")?,
                field(stanza, "Architecture: ")?
            ))
        };
        Ok(status.split("\n\n").filter_map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use dmhost_layout::plan::{Base, Engine};

    use super::*;

    fn recipe() -> Recipe {
        Recipe::of(Base::Debian13, Engine::DockerIo, None).expect("it is part of the program")
    }

    #[test]
    fn the_key_depends_on_the_kernel_and_the_packages() {
        let system = System { base: Base::Debian13, engine: Engine::DockerIo, kernel: Kernel::Cloud };
        let mut recipe = recipe();
        let key =
            |system, recipe: &Recipe, pins: Option<&Pins>| BaseKey::new(system, recipe, pins).expect("it is read");
        let cloud = key(system, &recipe, None);
        assert_eq!(cloud.digest.len(), 64);
        assert_ne!(cloud.digest, key(System { kernel: Kernel::Generic, ..system }, &recipe, None).digest);
        assert_ne!(cloud.digest, key(System { base: Base::Debian12, ..system }, &recipe, None).digest);
        let pins = Pins::new(system, &recipe, 0, Vec::new());
        assert_ne!(cloud, key(system, &recipe, Some(&pins)));
        recipe.sources.insert("/etc/apt/keyrings/docker.asc".to_owned(), "a key".to_owned());
        assert_ne!(cloud, key(system, &recipe, None));
        assert!(cloud.folder().starts_with("debian-13-cloud-"));
    }

    #[test]
    fn every_package_is_named_to_mmdebstrap() {
        let recipe = recipe();
        let bootstrap = Bootstrap::new(&recipe, Kernel::Generic, Privilege::Root, Utf8Path::new("/cache"));
        let argv = bootstrap.install.argv;
        let include = argv.iter().find_map(|word| word.strip_prefix("--include=")).expect("there is one");
        assert!(include.contains("docker.io,docker-cli") && include.ends_with("linux-image-amd64"), "{include}");
        assert_eq!(argv.last().map(String::as_str), Some("deb [trusted=yes] copy:///cache/packages ./"));
        assert!(argv.iter().any(|word| word.contains("usb_storage")));
    }

    #[test]
    fn hooks_quote_their_text() {
        assert_eq!(
            write_file("/a/b", "\n#!it's"),
            r#"mkdir -p "$(dirname "$1/a/b")" && printf %s '#!it'\''s' >"$1/a/b" && chmod 755 "$1/a/b""#
        );
    }
}
