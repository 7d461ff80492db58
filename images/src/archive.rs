//! Debian's archives, and an engine's own, by apt's programs: which packages a recipe means today, and their files by hash.
//!
//! apt runs with a configuration of its own: of the machine's it keeps how to reach the network, and nothing else. What
//! Debian's archive says is verified with [`KEYRING`] by apt, what an engine's says with the key that was given; files that are pinned are verified by their hash alone.

use std::time::Duration;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::Kernel;

use crate::command::{Command, Said};
use crate::machine::{MachineError, Privilege, search_path};
use crate::pins::{Archive, Package, architecture, asked_packages};
use crate::progress::{Event, Progress};
use crate::recipe::Recipe;
use crate::sources::{KEYRING, Mirror};
use crate::vendor::Vendor;

/// How the network is reached: the one part of the machine's configuration that apt keeps here.
const KEPT: [&str; 5] =
    ["Acquire::http", "Acquire::https", "Acquire::Retries", "Acquire::ForceIPv4", "Acquire::ForceIPv6"];

/// A folder with apt's state and configuration, for one mirror.
#[derive(Debug)]
pub(crate) struct Apt<'a> {
    folder: Utf8PathBuf,
    mirror: &'a Mirror,
    vendor: Option<&'a Vendor>,
    privilege: Privilege,
}

impl<'a> Apt<'a> {
    /// Writes the configuration into `folder`; lists that are there stay, and are asked for again only if they changed.
    pub(crate) fn new(
        folder: &Utf8Path,
        recipe: &'a Recipe,
        mirror: &'a Mirror,
        privilege: Privilege,
    ) -> anyhow::Result<Self> {
        let vendor = recipe.vendor.as_ref();
        let mut lines = mirror.lines(&recipe.suite);
        if let Some(vendor) = vendor {
            lines.push(vendor.line(&recipe.suite, &vendor.write_key(folder)?));
        }
        for name in ["lists/partial", "archives/partial", "state"] {
            fs_err::create_dir_all(folder.join(name))?;
        }
        fs_err::write(folder.join("sources.list"), lines.join("\n") + "\n")?;
        fs_err::write(folder.join("preferences"), vendor.map(Vendor::preferences).unwrap_or_default())?;
        fs_err::write(folder.join("apt.conf"), configuration(folder, &network()?))?;
        Ok(Self { folder: folder.to_owned(), mirror, vendor, privilege })
    }

    fn command(&self, words: &[&str]) -> Command {
        let config = format!("APT_CONFIG={}", self.folder.join("apt.conf"));
        let words = ["env", &config].into_iter().chain(words.iter().copied());
        Command::privileged(self.privilege, words)
    }

    /// Asks the archive for the packages of a recipe.
    ///
    /// # Errors
    /// If it cannot be reached, is not signed with its key, or has no such packages.
    pub(crate) fn resolve(
        &self,
        recipe: &Recipe,
        kernel: Kernel,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<Vec<Package>> {
        let lists = ["lists", "lists/partial"].map(|name| self.folder.join(name));
        let before = bytes_in(&lists);
        self.command(&["apt-get", "--quiet", "update"])
            .run_metered(Vec::new(), Some(METER), |said| match said {
                Said::Line(line) => progress.event(Event::Line(line)),
                Said::Tick => {
                    let done = bytes_in(&lists).saturating_sub(before);
                    progress.event(Event::Fetched { done, total: None });
                }
            })
            .map_err(name_bad_signatures)
            .context("could not ask the package archive what it has")?;
        // What mmdebstrap's variant `apt` holds before the packages that are asked for.
        let mut words = vec!["apt-get", "-qq", "--print-uris", "--yes", "install", "?essential", "apt"];
        words.extend(asked_packages(recipe, kernel));
        let mut packages = Vec::new();
        let mut strange = None;
        self.command(&words)
            .run(Vec::new(), |said| {
                if said.starts_with('\'') {
                    match self.package(said) {
                        Ok(package) => packages.push(package),
                        Err(error) => strange = Some(error),
                    }
                } else {
                    progress.event(Event::Line(said));
                }
            })
            .context("could not tell which packages the base needs")?;
        match strange {
            Some(error) => Err(error),
            None => Ok(packages),
        }
    }

    /// `'URI' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:HASH`.
    fn package(&self, line: &str) -> anyhow::Result<Package> {
        let parse = || {
            let mut words = line.split_whitespace();
            let uri = words.next()?.trim_matches('\'');
            let mut parts = words.next()?.strip_suffix(".deb")?.split('_');
            let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
            let size = words.next()?.parse().ok()?;
            let sha256 = words.next()?.strip_prefix("SHA256:")?;
            let (archive, path) = self.below(uri)?;
            Some(Package {
                name: name.to_owned(),
                version: version.replace("%3a", ":"),
                architecture: architecture.to_owned(),
                archive,
                path: path.to_owned(),
                size,
                sha256: sha256.to_owned(),
            })
        };
        parse().with_context(|| format!("apt says what is not understood: {line}"))
    }

    /// Fetches packages, each to the path beside it.
    ///
    /// # Errors
    /// If one cannot be had. A [`MachineError`] tells an archive that no longer has it from a network that is gone.
    pub(crate) fn fetch(&self, wanted: &[(&Package, Utf8PathBuf)], progress: &mut dyn Progress) -> anyhow::Result<()> {
        let total = wanted.iter().map(|(package, _)| package.size).sum();
        let meter = |progress: &mut dyn Progress| {
            // What apt has not begun is not there yet.
            let done = wanted.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
            progress.event(Event::Fetched { done, total: Some(total) });
        };
        meter(progress);
        // The kernel takes 128 KiB in one word, and 2 MiB in all: a few hundred packages at a time are far from it.
        for some in wanted.chunks(500) {
            let mut words = vec!["/usr/lib/apt/apt-helper".to_owned(), "download-file".to_owned()];
            for (package, path) in some {
                words.extend([self.uri(package)?, path.to_string()]);
                words.push(format!("SHA256:{}", package.sha256));
            }
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let mut gone = None;
            let ran = self.command(&words).run_metered(Vec::new(), Some(METER), |said| {
                let Said::Line(said) = said else { return meter(progress) };
                if said.starts_with("E: Failed to fetch") && GONE.iter().any(|words| said.contains(words)) {
                    gone.get_or_insert_with(|| {
                        let uri = said.split_whitespace().nth(4).unwrap_or_default();
                        uri.rsplit('/').next().unwrap_or(uri).to_owned()
                    });
                }
                progress.event(Event::Line(said));
            });
            ran.map_err(|error| match gone {
                Some(file) => error.context(MachineError::PinGone { file }),
                None => error,
            })
            .context("could not fetch packages")?;
        }
        meter(progress);
        Ok(())
    }
}

/// How often what has come is measured.
const METER: Duration = Duration::from_millis(250);

/// Bytes of the files in these folders.
fn bytes_in(folders: &[Utf8PathBuf]) -> u64 {
    let files = folders.iter().filter_map(|folder| folder.read_dir_utf8().ok()).flatten();
    // A file that apt renames meanwhile is counted next time.
    files
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

/// How apt's methods say that a file is not there.
const GONE: [&str; 3] = ["404", "File not found", "410"];

/// A mirror that is not Debian's, or not whole, is not one to go on with.
fn name_bad_signatures(error: anyhow::Error) -> anyhow::Error {
    const WORDS: [&str; 6] =
        ["NO_PUBKEY", "is not signed", "BADSIG", "EXPKEYSIG", "invalid signature", "Clearsigned file isn't valid"];
    let said = error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let found = said.lines().find(|line| WORDS.iter().any(|words| line.contains(words))).map(str::to_owned);
    match found {
        Some(line) => error.context(MachineError::BadSignature { detail: line.trim().to_owned() }),
        None => error,
    }
}

/// Lines of the machine's configuration that tell how to reach the network.
fn network() -> anyhow::Result<String> {
    let output = duct::cmd!("apt-config", "dump", "Acquire", "--format", "%F \"%v\";%n")
        .env("PATH", search_path())
        .stdout_capture()
        .stderr_capture()
        .run()
        .context("could not ask apt-config how the network is reached")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let kept = text.lines().filter(|line| {
        let key = line.split(' ').next().unwrap_or_default();
        KEPT.iter().any(|kept| key == *kept || key.strip_prefix(kept).is_some_and(|rest| rest.starts_with("::")))
    });
    // Commands to be run at apt's discretion are not how a network is reached.
    Ok(kept.filter(|line| !line.contains("ProxyAutoDetect")).map(|line| format!("{line}\n")).collect())
}

fn configuration(folder: &Utf8Path, network: &str) -> String {
    format!(
        "{network}Acquire::http::Proxy::127.0.0.1 \"DIRECT\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::ForceHash \"SHA256\";\n\
         APT::Update::Error-Mode \"any\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Install-Recommends \"false\";\n\
         APT::Sandbox::User \"root\";\n\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::preferences \"{folder}/preferences\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::trusted \"{KEYRING}\";\n\
         Dir::Etc::trustedparts \"/dev/null\";\n\
         Dir::State \"{folder}/state\";\n\
         Dir::State::lists \"{folder}/lists\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{folder}\";\n\
         Dir::Cache::archives \"{folder}/archives\";\n\
         Dir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\n\
         Debug::NoLocking \"true\";\n",
        arch = architecture()
    )
}

impl Apt<'_> {
    /// The URI of an archive; `None`: the recipe has no such archive.
    fn base(&self, archive: Archive) -> Option<&str> {
        let uri = match archive {
            Archive::Main => &self.mirror.archive,
            // Where the machine names no archive of security updates, Debian's own has what was pinned.
            Archive::Security => self.mirror.security.as_deref().unwrap_or(crate::sources::SECURITY),
            Archive::Engine => &self.vendor?.archive.uri,
        };
        Some(uri.trim_end_matches('/'))
    }

    /// Where a package is.
    fn uri(&self, package: &Package) -> anyhow::Result<String> {
        let base =
            self.base(package.archive).with_context(|| format!("the recipe has no archive with {}", package.name))?;
        Ok(format!("{base}/{}", package.path))
    }

    /// The archive that a URI is below, and the rest.
    fn below<'u>(&self, uri: &'u str) -> Option<(Archive, &'u str)> {
        // The longer first: one may be the beginning of the other.
        [Archive::Engine, Archive::Security, Archive::Main].into_iter().find_map(|archive| {
            let rest = uri.strip_prefix(self.base(archive)?)?.strip_prefix('/')?;
            Some((archive, rest.trim_start_matches('/')))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_apt_becomes_a_pin() {
        let mirror = Mirror::default();
        let apt = Apt { folder: "/nowhere".into(), mirror: &mirror, vendor: None, privilege: Privilege::Root };
        let hash = "ab".repeat(32);
        let line = format!(
            "'http://deb.debian.org/debian-security/pool/main/o/openssh/openssh-server_1%3a10.0p1-7_amd64.deb' \
             openssh-server_1%3a10.0p1-7_amd64.deb 5 SHA256:{hash}"
        );
        let package = apt.package(&line).expect("it is understood");
        assert_eq!((package.name.as_str(), package.version.as_str()), ("openssh-server", "1:10.0p1-7"));
        assert_eq!((package.archive, package.size, package.sha256), (Archive::Security, 5, hash));
        assert_eq!(package.path, "pool/main/o/openssh/openssh-server_1%3a10.0p1-7_amd64.deb");
        let error = apt.package("'ftp://elsewhere/x' x").expect_err("it is not ours");
        assert_eq!(error.to_string(), "apt says what is not understood: 'ftp://elsewhere/x' x");
    }
}
