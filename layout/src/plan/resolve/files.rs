//! `[[host.files]]`: paths that are the user's to write, once each, with bits that open nothing.

use camino::{Utf8Path, Utf8PathBuf};

use super::Report;
use crate::layout::{Content, Layout};
use crate::plan::{FileOwner, HostFile, HostPlan};
use crate::spec::words::quoted;
use crate::spec::{self, At, Field, File};

/// Trees that are not the user's, and why.
const CLOSED: &[(&str, &str)] = &[
    ("/dev", "it is made anew at each boot"),
    ("/proc", "it is made anew at each boot"),
    ("/run", "it is made anew at each boot"),
    ("/sys", "it is made anew at each boot"),
    ("/tmp", "it is made anew at each boot"),
    ("/boot", "the boot loader reads the EFI system partition, not this"),
    ("/etc/dmhost", "it is dmhost's own"),
    ("/usr/lib/dmhost", "it is dmhost's own"),
    ("/srv/dmhost", "it holds the daemons' data"),
    ("/var/lib/dpkg", "it is dpkg's own"),
    ("/var/lib/docker", "no daemon of this host uses it"),
    ("/etc/docker", "no daemon of this host reads it: write `settings` of a daemon"),
    ("/etc/passwd", "accounts are made by sysusers.d(5), and none has a password"),
    ("/etc/shadow", "accounts are made by sysusers.d(5), and none has a password"),
    ("/etc/group", "groups are made by sysusers.d(5)"),
    ("/etc/gshadow", "groups are made by sysusers.d(5)"),
    ("/etc/.updated", "it is systemd's own"),
    ("/etc/ssh/ssh_host_ed25519_key", "the host makes its key at its first boot"),
];

/// Folders of the base that are links to others: a file below one stands elsewhere than it says.
const LINKS: &[(&str, &str)] = &[
    ("/bin", "/usr/bin"),
    ("/sbin", "/usr/sbin"),
    ("/lib", "/usr/lib"),
    ("/lib64", "/usr/lib64"),
    ("/var/run", "/run"),
];

/// Reads the files; `None` if one cannot be read.
pub(super) fn read(spec: &spec::Host, report: &mut Report) -> Option<Vec<HostFile>> {
    let mut paths: Vec<(Utf8PathBuf, &At<String>)> = Vec::new();
    let mut files = Vec::new();
    let mut good = spec.files.is_complete();
    for at in spec.files.items() {
        match one(&at.value, &mut paths, report) {
            Some(file) => files.push(file),
            None => good = false,
        }
    }
    good.then_some(files)
}

fn one<'s>(file: &'s File, paths: &mut Vec<(Utf8PathBuf, &'s At<String>)>, report: &mut Report) -> Option<HostFile> {
    let path = file.path.given().and_then(|at| path(at, paths, report));
    let content = file.content.given().and_then(|at| content(at, report));
    let mode = match &file.mode {
        Field::Absent => Some(0o644),
        Field::Bad => None,
        Field::Given(at) => mode(at, report),
    };
    let owner = match &file.owner {
        Field::Absent => Some(FileOwner::default()),
        Field::Bad => None,
        Field::Given(at) => owner(at, report),
    };
    Some(HostFile { path: path?, content: content?, mode: mode?, owner: owner? })
}

fn path<'s>(
    at: &'s At<String>,
    paths: &mut Vec<(Utf8PathBuf, &'s At<String>)>,
    report: &mut Report,
) -> Option<Utf8PathBuf> {
    let text = at.value.as_str();
    let parts = || text.split('/').skip(1);
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    // tmpfiles.d(5) and the tar on the way take no blanks and no control characters in a path without quoting them.
    let letters =
        text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace() && !"\"'\\%".contains(letter));
    if !text.starts_with('/') || !parts().all(plain) || !letters || text.len() > 1000 {
        let message = format!("{} is no path of a file", quoted(text));
        let help = "write an absolute path without `.`, `..`, empty parts, blanks, quotes and `%`, such as `/etc/motd`";
        report.push(at.place.error("file-path", message).help(help));
        return None;
    }
    let path = Utf8PathBuf::from(text);
    if let Some((link, target)) = LINKS.iter().find(|(link, _)| path.starts_with(link)) {
        let message = format!("{} is below {link}, which is a link to {target}", quoted(text));
        let rest = text.strip_prefix(link).unwrap_or_default();
        report.push(at.place.error("file-path", message).help(format!("write `{target}{rest}`")));
        return None;
    }
    let owned = parts().any(|part| part.starts_with("dmhost-"));
    let closed = CLOSED.iter().find(|(tree, _)| path.starts_with(tree)).map(|(_, why)| *why);
    if let Some(why) = closed.or(owned.then_some("names that begin with `dmhost-` are dmhost's own")) {
        let message = format!("{} is not a file of yours: {why}", quoted(text));
        report.push(at.place.error("file-owned", message).help("leave it out, or use another path"));
        return None;
    }
    if let Some((_, first)) = paths.iter().find(|(other, _)| path.starts_with(other) || other.starts_with(&path)) {
        let message = if first.value == *text {
            format!("two files have the path {}", quoted(text))
        } else {
            format!("{} and {} cannot both be files: one is above the other", quoted(&first.value), quoted(text))
        };
        let diagnostic = at.place.error("file-duplicate", message).help("use another path, or leave one out");
        report.push(diagnostic.related(first.place.value.clone(), "the first"));
        return None;
    }
    paths.push((path.clone(), at));
    Some(path)
}

fn content(at: &At<String>, report: &mut Report) -> Option<String> {
    if at.value.contains('\0') {
        let message = "the content has a NUL in it";
        report.push(at.place.error("file-content", message).help("write text: files of bytes come with a package"));
        return None;
    }
    Some(at.value.clone())
}

fn mode(at: &At<String>, report: &mut Report) -> Option<u32> {
    let text = at.value.as_str();
    let octal = (3..=4).contains(&text.len()).then(|| u32::from_str_radix(text, 8).ok()).flatten();
    let problem = match octal {
        None => format!("{} are no permission bits", quoted(text)),
        Some(mode) if mode & 0o7000 != 0 => format!("{} changes who runs the file", quoted(text)),
        Some(mode) if mode & 0o022 != 0 => format!("{} lets others than the owner write", quoted(text)),
        Some(mode) => return Some(mode),
    };
    let help = "write three octal digits after a 0, such as `\"0644\"`, `\"0600\"` or `\"0755\"`";
    report.push(at.place.error("file-mode", problem).help(help));
    None
}

fn owner(at: &At<String>, report: &mut Report) -> Option<FileOwner> {
    let text = at.value.as_str();
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let letters = |byte: u8| first(byte) || byte.is_ascii_digit() || byte == b'-';
    let name = |name: &str| name.len() <= 32 && name.bytes().next().is_some_and(first) && name.bytes().all(letters);
    if name(user) && name(group) {
        return Some(FileOwner { user: user.to_owned(), group: group.to_owned() });
    }
    let message = format!("{} is no owner", quoted(text));
    report.push(at.place.error("file-owner", message).help("write `USER` or `USER:GROUP` by name, such as `ops:adm`"));
    None
}

/// Holds the files against what the host has without them: what dmhost writes is dmhost's.
pub(super) fn check(spec: &spec::HostSpec, plan: &HostPlan, report: &mut Report) {
    if plan.host.files.is_empty() {
        return;
    }
    let mut without = plan.clone();
    without.host.files.clear();
    let layout = crate::render(&without);
    for at in spec.host.given().map(|host| host.value.files.items()).unwrap_or_default() {
        let Some(path) = at.value.path.given() else { continue };
        let found = meets(&layout, Utf8Path::new(&path.value));
        if let Some(owned) = found {
            let what = if owned == path.value { "it".to_owned() } else { format!("`{owned}`") };
            let message = format!("{} is not a file of yours: dmhost makes {what}", quoted(&path.value));
            report.push(path.place.error("file-owned", message).help("leave it out, or use another path"));
        }
    }
}

/// The entry of a layout that a file at `path` would take away, or hide behind, if there is one.
fn meets<'l>(layout: &'l Layout, path: &Utf8Path) -> Option<&'l Utf8Path> {
    layout.iter().map(|(owned, entry)| (owned, matches!(entry.content, Content::Directory))).find_map(
        |(owned, folder)| {
            let hides = owned.starts_with(path) || (path.starts_with(owned) && !folder);
            hides.then_some(owned)
        },
    )
}
