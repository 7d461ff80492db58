//! The host spec as the user wrote it: TOML with the place of every value, no meaning yet.
//!
//! What is checked here is shape: keys, types, what must be there. What the values mean, and whether they fit
//! together, is [`crate::plan::resolve()`]'s to say. Nouns are those of the plan, told apart by the module.

mod daemon;
mod defaults;
mod expect;
mod file;
mod host;
mod interface;
mod kind;
mod network;
mod pattern;
mod place;
mod schema;
mod settings;
mod table;
mod toml_help;
pub(crate) mod words;

use schemars::JsonSchema;
use toml::Spanned;
use toml::de::DeTable;

pub use daemon::{Api, Daemon, Resources, Storage};
pub use defaults::Defaults;
pub use expect::Expect;
pub use file::File;
pub use host::{Admin, Host};
pub use interface::Interface;
pub use kind::{Bond, Bridge, Ipvlan, Kind, Macvlan, Nic, Vlan};
pub use network::Network;
pub use place::{At, Field, List, Place};
pub use settings::{Setting, Settings};

use crate::diagnostics::{Diagnostic, Diagnostics, Span};
use table::{Report, Table};

/// The one version of the spec there is.
pub const VERSION: i64 = 1;

/// The longest spec that is read, in bytes: 512 daemons take about a quarter of it.
pub const LONGEST: usize = 1024 * 1024;

/// One machine and its Docker daemons, each a zone of its own with its own network: what `dmhost` reads, and nothing else.
///
/// The file is TOML in UTF-8, at most 1 MiB. A key that is not described here is an error, and so is a section without
/// effect; nothing is guessed. `dmhost check` reports everything that is wrong with a spec at once.
///
/// ```toml
/// version = 1
///
/// [host]
/// name = "atlas"
///
/// [interfaces.trunk]
/// nic = { mac = "52:54:00:00:00:02" }
///
/// [interfaces.web]
/// vlan = { parent = "trunk", id = 10 }
/// addresses = ["198.51.100.2/24"]
/// gateways = ["198.51.100.1"]
///
/// [daemons.web]
/// interfaces = ["web"]
/// api = {}
/// ```
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields, title = "dmhost host spec")]
pub struct HostSpec {
    /// The file's name, for reports.
    #[schemars(skip)]
    pub file: String,
    /// The text it was read from, which every span points into.
    #[schemars(skip)]
    pub text: String,
    /// The version of the language that the file is written in. There is one.
    ///
    /// Example: `version = 1`
    #[schemars(extend("enum" = [VERSION]))]
    pub version: Field<i64>,
    /// The machine itself: its name, operating system and disk.
    ///
    /// ```toml fragment
    /// [host]
    /// name = "atlas"
    /// base = "debian-13"
    /// kernel = "cloud"
    /// disk = "64GiB"
    /// ```
    pub host: Field<Host>,
    /// Its network interfaces, in source order, each a section `[interfaces.NAME]`.
    ///
    /// Absent: none, and so no daemon either.
    ///
    /// Example: `interfaces = { lan = { nic = { name = "enp1s0" }, addresses = ["192.0.2.10/24"] } }`
    #[schemars(default, schema_with = "schema::interfaces")]
    pub interfaces: Vec<Interface>,
    /// What daemons share, written once. A key of a daemon stands over it.
    ///
    /// Absent: nothing is shared.
    ///
    /// ```toml fragment
    /// [defaults]
    /// settings = { log-driver = "journald" }
    /// resources = { tasks-max = 4096 }
    /// ```
    #[schemars(default)]
    pub defaults: Defaults,
    /// The Docker daemons, in source order, each a section `[daemons.NAME]`.
    ///
    /// Absent: a host without Docker.
    ///
    /// Example: `daemons = { web = { interfaces = ["web"] } }`
    #[schemars(default, schema_with = "schema::daemons")]
    pub daemons: Vec<Daemon>,
    /// Your own lines of the proof, each a section `[[expect]]`.
    ///
    /// Absent: the proof asks what follows from the plan.
    ///
    /// Example: `expect = [{ from = "vlan:lab", to = "daemon:web", port = "443/tcp", verdict = "silent" }]`
    #[schemars(default, rename = "expect", schema_with = "schema::expects")]
    pub expects: Vec<Expect>,
}

impl HostSpec {
    /// Reads a spec.
    ///
    /// # Errors
    /// All problems of shape at once. For these together with all problems of meaning, see
    /// [`crate::plan_from_toml`].
    pub fn from_toml(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let (spec, report) = Self::read(file, text);
        match spec {
            Some(spec) if report.is_empty() => Ok(spec),
            Some(_) | None => Err(Diagnostics::new(file, text, report)),
        }
    }

    /// Reads as much of a spec as can be read. `None` if nothing of use can follow: no TOML, or another version.
    pub(crate) fn read(file: &str, text: &str) -> (Option<Self>, Report) {
        match document(text) {
            Ok(document) => Self::read_document(file, text, document.get_ref()),
            Err(report) => (None, report),
        }
    }

    /// [`Self::read`] for what was parsed already. The text is what the places in `document` point into.
    pub(crate) fn read_document(file: &str, text: &str, document: &DeTable<'_>) -> (Option<Self>, Report) {
        let mut report = Report::new();
        let whole = Place { path: String::new(), key: 0..0, value: 0..0 };
        let mut root = Table::new(whole, document);
        let Some(version) = version(&mut root, &mut report) else {
            return (None, report);
        };

        let host = host::read(root.table("host", &mut report), &mut report);
        let interfaces = named(root.table("interfaces", &mut report), "interfaces.lan", interface::read, &mut report);
        let defaults = defaults::read(root.table("defaults", &mut report), &mut report);
        let daemons = named(root.table("daemons", &mut report), "daemons.web", daemon::read, &mut report);
        let expects = match root.tables("expect", &mut report) {
            Field::Given(list) => {
                list.value.items.into_iter().map(|table| expect::read(table.value, &mut report)).collect()
            }
            Field::Absent | Field::Bad => Vec::new(),
        };
        let place = root.place.clone();
        let meant = root.finish(&mut report);
        if host.is_absent() && !meant.has("host") {
            let help = "write `[host]` and below it `name = \"atlas\"`";
            report.push(place.key_error("missing-key", "the spec has no section `[host]`").help(help));
        }

        let (file, text) = (file.to_owned(), text.to_owned());
        let spec = Self { file, text, version, host, interfaces, defaults, daemons, expects };
        (Some(spec), report)
    }
}

/// The text of a spec's bytes.
pub(crate) fn utf8<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Diagnostics> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        // What comes before is UTF-8, as the error says.
        let text = String::from_utf8_lossy(&bytes[..at]);
        let message = format!("a host spec is UTF-8, and byte {at} of this file is not");
        let diagnostic = Diagnostic::error("not-utf8", "", at..at, message).help("save the file as UTF-8");
        Diagnostics::new(file, text, vec![diagnostic])
    })
}

/// The TOML of a spec, or every reason why it is none.
pub(crate) fn document(text: &str) -> Result<Spanned<DeTable<'_>>, Report> {
    if text.len() > LONGEST {
        let message = format!("a host spec has at most {} MiB, and this file has {} bytes", LONGEST >> 20, text.len());
        return Err(vec![Diagnostic::error("file-too-big", "", 0..0, message).help("give the host spec's file")]);
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(document);
    }
    let end = text.len()..text.len();
    Err(errors.iter().map(|error| syntax(text, error.message(), error.span().unwrap_or(end.clone()))).collect())
}

/// `version`; `None` if the spec is of one that cannot be read.
fn version(root: &mut Table<'_>, report: &mut Report) -> Option<Field<i64>> {
    let help = format!("write `version = {VERSION}`");
    let version = root.integer("version", report);
    match &version {
        Field::Absent => {
            let message = "the file does not say which version of the host spec it is";
            report.push(root.place.key_error("version-missing", message).help(format!("{help} on the first line")));
        }
        Field::Bad => {}
        Field::Given(at) if at.value == VERSION => {}
        Field::Given(at) if at.value > VERSION => {
            let message = format!(
                "version {} of the host spec is newer than this dmhost, which reads version {VERSION}",
                at.value
            );
            report.push(at.place.error("version-newer", message).help("use a newer dmhost"));
            return None;
        }
        Field::Given(at) => {
            report.push(
                at.place
                    .error("version-unknown", format!("there is no version {} of the host spec", at.value))
                    .help(help),
            );
        }
    }
    Some(version)
}

/// A table whose keys are names: every one of them read by `read`, in source order.
fn named<T>(
    table: Field<Table<'_>>,
    example: &str,
    read: impl Fn(At<String>, Table<'_>, &mut Report) -> T,
    report: &mut Report,
) -> Vec<T> {
    let Field::Given(At { value: mut table, place }) = table else {
        return Vec::new();
    };
    if table.is_empty() {
        let message = format!("an empty {} has no effect", words::quoted(&place.path));
        report.push(place.key_error("no-effect", message).help(format!("leave it out, or write `[{example}]`")));
    }
    let mut all = Vec::new();
    for entry in table.take_all() {
        if let Some(below) = entry.table(report) {
            let name = At { value: entry.key.to_owned(), place: entry.place };
            all.push(read(name, below, report));
        }
    }
    all
}

/// A TOML error as a diagnostic; the parser's messages may have several lines.
pub(crate) fn syntax(text: &str, message: &str, span: Span) -> Diagnostic {
    let message: Vec<_> = message.lines().map(str::trim).collect();
    let message = message.join("; ");
    let help = toml_help::help(text, &message, &span);
    Diagnostic::error("toml-syntax", "", span, format!("this is no TOML: {}", words::plain(&message, 200))).help(help)
}
