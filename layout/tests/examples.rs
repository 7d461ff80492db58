//! Every spec in `examples/` plans without a word, but for what shared daemons cost.

use std::path::Path;

use dmhost_layout::plan_from_toml;
use fs_err as fs;

#[test]
fn every_example_plans_without_a_word_but_of_costs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("examples/ is there") {
        let path = entry.expect("examples/ can be read").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("an example is text");
        let (plan, diagnostics) = plan_from_toml(&path.display().to_string(), &text);
        let mut codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        codes.sort_unstable();
        let costs: &[&str] =
            if text.contains("isolation = \"shared\"") { &["shared-costs", "shared-publish"] } else { &[] };
        codes.dedup();
        assert_eq!(codes, costs, "{}", diagnostics.render(false));
        assert!(plan.is_some(), "{} has no plan", path.display());
        seen += 1;
    }
    assert!(seen > 0, "{} holds no example", folder.display());
}
