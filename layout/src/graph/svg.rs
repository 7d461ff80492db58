//! A drawing as SVG: one file, no script, light or dark as the reader has it.

use super::{Drawing, Drawn, Part};

/// A cell in pixels: monospaced letters of 13 px are at most 8 wide.
const CELL: (usize, usize) = (8, 18);

/// Around everything, in pixels.
const MARGIN: usize = 20;

/// Lines and the bars of boxes by zone; what is nobody's zone is grey. They are told apart without colours too.
const ZONES: [&str; 6] = ["#2f6fde", "#c2410c", "#15803d", "#9333ea", "#b45309", "#0e7490"];
const DARK_ZONES: [&str; 6] = ["#7aa7f7", "#fb923c", "#4ade80", "#c084fc", "#facc15", "#22d3ee"];

impl Drawing {
    /// The drawing as an SVG document.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width * CELL.0 + 2 * MARGIN, self.height * CELL.1 + 2 * MARGIN);
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{}</style>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n",
            style()
        );
        for line in &self.lines {
            let zone = class(line.zone);
            let (x, bus, to) = (across(line.from) + CELL.0 / 2, across(line.bus), across(line.to) - CELL.0 / 2);
            let (y, to_y) = (down(line.row), down(line.to_row));
            svg.push_str(&format!("<path class=\"line {zone}\" d=\"M{x} {y}H{bus}V{to_y}H{to}\"/>\n"));
        }
        for drawn in &self.boxes {
            svg.push_str(&boxed(drawn));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// The middle of a column of cells.
fn across(column: usize) -> usize {
    MARGIN + column * CELL.0 + CELL.0 / 2
}

/// The middle of a row of cells.
fn down(row: usize) -> usize {
    MARGIN + row * CELL.1 + CELL.1 / 2
}

fn boxed(drawn: &Drawn) -> String {
    let zone = class(drawn.zone);
    let part = match drawn.part {
        Part::Nic => "nic",
        Part::Vlan => "vlan",
        Part::Owner => "owner",
        Part::Endpoint => "endpoint",
    };
    let (x, y) = (across(drawn.left) - CELL.0 / 2, down(drawn.top));
    let (width, height) = (drawn.width * CELL.0, (drawn.height() - 1) * CELL.1);
    let mut svg = format!(
        "<rect class=\"box {part}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>\n\
         <rect class=\"bar {zone}\" x=\"{x}\" y=\"{y}\" width=\"5\" height=\"{height}\" rx=\"2\"/>\n"
    );
    for (n, line) in drawn.text.iter().enumerate() {
        let class = if n == 0 { "title" } else { "fact" };
        let (x, y) = (across(drawn.left + 2) - CELL.0 / 2, down(drawn.top + 1 + n) + 5);
        svg.push_str(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", escaped(line)));
    }
    svg
}

fn class(zone: Option<usize>) -> String {
    zone.map_or("own".to_owned(), |zone| format!("z{}", zone % ZONES.len()))
}

/// No variables: not every viewer of SVG has them.
fn style() -> String {
    let colours = |zones: &[&str], own: &str| {
        let mut rules = format!(".line.own{{stroke:{own}}}.bar.own{{fill:{own}}}\n");
        for (n, colour) in zones.iter().enumerate() {
            rules.push_str(&format!(".line.z{n}{{stroke:{colour}}}.bar.z{n}{{fill:{colour}}}\n"));
        }
        rules
    };
    format!(
        "text{{font:13px ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:#1f2328;white-space:pre}}\n\
         .title{{font-weight:bold}}\n.fact{{fill:#4b535d}}\n.page{{fill:#fff}}\n\
         .box{{fill:#f6f8fa;stroke:#c4ccd4}}\n.owner{{fill:#eaeef2}}\n.line{{fill:none;stroke-width:1.5;stroke-linejoin:round}}\n{}\
         @media (prefers-color-scheme:dark){{\ntext{{fill:#e6edf3}}\n.fact{{fill:#a5b0bc}}\n.page{{fill:#0d1117}}\n\
         .box{{fill:#161b22;stroke:#3d444d}}\n.owner{{fill:#21262d}}\n{}}}\n",
        colours(&ZONES, "#6b7681"),
        colours(&DARK_ZONES, "#8b949e")
    )
}

/// Text as XML has it; what XML has no place for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn markup_in_a_name_is_text() {
        assert_eq!(escaped("<a b=\"c\">&\u{1b}[0m"), "&lt;a b=&quot;c&quot;&gt;&amp;[0m");
    }
}
