//! `dmhost lint`: what others wrote, judged alone and together.

use camino::Utf8PathBuf;
use dmhost_layout::Diagnostics;
use serde_json::Value;

use super::read_spec;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(files: &[Utf8PathBuf], terminal: &Terminal) -> Result<(), Failure> {
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        // A byte that is no UTF-8 stands in no key that dockerd knows: what is judged is the rest.
        texts.push((file.as_str(), String::from_utf8_lossy(&read_spec(file)?).into_owned()));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(file, text)| (*file, text.as_str())).collect();
    let reports = dmhost_layout::lint(&texts);
    if terminal.json() {
        let all: Vec<Value> = reports.iter().flat_map(listed).collect();
        terminal.print(format!("{:#}", serde_json::json!({ "diagnostics": all })))?;
    } else {
        let texts: Vec<String> = reports.iter().map(|report| report.render(terminal.color_out())).collect();
        let told: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        terminal.print(told.join("\n"))?;
    }
    if reports.iter().any(Diagnostics::has_errors) { Err(Failure::No) } else { Ok(()) }
}

fn listed(report: &Diagnostics) -> Vec<Value> {
    match report.to_json().get_mut("diagnostics").map(Value::take) {
        Some(Value::Array(list)) => list,
        Some(_) | None => Vec::new(),
    }
}
