//! The report as one page without scripts: topology, heat map with the frames behind each cell, facts and boot.

use std::collections::{BTreeMap, BTreeSet};

use dmhost_layout::graph::drawing;
use dmhost_layout::plan::HostPlan;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Cell, Report};
use crate::proof::question::{Question, Target, Vantage, Verdict};
use crate::proof::timeline::Span;

const STYLE: &str = include_str!("page.css");

/// Units that are drawn at most: those that took longest.
const BARS: usize = 30;

/// The page. `frames` has the frames that cells name, in words.
pub(super) fn page(report: &Report, plan: &HostPlan, frames: &BTreeMap<u64, String>) -> String {
    let host = &plan.host.name;
    let red = report.cells.iter().filter(|cell| !cell.holds()).count()
        + report.facts.iter().filter(|fact| !fact.holds).count();
    let sum = format!(
        "{} cells and {} facts, {} probes, {} frames",
        report.cells.len(),
        report.facts.len(),
        report.probes,
        report.frames
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Who reaches what on " (host) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Who reaches what on " (host) }
                @if red == 0 {
                    p.sum.good { strong { "All as planned" } ": " (sum) }
                } @else {
                    p.sum.bad { strong { (red) " not as planned" } ": " (sum) }
                }
                @for warning in report.warnings() { p.sum.bad { strong { "Warning" } ": " (warning) } }
                (PreEscaped(drawing(plan, 1).svg()))
                h2 { "The matrix" }
                (legend())
                @for (target, cells) in by_target(&report.cells) { (matrix(target, &cells)) }
                h2 { "Facts" }
                (facts(report))
                @if !report.boot.is_empty() {
                    h2 { "Boot" }
                    (boot(&report.boot))
                }
                h2 { "Every cell" }
                @for (number, cell) in report.cells.iter().enumerate() { (section(number, cell, frames)) }
            }
        }
    }
    .into_string()
}

/// Cells with their numbers, by the address that was asked.
fn by_target(cells: &[Cell]) -> Vec<(&Target, Vec<(usize, &Cell)>)> {
    let mut groups: Vec<(&Target, Vec<(usize, &Cell)>)> = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        let target = &cell.question.target;
        match groups.iter_mut().find(|(of, _)| *of == target) {
            Some((_, group)) => group.push((number, cell)),
            None => groups.push((target, vec![(number, cell)])),
        }
    }
    groups
}

fn legend() -> Markup {
    let all =
        [Verdict::Serves, Verdict::Denies, Verdict::Refuses, Verdict::Silent, Verdict::Unproven, Verdict::Strange];
    html! {
        p.legend {
            @for verdict in all {
                span.{ "cell " (verdict) } { (verdict.letter()) } " " (verdict) " \u{a0} "
            }
            span."cell red" { "!" } " not as planned"
        }
    }
}

/// One address: a row for each vantage, a column for each question.
fn matrix(target: &Target, cells: &[(usize, &Cell)]) -> Markup {
    let mut asks: Vec<String> = Vec::new();
    let mut rows: BTreeMap<&Vantage, BTreeMap<String, (usize, &Cell)>> = BTreeMap::new();
    for (number, cell) in cells {
        let ask = cell.question.ask.to_string();
        if !asks.contains(&ask) {
            asks.push(ask.clone());
        }
        rows.entry(&cell.question.vantage).or_default().insert(ask, (*number, cell));
    }
    html! {
        table.matrix {
            caption { (target) }
            thead { tr { th {} @for ask in &asks { th { span { (ask) } } } } }
            tbody {
                @for (vantage, row) in &rows {
                    tr {
                        th { (vantage) }
                        @for ask in &asks {
                            @if let Some((number, cell)) = row.get(ask) { (heat(*number, cell)) } @else { td {} }
                        }
                    }
                }
            }
        }
    }
}

fn heat(number: usize, cell: &Cell) -> Markup {
    let Question { expected, ask, vantage, target } = &cell.question;
    let observed = cell.observed;
    let class = if cell.holds() { format!("cell {observed}") } else { "cell red".to_owned() };
    html! {
        td class=(class) {
            a href={ "#cell-" (number) } title={ (vantage) " → " (target) " " (ask) ": expected " (expected) ", observed " (observed) } {
                (observed.letter()) @if !cell.holds() { "!" } @else if cell.is_open() { "*" }
            }
        }
    }
}

fn facts(report: &Report) -> Markup {
    html! {
        table.facts {
            @for fact in &report.facts {
                tr.{ @if fact.holds { "good" } @else { "bad" } } {
                    td { @if fact.holds { "ok" } @else { "FAIL" } }
                    th { (fact.name) }
                    td { pre { (fact.found.trim_end()) } }
                }
            }
        }
    }
}

/// Bars over time, of the units that took longest.
fn boot(spans: &[Span]) -> Markup {
    let end = spans.iter().map(|span| span.done).max().unwrap_or(1).max(1);
    let mut lengths: Vec<u64> = spans.iter().map(|span| span.done - span.begun).collect();
    lengths.sort_unstable_by(|one, next| next.cmp(one));
    let least = lengths.get(BARS).copied().unwrap_or(0);
    let long = spans.iter().filter(|span| span.name.starts_with('[') || span.done - span.begun > least);
    // Microseconds as percents with three places: what is drawn needs no more.
    let percent = |micros: u64| format!("{}.{:03}%", micros * 100 / end, micros * 100_000 / end % 1000);
    let seconds = |micros: u64| format!("{}.{:02} s", micros / 1_000_000, micros / 10_000 % 100);
    html! {
        table.boot {
            @for span in long {
                tr {
                    th { (span.name) }
                    td { (seconds(span.done - span.begun)) }
                    td.track {
                        div.bar style={ "margin-left:" (percent(span.begun)) ";width:" (percent(span.done - span.begun)) } title={ (seconds(span.begun)) " to " (seconds(span.done)) } {}
                    }
                }
            }
        }
    }
}

fn section(number: usize, cell: &Cell, frames: &BTreeMap<u64, String>) -> Markup {
    let Question { vantage, target, ask, expected } = &cell.question;
    html! {
        section id={ "cell-" (number) } {
            h3.{ @if cell.holds() { "good" } @else { "bad" } } { (vantage) " → " (target) ": " (ask) }
            p { "Expected " (expected) ", observed " strong { (cell.observed) } "." }
            @if !cell.note.is_empty() { pre { (cell.note.trim_end()) } }
            @for frame in shown(cell) {
                @if let Some(words) = frames.get(&frame) { pre.frame { "frame " (frame) ": " (words) } }
            }
        }
    }
}

/// More frames of one cell are no help.
fn shown(cell: &Cell) -> impl Iterator<Item = u64> + '_ {
    cell.frames.iter().take(4).copied()
}

/// The frames that the page shows.
pub(super) fn wanted(report: &Report) -> BTreeSet<u64> {
    report.cells.iter().flat_map(shown).collect()
}
