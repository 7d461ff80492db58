//! An engine from an archive of its own: a real one, signed by a key made here, beside Debian's.

use std::process::Command;

use anyhow::{Context, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::{Base, Engine, Kernel};
use sha2::{Digest, Sha256};

use crate::archive::Apt;
use crate::machine::{MachineError, Privilege};
use crate::pins::{Archive, Package, architecture, hex};
use crate::progress::Event;
use crate::recipe::Recipe;
use crate::sources::Mirror;
use crate::vendor::{self, Vendor};

impl Drop for Bed {
    /// gpg leaves its agent running.
    fn drop(&mut self) {
        let _ = run("gpgconf", &["--kill", "all"], &self.path.join("keys"));
    }
}

fn run(program: &str, words: &[&str], home: &Utf8Path) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).env("GNUPGHOME", home).output();
    let output = output.with_context(|| format!("could not run {program}: is it installed?"))?;
    ensure!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A folder with an archive and a key.
struct Bed {
    _folder: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Bed {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Utf8PathBuf::try_from(folder.path().to_owned())?;
        for name in ["keys", "archive/pool", "archive/dists/trixie/stable", "apt"] {
            fs_err::create_dir_all(path.join(name))?;
        }
        run("chmod", &["700", path.join("keys").as_str()], &path)?;
        let bed = Self { _folder: folder, path };
        // As Docker's own: a key that certifies, and a subkey of it that signs.
        bed.gpg(&["--quick-generate-key", "Docker <Docker@example.org>", "rsa2048", "cert", "0"])?;
        let (_, fingerprint) = bed.key("Docker")?;
        bed.gpg(&["--quick-add-key", &fingerprint, "rsa2048", "sign", "0"])?;
        bed.gpg(&["--quick-generate-key", "Somebody <Somebody@example.org>", "ed25519", "sign", "0"])?;
        Ok(bed)
    }

    fn gpg(&self, words: &[&str]) -> anyhow::Result<String> {
        let quiet = ["--batch", "--quiet", "--no-tty", "--passphrase", "", "--pinentry-mode", "loopback"];
        run("gpg", &[&quiet, words].concat(), &self.path.join("keys"))
    }

    /// A key's file, and its fingerprint in gpg's words.
    fn key(&self, name: &str) -> anyhow::Result<(Utf8PathBuf, String)> {
        let file = self.path.join(format!("{name}.asc"));
        fs_err::write(&file, self.gpg(&["--armor", "--export", name])?)?;
        let list = self.gpg(&["--with-colons", "--list-keys", name])?;
        let line =
            list.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).context("a key has a fingerprint")?;
        Ok((file, line.trim_end_matches(':').to_owned()))
    }

    /// Makes the archive of these packages, signed by this key.
    fn publish(&self, packages: &[(&str, &str)], signer: &str) -> anyhow::Result<()> {
        let (archive, architecture) = (self.path.join("archive"), architecture());
        let mut index = String::new();
        for (name, version) in packages {
            let tree = self.path.join(format!("{name}-{version}"));
            fs_err::create_dir_all(tree.join("DEBIAN"))?;
            let control = format!(
                "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: x <x@example.org>\n\
                 Description: x\n"
            );
            fs_err::write(tree.join("DEBIAN/control"), &control)?;
            let file = format!("pool/{name}_{}_{architecture}.deb", version.replace(':', "-"));
            run("dpkg-deb", &["--build", tree.as_str(), archive.join(&file).as_str()], &self.path)?;
            let bytes = fs_err::read(archive.join(&file))?;
            let (size, hash) = (bytes.len(), hex(&Sha256::digest(&bytes)));
            index += &format!("{control}Filename: {file}\nSize: {size}\nSHA256: {hash}\n\n");
        }
        let place = format!("stable/binary-{architecture}/Packages");
        let dist = archive.join("dists/trixie");
        fs_err::create_dir_all(dist.join(&place).parent().context("a file is in a folder")?)?;
        fs_err::write(dist.join(&place), &index)?;
        let (size, hash) = (index.len(), hex(&Sha256::digest(&index)));
        let release = format!(
            "Suite: trixie\nCodename: trixie\nComponents: stable\nArchitectures: {architecture}\n\
             Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {hash} {size} {place}\n"
        );
        fs_err::write(dist.join("Release"), release)?;
        let (out, release) = (dist.join("InRelease"), dist.join("Release"));
        let words = ["--yes", "--local-user", signer, "--output", out.as_str(), "--clearsign", release.as_str()];
        self.gpg(&words).map(drop)
    }

    /// The recipe with this archive in place of the vendor's.
    fn recipe(&self, key: &str) -> anyhow::Result<Recipe> {
        let (file, fingerprint) = self.key(key)?;
        let uri = format!("file:{}", self.path.join("archive"));
        let archive = vendor::Archive { uri, component: "stable".to_owned(), fingerprint };
        let mut recipe = Recipe::of(Base::Debian13, Engine::DockerIo, None)?;
        let versions = [("docker-ce".to_owned(), "5:28.5.*".to_owned())].into();
        recipe.vendor = Some(Vendor::new(archive, versions, Engine::DockerCe, Some(&file))?);
        recipe.packages = ["docker-ce", "containerd.io"].map(str::to_owned).to_vec();
        Ok(recipe)
    }

    fn resolve(&self, recipe: &Recipe) -> anyhow::Result<Vec<Package>> {
        let mirror = Mirror::of_this_machine();
        let apt = Apt::new(&self.path.join("apt"), recipe, &mirror, Privilege::of_this_process())?;
        let packages = apt.resolve(recipe, Kernel::Cloud, &mut |_: Event<'_>| {})?;
        for package in packages.iter().filter(|package| package.archive == Archive::Engine) {
            let to = self.path.join(&package.name);
            apt.fetch(&[(package, to.clone())], &mut |_: Event<'_>| {})?;
            ensure!(hex(&Sha256::digest(fs_err::read(&to)?)) == package.sha256, "{to} is another file");
        }
        Ok(packages)
    }
}

#[test]
fn the_engine_comes_from_its_own_archive_at_its_version_and_by_its_key_alone() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let packages = [("docker-ce", "5:28.5.9-1"), ("docker-ce", "5:29.0.1-1"), ("containerd.io", "1.7.28-1")];
    bed.publish(&packages, "Docker")?;
    let recipe = bed.recipe("Docker")?;
    let found = bed.resolve(&recipe)?;
    let engine = found.iter().filter(|package| package.archive == Archive::Engine);
    let mut engine: Vec<_> = engine.map(|package| (package.name.as_str(), package.version.as_str())).collect();
    engine.sort_unstable();
    // 29.0.1 is newer, and not the one that layouts are rendered for.
    assert_eq!(engine, [("containerd.io", "1.7.28-1"), ("docker-ce", "5:28.5.9-1")]);
    assert!(found.iter().any(|package| package.archive == Archive::Main && package.name == "base-files"));

    bed.publish(&packages, "Somebody")?;
    let error = bed.resolve(&recipe).expect_err("another key signs");
    let known = error.downcast_ref::<MachineError>();
    assert!(matches!(known, Some(MachineError::BadSignature { .. })), "{error:?}");
    Ok(())
}

#[test]
fn another_key_than_the_archives_is_refused_by_name() -> anyhow::Result<()> {
    let bed = Bed::new()?;
    let ((docker, wanted), (_, other)) = (bed.key("Docker")?, bed.key("Somebody")?);
    let archive = |fingerprint: &str| vendor::Archive {
        uri: "https://archive.example".to_owned(),
        component: "stable".to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let refusal = |fingerprint: &str, key: Option<&Utf8Path>| {
        let vendor = Vendor::new(archive(fingerprint), [].into(), Engine::DockerCe, key);
        format!("{:#}", vendor.expect_err("it is refused"))
    };
    assert_eq!(
        refusal(&other, Some(&docker)),
        format!(
            "{docker} is another key than that of https://archive.example: its fingerprint is {wanted}, and not {other}"
        )
    );
    assert_eq!(
        refusal(&wanted, None),
        format!(
            "the engine docker-ce comes from https://archive.example, whose key no package of Debian's has: give it with \
             `--engine-key FILE`, the file https://archive.example/gpg; it is held against the fingerprint {wanted}"
        )
    );
    let vendor = Vendor::new(archive(&wanted), [].into(), Engine::DockerCe, Some(&docker))?;
    let files = vendor.files("trixie", "amd64");
    assert_eq!(files["/etc/apt/keyrings/docker.asc"], fs_err::read_to_string(&docker)?);
    assert_eq!(
        files["/etc/apt/sources.list.d/docker.sources"],
        "Types: deb\nURIs: https://archive.example\nSuites: trixie\nComponents: stable\nArchitectures: amd64\n\
         Signed-By: /etc/apt/keyrings/docker.asc\n"
    );
    Ok(())
}
