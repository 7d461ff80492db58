//! The proof: virtual machines, the fabric between them, and who can reach what.

pub mod bed;
pub mod costs;
pub mod fabric;
pub mod guest;
pub mod lab;
pub mod mutants;
pub mod proof;
mod raised;
mod states;
pub mod truth;
pub mod vm;

/// The plan of one of the repository's examples.
#[cfg(test)]
fn example(name: &str) -> dmhost_layout::HostPlan {
    let spec = format!("{}/../examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = fs_err::read_to_string(&spec).expect("the example is there");
    let (plan, diagnostics) = dmhost_layout::plan_from_toml(&spec, &text);
    plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}
