//! The proof of the proof: a mutant for every generated rule, bind address, sysctl, unit dependency and TLS key. Each is an edit
//! of the [`Layout`](dmhost_layout::Layout); a proof that stays green with it proves nothing of that line.
//!
//! * `make`: every mutant of a layout; `equivalent`: those that change nothing that can be seen, with the reason;
//! * `effect`: how an edit gets into a host: put into a restored one whose programs read it anew, or built into an image and booted;
//! * `behind`: those that stand behind another layer, which is opened for them;
//! * `run`: the proof of each, and the score.

mod behind;
mod effect;
mod equivalent;
mod make;
mod run;

pub use equivalent::equivalent;
pub use make::{Mutant, mutants};
pub use run::{Laboratory, Outcome, Score};
