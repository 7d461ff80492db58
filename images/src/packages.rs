//! Package files in the cache, each named for its SHA-256, and a local archive made of those that a base is pinned to.
//!
//! Nothing is taken on trust: a file is hashed when it comes and again each time a base is made of it.

use std::io::Read;
use std::num::NonZero;
use std::time::SystemTime;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use crate::archive::Apt;
use crate::cache::Exclusive;
use crate::command::Command;
use crate::machine::{MachineError, Privilege};
use crate::pins::{Package, Pins, architecture, hex};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::sources::Mirror;

/// Tells of the files named after `$1`, which they are in, what `Packages` says of them: NAME, SIZE, SHA256 of each.
const INDEX: &str = "cd \"$1\"; shift; while [ $# -gt 0 ]; do dpkg-deb --field \"$1\"; \
     printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' \"$1\" \"$2\" \"$3\"; shift 3; done";

/// The folder of package files in a cache.
pub(crate) fn folder(cache_dir: &Utf8Path) -> Utf8PathBuf {
    cache_dir.join("packages")
}

/// Where the cache keeps a package.
pub(crate) fn path(cache_dir: &Utf8Path, package: &Package) -> Utf8PathBuf {
    folder(cache_dir).join(format!("{}.deb", package.sha256))
}

/// Packages that the cache does not have, or has damaged: those are removed.
pub(crate) fn missing<'p>(cache_dir: &Utf8Path, pins: &'p Pins) -> anyhow::Result<Vec<&'p Package>> {
    let mut missing = Vec::new();
    for package in &pins.packages {
        let path = path(cache_dir, package);
        if path.is_file() {
            if sha256_of(&path)? == package.sha256 {
                // Used now: what is not used for longest is the first to go.
                fs_err::File::open(&path)?.file().set_modified(SystemTime::now())?;
                continue;
            }
            fs_err::remove_file(&path)?;
        }
        missing.push(package);
    }
    Ok(missing)
}

fn sha256_of(path: &Utf8Path) -> anyhow::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Sees to it that the cache has every package of `pins`, and tells how many bytes had to be fetched.
///
/// # Errors
/// If one is missing and `offline`, or cannot be fetched. What came before the failure is kept.
pub(crate) fn fetch(
    cache_dir: &Utf8Path,
    pins: &Pins,
    recipe: &Recipe,
    mirror: &Mirror,
    privilege: Privilege,
    offline: bool,
    progress: &mut dyn Progress,
) -> anyhow::Result<u64> {
    let folder = folder(cache_dir);
    fs_err::create_dir_all(&folder)?;
    let _lock = Exclusive::wait(&cache_dir.join("packages.lock"), progress)?;
    let missing = missing(cache_dir, pins)?;
    let Some(first) = missing.first() else { return Ok(0) };
    if offline {
        let detail = format!(
            "{} of {} packages, the first being {} {}",
            missing.len(),
            pins.packages.len(),
            first.name,
            first.version
        );
        return Err(MachineError::NotCached { detail }.into());
    }
    let coming = folder.join("coming");
    fs_err::create_dir_all(&coming)?;
    let _apt = Exclusive::wait(&cache_dir.join("archive.lock"), progress)?;
    let apt = Apt::new(&cache_dir.join("archive"), recipe, mirror, privilege)?;
    let wanted: Vec<_> =
        missing.iter().map(|package| (*package, coming.join(format!("{}.deb", package.sha256)))).collect();
    let fetched = apt.fetch(&wanted, progress);
    // Whole files are kept even where others did not come: the next build goes on from there.
    for (package, came) in &wanted {
        if came.is_file() && sha256_of(came)? == package.sha256 {
            fs_err::rename(came, path(cache_dir, package))?;
        }
    }
    // A folder of leavings of apt's own; the next fetch makes it anew.
    let _ = fs_err::remove_dir_all(&coming);
    fetched?;
    let left = self::missing(cache_dir, pins)?;
    anyhow::ensure!(left.is_empty(), "{} packages did not come, though apt says so", left.len());
    Ok(wanted.iter().map(|(package, _)| package.size).sum())
}

/// A flat archive of all pinned packages in `folder`, by hard links to the cache: what mmdebstrap installs from. It is of this
/// suite, since mmdebstrap 1.5 (Debian 13) takes essential packages from archives of that name alone.
///
/// # Errors
/// If a package is not there, or dpkg-deb cannot read it.
pub(crate) fn local_archive(cache_dir: &Utf8Path, pins: &Pins, suite: &str, folder: &Utf8Path) -> anyhow::Result<()> {
    fs_err::create_dir_all(folder)?;
    let mut files = Vec::new();
    for package in &pins.packages {
        let Package { name, version, architecture, size, sha256, .. } = package;
        let file = format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a"));
        fs_err::hard_link(path(cache_dir, package), folder.join(&file))?;
        files.push([file, size.to_string(), sha256.clone()]);
    }
    // dpkg-deb unpacks of each what it tells: as many at a time as there are processors.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let index_of = |files: &[[String; 3]]| -> anyhow::Result<String> {
        let words = ["sh", "-euc", INDEX, "index", folder.as_str()].map(str::to_owned);
        let mut text = String::new();
        Command::mortal(words.into_iter().chain(files.iter().flatten().cloned()))
            .read(|stream| Ok(stream.read_to_string(&mut text)?))
            .context("could not index the packages of the base")?;
        Ok(text)
    };
    let parts: Vec<anyhow::Result<String>> = std::thread::scope(|scope| {
        let parts = files.chunks(files.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts.map(|files| scope.spawn(|| index_of(files))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let list = parts.into_iter().collect::<anyhow::Result<String>>()?;
    let index = folder.join("Packages");
    fs_err::write(&index, list)?;
    let (hash, size) = (sha256_of(&index)?, fs_err::metadata(&index)?.len());
    let architecture = architecture();
    let release = format!(
        "Origin: dmhost\nSuite: {suite}\nCodename: {suite}\nDate: Sat, 01 Jan 2000 00:00:00 UTC\n\
         Architectures: {architecture} all\nSHA256:\n {hash} {size} Packages\n"
    );
    Ok(fs_err::write(folder.join("Release"), release)?)
}
