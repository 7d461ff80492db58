//! Units that start dockerd: the words of `ExecStart=`, with what an environment file puts into them.
//!
//! Source of the rules: systemd.service(5), "Command lines", as far as units of dockerd use them.

use std::collections::BTreeMap;

use super::At;
use super::base;
use crate::diagnostics::Span;

/// A unit file as far as it tells dockerd's command line.
pub(super) struct Unit {
    pub(super) file: usize,
    words: Vec<Word>,
    /// Environment files, `%i` not put in.
    environments: Vec<String>,
}

/// A word and where it stands.
#[derive(Debug, Clone)]
struct Word {
    text: String,
    file: usize,
    span: Span,
}

/// A flag of dockerd with its value.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    /// The long name, without dashes.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) at: At,
}

/// Flags that are true without a value.
const BOOLEANS: [&str; 24] = [
    "cri-containerd",
    "debug",
    "experimental",
    "icc",
    "init",
    "ip-forward",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
    "version",
    "help",
    "D",
    "v",
    "h",
];

/// Short flags.
const SHORT: [(&str, &str); 8] = [
    ("H", "host"),
    ("b", "bridge"),
    ("D", "debug"),
    ("G", "group"),
    ("g", "graph"),
    ("l", "log-level"),
    ("p", "pidfile"),
    ("s", "storage-driver"),
];

/// Reads a unit.
pub(super) fn read(file: usize, text: &str) -> Unit {
    let mut unit = Unit { file, words: Vec::new(), environments: Vec::new() };
    let mut offset = 0;
    let mut continued = false;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let body = line.trim_end_matches(['\n', '\r']);
        let goes_on = body.ends_with('\\');
        let body = body.trim_end_matches('\\');
        if body.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if continued {
            unit.words.extend(words(body, file, start));
        } else if let Some(rest) = body.strip_prefix("ExecStart=") {
            let command: Vec<_> = words(rest, file, start + "ExecStart=".len()).collect();
            let dockerd = |word: &Word| {
                matches!(base(&word.text).trim_start_matches(['-', '@', '+', '!', ':']), "dockerd" | "docker")
            };
            if let Some(at) = command.iter().position(dockerd) {
                unit.words = command[at..].to_vec();
            } else {
                continued = false;
                continue;
            }
        } else {
            if let Some(path) = body.strip_prefix("EnvironmentFile=") {
                unit.environments.push(path.trim().trim_start_matches('-').to_owned());
            }
            continued = false;
            continue;
        }
        continued = goes_on;
    }
    unit
}

impl Unit {
    /// Whether it starts a dockerd at all.
    pub(super) fn starts_dockerd(&self) -> bool {
        !self.words.is_empty()
    }

    /// What `--config-file` says, `%i` not put in.
    pub(super) fn config_file(&self) -> Option<&str> {
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            if let Some(path) = word.text.strip_prefix("--config-file=") {
                return Some(path);
            }
            if word.text == "--config-file" {
                return words.next().map(|word| word.text.as_str());
            }
        }
        self.starts_dockerd().then_some("/etc/docker/daemon.json")
    }

    /// Its flags for one instance.
    pub(super) fn flags(&self, instance: &str, environments: &BTreeMap<&str, (usize, &str)>) -> Vec<Flag> {
        let put = |text: &str| text.replace("%i", instance).replace("%I", instance);
        let instance_name = instance;
        let mut all: Vec<Word> = Vec::new();
        for word in self.words.iter().skip(1) {
            let name = word.text.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
            match name {
                Some(name) => {
                    let files = self.environments.iter().filter_map(|path| {
                        let path = put(path);
                        // An example of the template has its name as it is.
                        let own = environments.get(base(&path));
                        own.copied().or_else(|| environments.get(base(&path.replace(instance_name, "%i"))).copied())
                    });
                    all.extend(files.flat_map(|(file, text)| variable(name, file, text)));
                }
                None => all.push(Word { text: put(&word.text), ..word.clone() }),
            }
        }
        let mut flags = Vec::new();
        let mut words = all.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(rest) = word.text.strip_prefix("--").or_else(|| word.text.strip_prefix('-')) else { continue };
            let (name, value) = match rest.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (rest, None),
            };
            let mut span = word.span.clone();
            let value = value.unwrap_or_else(|| {
                let next =
                    (!BOOLEANS.contains(&name)).then(|| words.next_if(|next| !next.text.starts_with('-'))).flatten();
                next.map_or_else(
                    || "true".to_owned(),
                    |next| {
                        if next.file == word.file && next.span.end > span.start {
                            span.end = next.span.end;
                        }
                        next.text
                    },
                )
            });
            let long = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long);
            let at = At { file: word.file, span, path: format!("--{long}") };
            flags.push(Flag { name: long.to_owned(), value, at });
        }
        flags
    }
}

/// The words of a variable in an environment file.
fn variable(name: &str, file: usize, text: &str) -> Vec<Word> {
    let mut offset = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let trimmed = line.trim_start();
        let Some(rest) = trimmed.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else { continue };
        let at = start + (line.len() - trimmed.len()) + name.len() + 1;
        let value = rest.trim_end();
        let inner = value.trim_start_matches(['"', '\'']);
        let shift = value.len() - inner.len();
        // The last assignment stands.
        found = words(inner.trim_end_matches(['"', '\'']), file, at + shift).collect();
    }
    found
}

/// Words between blanks; quotes hold one together and are taken away.
fn words(text: &str, file: usize, offset: usize) -> impl Iterator<Item = Word> {
    let mut found = Vec::new();
    let (mut word, mut start, mut quote) = (String::new(), None, None);
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => {
                quote = Some(character);
                start.get_or_insert(at);
            }
            None if character.is_whitespace() => {
                if let Some(start) = start.take() {
                    found.push(Word { text: std::mem::take(&mut word), file, span: offset + start..offset + at });
                }
            }
            Some(_) | None => {
                start.get_or_insert(at);
                word.push(character);
            }
        }
    }
    found.into_iter()
}
