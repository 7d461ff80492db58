//! `init`: makes what is missing and mends what does not match, and nothing else.
//!
//! First everything is read and judged and what must be written is held in memory; only then are files written, a
//! key before its certificate. So an error leaves the folder as it was, and an interruption leaves at worst a key
//! without its certificate, which the next run uses.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::HostPlan;
use dmhost_layout::plan::{Api, DaemonName};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::fault::{Expected, Fault, judge};
use crate::folder::{CERTIFICATE_MODE, Folder, KEY_MODE, PKI};
use crate::issue;
use crate::key::Key;
use crate::names::{self, CertificateKind, ClientName};
use crate::own::{self, Brought, OwnCa};

/// What ends sooner than this is made anew.
const RENEWAL: Duration = Duration::days(30);

/// In the folder: git takes nothing of it.
const GITIGNORE: &str = ".gitignore";

/// What [`init`] did, or chose not to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A certificate, and its key unless it was there, made for the first time.
    Made(CertificateKind),
    /// A certificate made anew for the key it had.
    Reissued(CertificateKind, Fault),
    /// The copy of the server CA in this client's folder was put right.
    Trust(CertificateKind),
    /// A CA that the user brought, and where its key is.
    Took(CertificateKind, Utf8PathBuf, Option<Utf8PathBuf>),
    /// No client certificates for this daemon: the key of its client CA, which the user brought, is not here.
    NoClients(DaemonName),
    /// A `.gitignore` that was missing was put into the folder.
    Ignored,
    /// A daemon that the plan does not have, or without an API: its files are still there.
    LeftAlone(DaemonName),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(kind) => write!(f, "made the {kind}"),
            Self::Reissued(kind, fault) => write!(f, "made the {kind} anew: the old one {fault}"),
            Self::Trust(kind) => write!(f, "put the present server CA beside the {kind}"),
            Self::Took(kind, path, key) => write!(f, "took the {kind} from {path}; {}", own::key_words(key.as_deref())),
            Self::NoClients(daemon) => {
                write!(f, "no client certificates for {daemon}: the key of its client CA is kept elsewhere")
            }
            Self::Ignored => f.write_str("put a .gitignore into the folder, so that git takes no key"),
            Self::LeftAlone(daemon) => write!(f, "left the files of {daemon} alone: the spec has no such API any more"),
        }
    }
}

/// Makes the certificates of a plan in `dir`, with `now` as the time. A second run changes nothing.
///
/// A daemon without an API gets none; a plan without any API gets no folder. Keys are kept when a certificate is
/// made anew: to change a key, remove its file.
///
/// # Errors
/// If users other than the owner may read the folder or a key, a file is damaged (it is never overwritten), a CA's
/// key is needed and not there, or the disk refuses. Nothing was changed then, but for the disk's refusal.
pub fn init(plan: &HostPlan, dir: &Utf8Path, now: SystemTime) -> Result<Vec<Change>> {
    init_with(plan, dir, &Brought::default(), now)
}

/// [`init`] with CAs that the user brings. Their certificates are copied into the folder, their keys are not: what is
/// signed later needs them brought again.
///
/// # Errors
/// As [`init`]; and if one that is brought is no CA, not complete, without its own key, about to end, or the client CA of
/// two daemons, or the folder has another CA in its place, which is never overwritten.
pub fn init_with(plan: &HostPlan, dir: &Utf8Path, brought: &Brought, now: SystemTime) -> Result<Vec<Change>> {
    let found = Folder::open(dir, PKI)?;
    let apis: Vec<_> = plan.daemons.values().filter_map(|daemon| Some((&daemon.name, daemon.tls_api()?))).collect();
    let mut run = Run::new(&plan.host.name, found.clone().unwrap_or_else(|| Folder::absent(dir)), now);
    run.brought = brought.read(plan, now.into())?;
    if !apis.is_empty() {
        run.ignored(found.is_some())?;
        let server_ca = run.authority(CertificateKind::ServerCa)?;
        for (daemon, api) in &apis {
            run.daemon(daemon, api, &server_ca)?;
        }
        own::check_apart(&run.client_cas)?;
    }
    if let Some(folder) = found {
        for name in folder.folders("".as_ref())? {
            let Ok(daemon) = name.parse::<DaemonName>() else { continue };
            if !apis.iter().any(|(planned, _)| **planned == daemon) {
                run.changes.push(Change::LeftAlone(daemon));
            }
        }
    }
    run.finish(dir)
}

/// What is read, judged and held back until all of it is known to be good.
pub(crate) struct Run<'a> {
    host: &'a str,
    pub(crate) folder: Folder,
    now: OffsetDateTime,
    writes: Vec<Write>,
    changes: Vec<Change>,
    brought: BTreeMap<CertificateKind, OwnCa>,
    client_cas: Vec<(DaemonName, Certificate)>,
}

struct Write {
    path: Utf8PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    mode: u32,
}

/// A CA. Its key may be kept elsewhere for as long as nothing is to be signed.
pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    pub(crate) key: Option<Key>,
    key_path: Utf8PathBuf,
}

impl<'a> Run<'a> {
    pub(crate) fn new(host: &'a str, folder: Folder, now: SystemTime) -> Self {
        Self {
            host,
            folder,
            now: now.into(),
            writes: Vec::new(),
            changes: Vec::new(),
            brought: BTreeMap::new(),
            client_cas: Vec::new(),
        }
    }

    /// Writes what was held back; gives what it was.
    pub(crate) fn finish(self, dir: &Utf8Path) -> Result<Vec<Change>> {
        if !self.writes.is_empty() {
            let folder = Folder::create(dir, PKI)?;
            for write in &self.writes {
                folder.write(&write.path, &write.bytes, write.mode)?;
            }
        }
        Ok(self.changes)
    }

    fn daemon(&mut self, daemon: &DaemonName, api: &Api, server_ca: &Authority) -> Result<()> {
        let client_ca = self.authority(CertificateKind::ClientCa(daemon.clone()))?;
        let server = Expected::server(api, &server_ca.certificate);
        self.leaf(CertificateKind::Server(daemon.clone()), &names::server_key(daemon), &server, server_ca)?;

        self.client_cas.push((daemon.clone(), client_ca.certificate.clone()));
        let client = ClientName::default_client();
        let kind = CertificateKind::Client(daemon.clone(), client.clone());
        if client_ca.key.is_none()
            && !own::made_here(&CertificateKind::ClientCa(daemon.clone()), &client_ca.certificate)
            && self.folder.certificate(&kind.path())?.is_none()
        {
            self.changes.push(Change::NoClients(daemon.clone()));
            return Ok(());
        }
        self.client(daemon, client, &client_ca, &server_ca.certificate.pem)
    }

    /// A client's certificate, and beside it the CA that it trusts.
    pub(crate) fn client(
        &mut self,
        daemon: &DaemonName,
        client: ClientName,
        client_ca: &Authority,
        trusted: &[u8],
    ) -> Result<()> {
        let trust = names::client_trust(daemon, &client);
        let key = names::client_key(daemon, &client);
        let kind = CertificateKind::Client(daemon.clone(), client);
        let made = self.leaf(kind.clone(), &key, &Expected::client(&client_ca.certificate), client_ca)?;
        if self.folder.certificate(&trust)?.as_deref() != Some(trusted) {
            self.stage(trust, trusted.to_vec().into(), CERTIFICATE_MODE);
            if !made {
                self.changes.push(Change::Trust(kind));
            }
        }
        Ok(())
    }

    /// A repository that does not ignore `*.pki/` must not take keys all the same.
    fn ignored(&mut self, there: bool) -> Result<()> {
        if self.folder.certificate(GITIGNORE.as_ref())?.is_none() {
            self.stage(GITIGNORE.into(), Zeroizing::new(b"*\n".to_vec()), CERTIFICATE_MODE);
            if there {
                self.changes.push(Change::Ignored);
            }
        }
        Ok(())
    }

    pub(crate) fn authority(&mut self, kind: CertificateKind) -> Result<Authority> {
        let key_path = names::authority_key(kind.daemon());
        if let Some(own) = self.brought.remove(&kind) {
            return self.take(kind, own, key_path);
        }
        let key = read_key(&self.folder, &key_path)?;
        let (path, found) = (self.folder.path(&kind.path()), read_certificate(&self.folder, &kind.path())?);
        if let (Some(certificate), Some(key)) = (&found, &key)
            && !key.belongs_to(certificate)
        {
            bail!("{path} does not belong to {}: put the right one back, or remove both", self.folder.path(&key_path));
        }
        let fault = match &found {
            None => Fault::Missing,
            Some(certificate) => match self.judge(certificate, &Expected::authority()) {
                None => return Ok(Authority { certificate: certificate.clone(), key, key_path }),
                Some(fault @ Fault::Expires(_)) if own::made_here(&kind, certificate) => fault,
                Some(fault @ Fault::Expires(_)) => {
                    bail!("{path} {fault}, and dmhost did not make it: move it away and bring its successor")
                }
                Some(fault @ Fault::Begins(_)) => bail!("{path} {fault}"),
                Some(fault) => bail!("{path} {fault}: put the right one back, or remove it and its key"),
            },
        };
        let key = match (key, &found) {
            (Some(key), _) => key,
            (None, None) => self.new_key(&key_path)?,
            (None, Some(_)) => bail!(
                "{path} {fault}, and its key {} is not there: put the key back, or remove {path} for a new CA",
                self.folder.path(&key_path)
            ),
        };
        let certificate = issue::authority(&kind.common_name(self.host), &key, self.now)
            .with_context(|| format!("the {kind} could not be made"))?;
        self.issued(kind, &certificate, &Expected::authority(), fault)?;
        Ok(Authority { certificate, key: Some(key), key_path })
    }

    /// A CA that the user brought: put into the folder unless it is there, its key only used.
    fn take(&mut self, kind: CertificateKind, own: OwnCa, key_path: Utf8PathBuf) -> Result<Authority> {
        let path = self.folder.path(&kind.path());
        match self.folder.certificate(&kind.path())? {
            Some(found) if found == own.certificate.pem => {}
            Some(_) => bail!("{path} is another CA, and none is ever overwritten: move its folder away first"),
            None if self.folder.path(&key_path).exists() => {
                bail!("{} is another CA's key: move it away first", self.folder.path(&key_path))
            }
            None => {
                self.stage(kind.path(), own.certificate.pem.clone().into(), CERTIFICATE_MODE);
                self.changes.push(Change::Took(kind, own.files.certificate, own.files.key));
            }
        }
        let key = match own.key {
            Some(key) => Some(key),
            None => read_key(&self.folder, &key_path)?,
        };
        Ok(Authority { certificate: own.certificate, key, key_path })
    }

    /// Whether the certificate had to be made.
    fn leaf(
        &mut self,
        kind: CertificateKind,
        key_path: &Utf8Path,
        expected: &Expected<'_>,
        authority: &Authority,
    ) -> Result<bool> {
        let key = read_key(&self.folder, key_path)?;
        let fault = match read_certificate(&self.folder, &kind.path())? {
            None => Fault::Missing,
            Some(found) => match self.judge(&found, expected) {
                // A clock that went back must not cost a certificate that is in use.
                Some(fault @ Fault::Begins(_)) => bail!("{} {fault}", self.folder.path(&kind.path())),
                Some(fault) => fault,
                None if key.as_ref().is_some_and(|key| key.belongs_to(&found)) => return Ok(false),
                None => Fault::Key,
            },
        };
        let Some(authority_key) = &authority.key else {
            bail!(
                "the {kind} {fault}, and the key of its CA, {}, is not there: put it back, or bring it again",
                self.folder.path(&authority.key_path)
            );
        };
        let key = match key {
            Some(key) => key,
            None => self.new_key(key_path)?,
        };
        let name = kind.common_name(self.host);
        let mut certificate = issue::leaf(&name, &key, expected, (&authority.certificate, authority_key), self.now)
            .with_context(|| format!("the {kind} could not be made"))?;
        if !certificate.issued_by(&authority.certificate) {
            bail!(
                "the {kind} cannot be signed: the subject of its CA, `{}`, has parts that dmhost cannot write, two of a \
                 kind for example",
                authority.certificate.subject
            );
        }
        // A server shows those between it and the CA that signs itself, for clients that know the latter alone.
        if matches!(kind, CertificateKind::Server(_)) {
            for above in
                Certificate::chain(&authority.certificate.pem)?.iter().filter(|above| above.issuer != above.subject)
            {
                certificate.pem.extend_from_slice(&above.pem);
            }
        }
        self.issued(kind, &certificate, expected, fault)?;
        Ok(true)
    }

    /// Takes a new certificate, once it passes the judgement that asked for it.
    fn issued(
        &mut self,
        kind: CertificateKind,
        certificate: &Certificate,
        expected: &Expected<'_>,
        fault: Fault,
    ) -> Result<()> {
        if let Some(fault) = self.judge(certificate, expected) {
            bail!("the {kind} that was just made {fault}: this is a fault in dmhost");
        }
        self.stage(kind.path(), certificate.pem.clone().into(), CERTIFICATE_MODE);
        self.changes.push(match fault {
            Fault::Missing => Change::Made(kind),
            fault => Change::Reissued(kind, fault),
        });
        Ok(())
    }

    fn new_key(&mut self, path: &Utf8Path) -> Result<Key> {
        let key = Key::generate()?;
        self.stage(path.to_owned(), key.to_pem(), KEY_MODE);
        Ok(key)
    }

    fn stage(&mut self, path: Utf8PathBuf, bytes: Zeroizing<Vec<u8>>, mode: u32) {
        self.writes.push(Write { path, bytes, mode });
    }

    fn judge(&self, certificate: &Certificate, expected: &Expected<'_>) -> Option<Fault> {
        judge(certificate, expected, self.now.unix_timestamp(), RENEWAL.whole_seconds())
    }
}

/// Reads a certificate; one that is damaged is an error, since it may be the only copy of something.
pub(crate) fn read_certificate(folder: &Folder, relative: &Utf8Path) -> Result<Option<Certificate>> {
    let Some(bytes) = folder.certificate(relative)? else { return Ok(None) };
    let certificate = Certificate::from_pem(bytes).with_context(|| damaged(folder, relative, "certificate"))?;
    Ok(Some(certificate))
}

/// Reads a key, likewise.
pub(crate) fn read_key(folder: &Folder, relative: &Utf8Path) -> Result<Option<Key>> {
    let Some(bytes) = folder.key(relative)? else { return Ok(None) };
    Ok(Some(Key::from_pem(&bytes).with_context(|| damaged(folder, relative, "key"))?))
}

fn damaged(folder: &Folder, relative: &Utf8Path, what: &str) -> String {
    format!("{} is no {what}: put it back, or remove it and run `dmhost pki init SPEC`", folder.path(relative))
}

/// Reads a key that stands outside of the folder, where a group may be let in (Debian's `ssl-cert`), but not everyone.
pub(crate) fn read_private(path: &Utf8Path) -> Result<Key> {
    use std::os::unix::fs::PermissionsExt as _;
    let bytes = Zeroizing::new(fs_err::read(path).context("a key cannot be read")?);
    let mode = fs_err::metadata(path).context("a key's mode cannot be read")?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        bail!("the key {path} has mode {mode:04o}: `chmod 600 {path}` if nobody else has read it");
    }
    Key::from_pem(&bytes).with_context(|| format!("{path} is no key that dmhost can use"))
}
