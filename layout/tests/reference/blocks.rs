//! Every example in the documents is good: a block of TOML is a whole spec, or after the word `fragment` a part of
//! `examples/atlas.toml`, put in place of what that has there. A block of `json daemon.json` is linted.

use dmhost_layout::{lint, plan_from_toml};
use fs_err as fs;
use toml::Table as Toml;

use super::repository;
use super::tables::atlas;

/// A block of code: the file, the line of its fence, what follows the fence, and the code.
struct Block {
    place: String,
    info: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let docs =
        fs::read_dir(repository("docs")).expect("docs/ is there").map(|entry| entry.expect("it can be read").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut all = Vec::new();
    for path in pages.chain([repository("README.md")]) {
        let page = fs::read_to_string(&path).expect("a page is text");
        let mut open: Option<Block> = None;
        for (number, line) in page.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(info), None) => {
                    let place = format!("{}:{}", path.display(), number + 1);
                    open = Some(Block { place, info: info.to_owned(), text: String::new() });
                }
                (Some(_), Some(block)) => all.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{} closes its blocks", path.display());
    }
    all
}

/// The example with these sections in place of its own: a whole `[interfaces.NAME]` or `[daemons.NAME]`, single keys of
/// `[host]`, and whatever else stands at the top.
fn completed(fragment: Toml) -> Toml {
    let mut whole = atlas();
    for (section, value) in fragment {
        match (whole.get_mut(&section), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(own)) if section != "defaults" => there.extend(own),
            (_, value) => {
                whole.insert(section, value);
            }
        }
    }
    whole
}

#[test]
fn every_spec_and_every_part_of_one_plans() {
    let (mut specs, mut fragments) = (0, 0);
    for Block { place, info, text } in blocks() {
        let text = match info.as_str() {
            "toml" => {
                specs += 1;
                text
            }
            "toml fragment" => {
                fragments += 1;
                let fragment = toml::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
                toml::to_string(&completed(fragment)).expect("a document can be written")
            }
            other => {
                assert!(!other.starts_with("toml"), "{place}: `{other}` is neither a spec nor a fragment");
                continue;
            }
        };
        let (plan, diagnostics) = plan_from_toml(&place, &text);
        assert!(plan.is_some() && diagnostics.is_empty(), "{}", diagnostics.render(false));
    }
    assert!(specs > 1 && fragments > 5, "{specs} specs and {fragments} fragments");
}

#[test]
fn every_daemon_json_is_one_that_dockerd_takes() {
    for Block { place, text, .. } in blocks().into_iter().filter(|block| block.info == "json daemon.json") {
        let reports = lint(&[(&place, &text)]);
        assert!(!reports[0].has_errors(), "{}", reports[0].render(false));
    }
}

#[test]
fn a_block_of_json_says_whose_it_is() {
    for Block { place, info, text } in blocks().into_iter().filter(|block| block.info.starts_with("json")) {
        assert!(["json", "json daemon.json"].contains(&info.as_str()), "{place}: {info}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{place} is JSON");
    }
}
