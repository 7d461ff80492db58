//! `docs/host-spec.schema.json` and `docs/spec.md` are what dmhost makes.

use std::collections::BTreeSet;

use dmhost_layout::reference::{markdown, schema};
use fs_err as fs;

use super::repository;

/// Compares a file with what it must be, or writes it if that was asked for.
fn compare(path: &str, made: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(&file, made).expect("the file can be written");
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let first = there.lines().zip(made.lines()).position(|(one, other)| one != other);
    assert!(
        there == made,
        "{path} is not what dmhost makes, from line {}: run `UPDATE_DOCS=1 cargo test -p dmhost-layout --test reference \
         checked_in` and look at the difference",
        first.unwrap_or(there.lines().count().min(made.lines().count())) + 1
    );
}

#[test]
fn the_schema_is() {
    compare("docs/host-spec.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_page_is() {
    compare("docs/spec.md", &markdown());
}

#[test]
fn every_link_of_the_page_leads_to_one_heading() {
    let page = markdown();
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    let mut code = false;
    let mut headings = BTreeSet::new();
    for line in page.lines() {
        code ^= line.starts_with("```");
        if !code && line.starts_with('#') {
            let heading = slug(line.trim_start_matches('#').trim());
            assert!(headings.insert(heading), "{line} is there twice");
        }
    }
    let links: Vec<_> =
        page.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect();
    assert!(links.len() > 50, "{} links", links.len());
    for link in links {
        assert!(headings.contains(link), "no heading is called {link}");
    }
}
