//! Where packages come from: the machine's own apt sources if they hold a Debian archive, else Debian's default.
//!
//! The base's key does not hold the mirror, and the image's own sources never name it.

use camino::Utf8Path;

/// The Debian archive keys: what every release file is verified with.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's archive of security updates.
pub(crate) const SECURITY: &str = "http://deb.debian.org/debian-security";

const RELEASES: [&str; 8] = ["bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable"];

/// The two archives of Debian, by base URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The main archive.
    pub archive: String,
    /// Security updates; `None` where the machine itself has none.
    pub security: Option<String>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { archive: "http://deb.debian.org/debian".to_owned(), security: Some(SECURITY.to_owned()) }
    }
}

/// One line or stanza of apt's sources, as far as it matters here.
#[derive(Debug, Default)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
    disabled: bool,
}

impl Source {
    /// Third parties use Debian's suite names too; they sign with other keys.
    fn is_debian(&self) -> bool {
        !self.disabled
            && self.components.iter().any(|component| component == "main")
            && self.signed_by.as_deref().is_none_or(|key| key.contains("debian-archive"))
            && self.uris.first().is_some_and(|uri| uri.trim_end_matches('/').contains("/debian"))
    }

    fn has(&self, suffix: &str) -> bool {
        let release = |suite: &String| suite.strip_suffix(suffix).is_some_and(|release| RELEASES.contains(&release));
        self.suites.iter().any(release)
    }
}

impl Mirror {
    /// The mirror in this machine's `/etc/apt`, or the default.
    pub fn of_this_machine() -> Self {
        Self::in_folder(Utf8Path::new("/etc/apt"))
    }

    /// One archive for everything, releases and security updates: `URI/dists`, and `URI-security/dists` if it has that.
    pub fn at(uri: &str) -> Self {
        Self { archive: uri.trim_end_matches('/').to_owned(), security: None }
    }

    fn in_folder(apt: &Utf8Path) -> Self {
        let mut files = vec![apt.join("sources.list")];
        if let Ok(folder) = apt.join("sources.list.d").read_dir_utf8() {
            let mut found: Vec<_> = folder.filter_map(|entry| Some(entry.ok()?.into_path())).collect();
            found.sort();
            files.extend(found);
        }
        let mut sources = Vec::new();
        for file in files {
            let Ok(text) = fs_err::read_to_string(&file) else { continue };
            match file.extension() {
                Some("list") => sources.extend(text.lines().filter_map(one_line)),
                Some("sources") => sources.extend(stanzas(&text)),
                Some(_) | None => {}
            }
        }
        let uri = |source: &Source| source.uris.first().cloned();
        let debian = || sources.iter().filter(|source| source.is_debian());
        match debian().find(|source| source.has("")).and_then(uri) {
            Some(archive) => Self { archive, security: debian().find(|source| source.has("-security")).and_then(uri) },
            None => Self::default(),
        }
    }

    /// apt's lines for `suite`, its updates and its security updates.
    pub fn lines(&self, suite: &str) -> Vec<String> {
        let line = |uri: &str, suite: &str| format!("deb [signed-by={KEYRING}] {uri} {suite} main");
        let mut lines = vec![line(&self.archive, suite), line(&self.archive, &format!("{suite}-updates"))];
        lines.extend(self.security.as_deref().map(|uri| line(uri, &format!("{suite}-security"))));
        lines
    }
}

/// `deb [options] uri suite component...`
fn one_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.take_while(|word| !word.starts_with('#')).collect(),
        signed_by: options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned),
        disabled: false,
    })
}

/// deb822: stanzas of `Key: values`, a continuation starts with a space.
fn stanzas(text: &str) -> Vec<Source> {
    let mut sources = vec![Source::default()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            sources.push(Source::default());
        } else if let (Some((key, value)), Some(source)) = (line.split_once(':'), sources.last_mut()) {
            let words = || value.split_whitespace().map(str::to_owned).collect();
            match key.to_ascii_lowercase().as_str() {
                "types" => source.disabled |= !value.split_whitespace().any(|kind| kind == "deb"),
                "uris" => source.uris = words(),
                "suites" => source.suites = words(),
                "components" => source.components = words(),
                "signed-by" => source.signed_by = Some(value.trim().to_owned()),
                "enabled" => source.disabled |= value.trim() == "no",
                _ => {}
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(files: &[(&str, &str)]) -> Mirror {
        let apt = tempfile::tempdir().expect("a temporary folder");
        let apt = Utf8Path::from_path(apt.path()).expect("UTF-8");
        fs_err::create_dir(apt.join("sources.list.d")).expect("a folder");
        for (name, text) in files {
            fs_err::write(apt.join(name), text).expect("a file");
        }
        Mirror::in_folder(apt)
    }

    #[test]
    fn stanzas_give_the_archive_and_the_security_archive() {
        let text = "Types: deb\n# a comment\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: http://a.example/debian-security\n\
                    Suites: bookworm-security\nComponents: main\n";
        let found = mirror(&[("sources.list.d/debian.sources", text)]);
        assert_eq!(found.archive, "http://a.example/debian");
        assert_eq!(found.security.as_deref(), Some("http://a.example/debian-security"));
        assert_eq!(found.lines("trixie").len(), 3);
    }

    #[test]
    fn a_third_party_with_debian_suites_is_not_debian() {
        let docker = "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.example/linux/debian bookworm stable\n\
                      deb [signed-by=/etc/apt/keyrings/other.gpg] https://other.example/debian bookworm main\n";
        assert_eq!(mirror(&[("sources.list.d/a.list", docker)]), Mirror::default());
        let own =
            "deb-src http://b.example/debian trixie main\ndeb http://b.example/debian/ trixie main contrib # ours\n";
        let found = mirror(&[("sources.list.d/a.list", docker), ("sources.list", own)]);
        assert_eq!(found, Mirror { archive: "http://b.example/debian/".to_owned(), security: None });
    }

    #[test]
    fn disabled_stanzas_do_not_count() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n";
        assert_eq!(mirror(&[("sources.list.d/debian.sources", text)]), Mirror::default());
    }
}
