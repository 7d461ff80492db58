//! `dmhost explain`: what a code means and how it is right.

use anyhow::anyhow;
use dmhost_layout::diagnostics::{Code, codes, explain};

use crate::failure::Failure;
use crate::terminal::Terminal;

pub(super) fn run(code: Option<&str>, terminal: &Terminal) -> Result<(), Failure> {
    let entries = match code {
        None => codes(),
        Some(code) => vec![
            explain(code)
                .ok_or_else(|| Failure::Usage(anyhow!("there is no code {code:?}; `dmhost explain` lists them all")))?,
        ],
    };
    if terminal.json() {
        let all: Vec<_> = entries
            .iter()
            .map(|Code { code, title, explanation, example }| {
                serde_json::json!({ "code": code, "title": title, "explanation": explanation, "example": example })
            })
            .collect();
        return terminal.print(format!("{:#}", serde_json::json!({ "codes": all })));
    }
    let text = match (code, entries.as_slice()) {
        (Some(_), [Code { code, title, explanation, example }]) => {
            format!("{code}: {title}\n\n{explanation}\n\n{}\n", indented(example))
        }
        _ => entries.iter().map(|Code { code, title, .. }| format!("{code:32} {title}\n")).collect(),
    };
    terminal.print(text)
}

fn indented(example: &str) -> String {
    example.lines().map(|line| format!("    {line}\n")).collect()
}
