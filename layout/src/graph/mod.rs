//! A drawing of a plan, from left to right: NICs, the VLANs on them, who has them, and what is reached there.
//!
//! [`drawing`] decides what stands where, in cells of one character; [`Drawing::text`] and [`Drawing::svg`] draw the same.

mod place;
mod say;
mod svg;
mod text;

use place::Line;
pub use text::Characters;

/// A plan, drawn: boxes and the lines between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    title: String,
    boxes: Vec<Drawn>,
    lines: Vec<Line>,
    width: usize,
    height: usize,
}

/// A box with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Drawn {
    part: Part,
    /// Which zone it belongs to, counted from 0; `None`: the host's own, or a NIC that carries several.
    zone: Option<usize>,
    /// The first line is its title.
    text: Vec<String>,
    left: usize,
    top: usize,
    width: usize,
}

impl Drawn {
    /// Rows, both borders among them.
    fn height(&self) -> usize {
        self.text.len() + 2
    }

    /// The row where lines leave and arrive.
    fn middle(&self) -> usize {
        self.top + self.height() / 2
    }
}

/// What a box is, which is its column too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Nic,
    Vlan,
    Owner,
    Endpoint,
}

pub use place::drawing;
