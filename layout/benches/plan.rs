//! How long `check` and `render` take by the number of daemons. Both are to grow with it and no faster; 64 daemons, from
//! text to layout, have 50 ms as a whole process.

use camino::Utf8Path;
use dmhost_layout::blame::{Scope, blame};
use dmhost_layout::{lint, plan_from_toml, render};
use hosts::spec;

mod hosts;

const DAEMONS: [usize; 4] = [1, 8, 64, 512];

fn main() {
    divan::main();
}

#[divan::bench(args = DAEMONS)]
fn check(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| {
        let (plan, diagnostics) = plan_from_toml("host.toml", &text);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
        plan
    });
}

#[divan::bench(args = DAEMONS)]
fn render_a_plan(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let (plan, _) = plan_from_toml("host.toml", &spec(daemons));
    let plan = plan.expect("the spec is good");
    bencher.bench(|| render(&plan));
}

#[divan::bench(args = DAEMONS)]
fn check_and_render(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| plan_from_toml("host.toml", &text).0.map(|plan| render(&plan)));
}

#[divan::bench(args = DAEMONS)]
fn lint_what_was_rendered(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let (plan, _) = plan_from_toml("host.toml", &spec(daemons));
    let layout = render(&plan.expect("the spec is good"));
    let files: Vec<_> = layout
        .iter()
        .filter(|(path, _)| path.file_name() == Some("daemon.json"))
        .filter_map(|(path, _)| Some((path.as_str(), layout.text_at(path)?)))
        .collect();
    bencher.bench(|| lint(&files));
}

/// Every value and section is asked about, and each question is a check and a render: quadratic by nature.
#[divan::bench(args = [2, 16], sample_count = 5, sample_size = 1)]
fn blame_everything(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| blame("host.toml", &text, Scope::Everything).0);
}

#[divan::bench(args = [2, 16, 64], sample_count = 5, sample_size = 1)]
fn blame_a_line(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    let path = Utf8Path::new("/etc/dmhost/d1/daemon.json");
    bencher.bench(|| blame("host.toml", &text, Scope::Line(path, 2)).0);
}

#[divan::bench(args = [2, 16, 64], sample_count = 5, sample_size = 1)]
fn blame_a_line_of_the_spec(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| blame("host.toml", &text, Scope::Spec(11)).0);
}
