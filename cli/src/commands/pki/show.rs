//! `dmhost pki show`: a table of what stands in the PKI folder. Facts of certificates alone, never of keys.

use std::time::SystemTime;

use dmhost_pki::{CertificateFacts, CertificateInfo, CertificateKind, Pki};
use serde_json::{Value, json};

use crate::args;
use crate::commands::plan;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(args: &args::PkiShow, terminal: &Terminal) -> Result<(), Failure> {
    let plan = plan(&args.spec.path, terminal)?;
    let folder = Pki::path_for(&args.spec.path);
    let pki = Pki::open(&folder).map_err(Failure::of_input)?;
    let shown = pki.show(&plan, SystemTime::now(), args.days).map_err(Failure::of_input)?;
    let usable = shown.iter().all(|info| info.problems.is_empty());
    if terminal.json() {
        let all: Vec<_> = shown.iter().map(object).collect();
        let whole = json!({ "folder": folder, "days": args.days, "usable": usable, "certificates": all });
        terminal.print(format!("{whole:#}"))?;
    } else {
        terminal.print(table(&shown))?;
    }
    if usable { Ok(()) } else { Err(Failure::No) }
}

/// What it is for, in a word or two, and the client's name if it is one's.
fn role(kind: &CertificateKind) -> (&'static str, Option<String>) {
    match kind {
        CertificateKind::ServerCa => ("server-ca", None),
        CertificateKind::ClientCa(_) => ("client-ca", None),
        CertificateKind::Server(_) => ("server", None),
        CertificateKind::Client(_, who) => ("client", Some(who.to_string())),
    }
}

fn object(info: &CertificateInfo) -> Value {
    let (role, client) = role(&info.kind);
    let facts = |tell: fn(&CertificateFacts) -> Value| info.facts.as_ref().map_or(Value::Null, tell);
    json!({
        "daemon": info.daemon.as_ref().map(ToString::to_string),
        "role": role,
        "client": client,
        "path": info.path,
        "subject": facts(|facts| json!(facts.subject)),
        "names": facts(|facts| json!(facts.names)),
        "addresses": facts(|facts| json!(facts.addresses)),
        "serial": facts(|facts| json!(facts.serial)),
        "sha256": facts(|facts| json!(facts.fingerprint)),
        "not_after": facts(|facts| json!(facts.end())),
        "days_left": facts(|facts| json!(facts.days_left)),
        "key_in_folder": info.key,
        "problems": info.problems,
    })
}

/// A line per certificate, and below it what it names, its fingerprint and what is wrong.
fn table(shown: &[CertificateInfo]) -> String {
    const HEAD: [&str; 6] = ["daemon", "role", "ends", "days", "state", "subject"];
    let rows: Vec<[String; 6]> = shown.iter().map(row).collect();
    let widths: Vec<usize> = (0..HEAD.len() - 1)
        .map(|column| rows.iter().map(|row| row[column].len()).chain([HEAD[column].len()]).max().unwrap_or(0))
        .collect();
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(widths.iter().chain([&0])).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&HEAD);
    let indent = " ".repeat(widths[0] + 2);
    for (info, row) in shown.iter().zip(&rows) {
        text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(facts) = &info.facts {
            let names: Vec<_> = facts.addresses.iter().map(ToString::to_string).chain(facts.names.clone()).collect();
            if !names.is_empty() {
                text += &format!("{indent}for {}\n", names.join(" "));
            }
            text += &format!("{indent}sha256 {}\n", facts.fingerprint);
        }
        for problem in &info.problems {
            text += &format!("{indent}! {problem}\n");
        }
    }
    text
}

fn row(info: &CertificateInfo) -> [String; 6] {
    let (role, client) = role(&info.kind);
    let role = client.map_or(role.to_owned(), |who| format!("{role} {who}"));
    let day = |end: String| end.split('T').next().unwrap_or_default().to_owned();
    [
        info.daemon.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        role,
        info.facts.as_ref().map_or_else(|| "-".to_owned(), |facts| day(facts.end())),
        info.facts.as_ref().map_or_else(|| "-".to_owned(), |facts| facts.days_left.to_string()),
        if info.problems.is_empty() { "ok" } else { "no" }.to_owned(),
        info.facts.as_ref().map_or_else(|| "-".to_owned(), |facts| facts.subject.clone()),
    ]
}
