//! A `DOCKER_CERT_PATH` folder: `ca.pem`, `cert.pem`, `key.pem` as the docker client looks for them
//! (<https://docs.docker.com/engine/security/protect-access/>), `env` for a shell, and a mark that it is ours.

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use crate::client::Contact;
use crate::folder::{CERTIFICATE_MODE, Folder, KEY_MODE};
use crate::open::ClientBundle;

/// In a folder that was written here.
const MARK: &str = ".dmhost-client";

impl Contact {
    /// What a shell has to be told so that `docker` uses the folder `dir`.
    ///
    /// # Errors
    /// If the current folder is unknown and `dir` is relative.
    pub fn exports(&self, dir: &Utf8Path) -> Result<String> {
        let dir = camino::absolute_utf8(dir).with_context(|| format!("cannot tell where {dir} is"))?;
        Ok(format!(
            "export DOCKER_HOST={}\nexport DOCKER_TLS_VERIFY=1\nexport DOCKER_CERT_PATH={}\nunset DOCKER_CONTEXT\n",
            quoted(&self.endpoint),
            quoted(dir.as_str())
        ))
    }

    /// Whether `dir` may become the client's folder: it is not there, empty, or the client's already.
    ///
    /// # Errors
    /// If it holds files that are not ours or another client's, others may enter it, or the system refuses.
    pub fn check_folder(&self, dir: &Utf8Path) -> Result<()> {
        let Some(folder) = Folder::open(dir, "the folder")? else { return Ok(()) };
        match folder.certificate(MARK.as_ref())? {
            Some(found) if found == self.mark().as_bytes() => Ok(()),
            Some(found) => bail!(
                "{dir} holds the {}; name another folder for the {}",
                String::from_utf8_lossy(&found).trim_end(),
                self.title()
            ),
            None if fs_err::read_dir(dir).context("the folder cannot be listed")?.next().is_none() => Ok(()),
            None => bail!("{dir} holds files that dmhost did not write; name a new folder, or empty it first"),
        }
    }

    fn mark(&self) -> String {
        format!("{}\n", self.title())
    }

    /// Makes `dir` the client's folder; gives whether anything changed. What is right already is not touched.
    ///
    /// # Errors
    /// As for [`Self::check_folder`].
    pub fn write_folder(&self, bundle: &ClientBundle, dir: &Utf8Path) -> Result<bool> {
        self.check_folder(dir)?;
        let mark = self.mark();
        let exports = self.exports(dir)?;
        let folder = Folder::create(dir, "the folder")?;
        let mut changed = false;
        for (name, bytes, mode) in [
            (MARK, mark.as_bytes(), CERTIFICATE_MODE), // first: what an interruption leaves is known for ours
            ("key.pem", bundle.key.as_slice(), KEY_MODE),
            ("cert.pem", &bundle.cert, CERTIFICATE_MODE),
            ("ca.pem", &bundle.ca, CERTIFICATE_MODE),
            ("env", exports.as_bytes(), CERTIFICATE_MODE),
        ] {
            changed |= folder.put(name.as_ref(), bytes, mode)?;
        }
        Ok(changed)
    }
}

/// A word that a POSIX shell reads as it stands.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:[]@%+=,".contains(&byte);
    // Brackets alone would be a pattern, but never in an assignment.
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_what_was_quoted() {
        for word in ["/plain/path", "with space", "it's", "$(date)", "", "tcp://[2001:db8::2]:2376", "a\nb", "~x;y"] {
            let script = format!("word={}; printf %s \"$word\"", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output();
            assert_eq!(output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).as_deref(), Some(word));
        }
    }
}
