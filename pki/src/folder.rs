//! The PKI folder as files: who may read it, how a file is read, and how one is written so that no other process
//! and no interruption ever sees half of it.

use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use zeroize::Zeroizing;

/// Mode of the folder and those below it.
const FOLDER_MODE: u32 = 0o700;
/// Mode of a key.
pub(crate) const KEY_MODE: u32 = 0o600;
/// Mode of a certificate.
pub(crate) const CERTIFICATE_MODE: u32 = 0o644;

/// What messages call the folder of a PKI.
pub(crate) const PKI: &str = "the PKI folder";

/// A PKI folder that only its owner can enter.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    dir: Utf8PathBuf,
}

impl Folder {
    /// The folder, if it is there, `what` being its name in messages; an error if others may enter it or it is something else.
    pub(crate) fn open(dir: &Utf8Path, what: &str) -> Result<Option<Self>> {
        let metadata = match fs_err::metadata(dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{what} cannot be read")),
        };
        if !metadata.is_dir() {
            bail!("{dir} should be a folder and is something else: move it away");
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            bail!(
                "{what} {dir} has mode {mode:04o}, so others on this machine may have read its keys: \
                 `chmod 700 {dir}` if you trust them, else remove it and make new certificates"
            );
        }
        Ok(Some(Self { dir: dir.to_owned() }))
    }

    /// The folder, made if it is missing.
    pub(crate) fn create(dir: &Utf8Path, what: &str) -> Result<Self> {
        match DirBuilder::new().mode(FOLDER_MODE).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot make {what} {dir}")),
        }
        Self::open(dir, what)?.with_context(|| format!("{what} {dir} was removed while it was being filled"))
    }

    /// A folder that is not there yet: reads find nothing.
    pub(crate) fn absent(dir: &Utf8Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The absolute or given path of a file in it.
    pub(crate) fn path(&self, relative: &Utf8Path) -> Utf8PathBuf {
        self.dir.join(relative)
    }

    /// A certificate's bytes; `None` if there is no such file.
    pub(crate) fn certificate(&self, relative: &Utf8Path) -> Result<Option<Vec<u8>>> {
        match fs_err::read(self.path(relative)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("a certificate cannot be read"),
        }
    }

    /// A key's bytes; `None` if there is no such file; an error if others may read it.
    pub(crate) fn key(&self, relative: &Utf8Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.path(relative);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("a key cannot be read"),
        };
        let mode = fs_err::metadata(&path).context("a key's mode cannot be read")?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            bail!("the key {path} has mode {mode:04o}: `chmod 600 {path}` if nobody else has read it");
        }
        Ok(Some(bytes))
    }

    /// The names of the folders in one of its folders, in order; none if there is no such folder.
    pub(crate) fn folders(&self, relative: &Utf8Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs_err::read_dir(self.path(relative)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            other => other.context("the PKI folder cannot be listed")?,
        };
        for entry in entries {
            let entry = entry.context("the PKI folder cannot be listed")?;
            if entry.file_type().context("an entry of the PKI folder cannot be read")?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    }

    /// [`Self::write`], unless the file is there with these bytes and this mode; gives whether it wrote.
    pub(crate) fn put(&self, relative: &Utf8Path, bytes: &[u8], mode: u32) -> Result<bool> {
        let path = self.path(relative);
        let right = fs_err::metadata(&path).is_ok_and(|found| found.permissions().mode() & 0o7777 == mode);
        if right && fs_err::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(false);
        }
        self.write(relative, bytes, mode)?;
        Ok(true)
    }

    /// Puts a file in place of what is there: written aside under its final mode, on the disk before it is renamed.
    pub(crate) fn write(&self, relative: &Utf8Path, bytes: &[u8], mode: u32) -> Result<()> {
        let path = self.path(relative);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            bail!("{path} has no place for a file");
        };
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(parent)
            .with_context(|| format!("cannot make the folder {parent}"))?;
        let aside = parent.join(format!(".{name}.new"));
        match fs_err::remove_file(&aside) {
            Ok(()) => {} // what an interrupted run left
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("what an interrupted run left cannot be removed"),
        }
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&aside)
            .context("a file of the PKI cannot be made")?;
        file.write_all(bytes).context("a file of the PKI cannot be written")?;
        // The umask may have taken bits that `mode` asked for.
        file.set_permissions(Permissions::from_mode(mode)).context("a file's mode cannot be set")?;
        file.sync_all().context("a file of the PKI does not reach the disk")?;
        fs_err::rename(&aside, &path).context("a file of the PKI cannot be put in its place")
    }
}
