//! The pure core of dmhost: host spec -> plan -> layout.
//!
//! * [`spec`]: what the user wrote, with the place of every value;
//! * [`plan`]: every default, name, address, path and port decided; the last place that can refuse;
//! * [`layout`]: the ordered tree of files rendered from a plan by [`render()`]; never holds a secret;
//! * [`engine`]: what dockerd reads in its daemon.json, for `settings` and for [`lint()`], which judges files of others;
//! * [`reference`](mod@reference): the schema of a spec and the page of its keys, for editors and for people;
//! * [`draft`]: a first spec from what a machine is like;
//! * [`format()`]: the one style of specs;
//! * [`blame`]: which lines of a spec made which lines of its layout;
//! * [`graph`]: a drawing of a plan, as text and as SVG;
//! * [`diagnostics`]: what is wrong and where, and an explanation of every code.
//!
//! Nothing here touches files, clock, randomness or processes.

pub mod blame;
pub mod diagnostics;
pub mod draft;
pub mod engine;
mod format;
pub mod graph;
pub mod layout;
mod lint;
pub mod plan;
pub mod reference;
pub mod render;
pub mod spec;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use format::format;
pub use layout::{Content, CredentialId, Entry, Layout};
pub use lint::lint;
pub use plan::{HostPlan, plan_from_bytes, plan_from_toml, resolve};
pub use render::{render, render_for};
pub use spec::HostSpec;
