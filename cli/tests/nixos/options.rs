//! What the module makes of each example: every file of the layout with the option that takes it, and every option's value.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Nixos, Target, evaluated, layout_of, render_for, root};

#[test]
fn each_example_is_these_options() {
    let examples: Vec<_> =
        super::specs().into_iter().filter(|path| path.starts_with(root().join("examples"))).collect();
    let all = evaluated(&examples);
    let takers: BTreeMap<String, String> = serde_json::from_value(all["takers"].clone()).unwrap();
    for (path, of) in examples.iter().zip(all["specs"].as_array().unwrap()) {
        let (plan, _) = layout_of(&fs_err::read_to_string(path).unwrap());
        let layout = render_for(&plan, &Target::Nixos(Nixos::default()));
        let taken: BTreeMap<&str, Option<&str>> = layout
            .iter()
            .map(|(path, _)| {
                let below = path.as_str().strip_prefix("/etc/").unwrap_or_default();
                let taker = takers.iter().find(|(place, _)| {
                    if place.ends_with('/') { below.starts_with(place.as_str()) } else { below == place.as_str() }
                });
                (path.as_str(), taker.map(|(_, option)| option.as_str()))
            })
            .filter(|(path, taker)| taker.is_some() || !plan.host.files.iter().any(|file| file.path == *path))
            .collect();
        let shown: Value = json!({ "taken": taken, "overridden": of["clashes"], "said": of["values"] });
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("../snapshots/nixos");
        let name = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(name, serde_json::to_string_pretty(&shown).unwrap()));
    }
}
