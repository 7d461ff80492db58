//! `[host]`: the machine's name, its base and kernel, the disk.

use super::links::Link;
use super::owners::Owned;
use super::{Report, admin, files, packages, size};
use crate::engine::Reader;
use crate::plan::{Base, DEFAULT_DISK, Engine, Host, Kernel, LEAST_DISK};
use crate::spec::words::{nearest, quoted};
use crate::spec::{self, At, Field, HostSpec};

/// Reads `[host]`; `None` if part of it cannot be read.
pub(super) fn read(spec: &spec::Host, links: &[Link<'_>], owners: &[Owned<'_>], report: &mut Report) -> Option<Host> {
    let name = spec.name.given().and_then(|at| name(at, report));
    let base = one_of(&spec.base, Base::Debian13, &Base::ALL, Base::as_str, "base", report);
    let engine = one_of(&spec.engine, Engine::default(), &Engine::ALL, Engine::as_str, "engine", report);
    let kernel = one_of(&spec.kernel, Kernel::Generic, &Kernel::ALL, Kernel::as_str, "kernel", report);
    let disk = match &spec.disk {
        Field::Absent => Some(DEFAULT_DISK),
        Field::Bad => None,
        Field::Given(at) => disk(at, report),
    };
    let admin = match &spec.admin {
        Field::Absent => Some(None),
        Field::Bad => None,
        Field::Given(at) => admin::read(&at.value, links, owners, report).map(Some),
    };
    let packages = packages::read(&spec.packages, report);
    let files = files::read(spec, report);
    Some(Host {
        name: name?,
        base: base?,
        engine: engine?,
        kernel: kernel?,
        disk: disk?,
        admin: admin?,
        packages: packages?,
        files: files?,
    })
}

/// The base, if the spec says a good one or none.
pub(super) fn base(spec: &HostSpec) -> Option<Base> {
    word(&spec.host.given()?.value.base, Base::Debian13, &Base::ALL, Base::as_str)
}

/// Who reads the daemons' settings, and what of the spec decides that.
pub(super) fn reader(spec: &HostSpec) -> Reader<'_> {
    let Some(host) = spec.host.given() else { return Reader::Unknown };
    let (base, engine) = (base(spec), word(&host.value.engine, Engine::default(), &Engine::ALL, Engine::as_str));
    let (Some(base), Some(engine)) = (base, engine) else { return Reader::Unknown };
    let decisive = [&host.value.engine, &host.value.base].into_iter().find_map(|field| field.given());
    Reader::Host(engine.version(base), decisive.map(|at| &at.place.value))
}

/// One of a few words, or the default; `None` for another, which [`one_of`] reports.
fn word<T: Copy>(field: &Field<String>, default: T, all: &[T], text: impl Fn(T) -> &'static str) -> Option<T> {
    match field {
        Field::Absent => Some(default),
        Field::Bad => None,
        Field::Given(at) => all.iter().copied().find(|one| text(*one) == at.value),
    }
}

/// One of a few words, or the default.
pub(super) fn one_of<T: Copy>(
    field: &Field<String>,
    default: T,
    all: &[T],
    text: impl Fn(T) -> &'static str,
    what: &str,
    report: &mut Report,
) -> Option<T> {
    let at = match field {
        Field::Absent => return Some(default),
        Field::Bad => return None,
        Field::Given(at) => at,
    };
    let found = word(field, default, all, &text);
    if found.is_none() {
        let words: Vec<_> = all.iter().map(|one| text(*one)).collect();
        let help = match nearest(&at.value, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write `{}`", words.join("` or `")),
        };
        report.push(at.place.error("unknown-value", format!("there is no {what} {}", quoted(&at.value))).help(help));
    }
    found
}

/// A host name: one DNS label in lower case (RFC 1123).
fn name(at: &At<String>, report: &mut Report) -> Option<String> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let text = &at.value;
    let good = text.len() <= 63 && text.bytes().all(letters) && !text.starts_with('-') && !text.ends_with('-');
    if good && text != "localhost" {
        return Some(text.clone());
    }
    let message = format!("{} is no host name", quoted(text));
    let help = "use up to 63 lower-case letters, digits and `-`, neither first nor last a `-`, without a domain";
    report.push(at.place.error("host-name", message).help(help));
    None
}

fn disk(at: &At<String>, report: &mut Report) -> Option<u64> {
    let bytes = size::read(at, "disk-size", "of a disk", "16GiB", report)?;
    if bytes < LEAST_DISK {
        let text = quoted(&at.value);
        let message = format!("a host does not fit on {text}: it takes at least {} GiB", LEAST_DISK >> 30);
        report.push(at.place.error("disk-too-small", message).help("write a larger size, for example `16GiB`"));
        return None;
    }
    Some(bytes)
}
