//! The matrix as text, to be grasped at a glance: first who reaches whom at all, then one block for each target with its
//! vantages as rows. A vantage that sees nothing but silence, as promised, is named in one line.
//!
//! Where several addresses or questions share a place, the worst is shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use dmhost_layout::plan::Protocol;

use super::{Cell, Paint};
use crate::proof::question::{Ask, Credential, Place, Question, Vantage, Verdict};

/// No line is wider, as far as names allow.
const WIDTH: usize = 120;

/// What is asked as one: the addresses of a subject, or those of a kind that nobody planned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Whom {
    rank: u8,
    name: String,
}

impl Whom {
    fn of(question: &Question) -> Self {
        let place = question.target.place;
        let (rank, name) = match place {
            Place::Planned => (0, question.target.subject.to_string()),
            Place::LinkLocal => (1, place.as_str().to_owned()),
            Place::AllNodes => (2, place.as_str().to_owned()),
            Place::Broadcast => (3, place.as_str().to_owned()),
            Place::Unplanned => (4, place.as_str().to_owned()),
            Place::Container => (5, place.as_str().to_owned()),
            Place::Bridge => (6, place.as_str().to_owned()),
        };
        Self { rank, name }
    }
}

/// A column: its place and its head.
type Column = (u8, String);

fn column(ask: &Ask) -> Column {
    let (rank, head) = match ask {
        Ask::Neighbour => (0, "arp"),
        Ask::Echo => (1, "echo"),
        Ask::Api { credential, .. } => match credential {
            Credential::Own => (2, "API"),
            Credential::Absent => (3, "none"),
            Credential::Other(_) => (4, "other"),
            Credential::Plaintext => (5, "plain"),
        },
        Ask::Unlisted { .. } => (6, "unlisted"),
        Ask::Published { port } | Ask::Listed { protocol: Protocol::Tcp, port } => return (7, format!(":{port}")),
        Ask::Port { port } => return (8, format!(":{port}")),
        Ask::Vacant { .. } => (9, "free"),
        Ask::OtherPorts { .. } | Ask::SomePorts { .. } => (10, "tcp"),
        Ask::Datagram { port } | Ask::Listed { protocol: Protocol::Udp, port } => return (11, format!("u{port}")),
        Ask::VacantDatagrams { .. } => (12, "ufree"),
        Ask::OtherDatagrams { .. } => (13, "udp"),
    };
    (rank, head.to_owned())
}

/// Cells that share a place, by the worst of them.
type Row<'a, K> = BTreeMap<K, &'a Cell>;

fn put<'a, K: Ord>(row: &mut Row<'a, K>, key: K, cell: &'a Cell) {
    let worst = row.entry(key).or_insert(cell);
    if worst.holds() && (!cell.holds() || cell.observed > worst.observed) {
        *worst = cell;
    }
}

/// Who reaches whom at all: a row for each vantage, a column for each target.
pub(super) fn overview(cells: &[Cell], paint: Paint) -> String {
    let mut rows: BTreeMap<&Vantage, Row<'_, Whom>> = BTreeMap::new();
    for cell in cells {
        put(rows.entry(&cell.question.vantage).or_default(), Whom::of(&cell.question), cell);
    }
    let mut all: Vec<Whom> = cells.iter().map(|cell| Whom::of(&cell.question)).collect();
    all.sort();
    all.dedup();
    let first = first(rows.keys().copied());
    let mut text = String::new();
    let mut left = &all[..];
    while !left.is_empty() {
        let mut width = first;
        let fits = left.iter().take_while(|whom| {
            width += 2 + whom.name.chars().count();
            width <= WIDTH
        });
        let (now, rest) = left.split_at(fits.count().max(1));
        left = rest;
        let heads: Vec<&str> = now.iter().map(|whom| whom.name.as_str()).collect();
        head(&mut text, first, "", &heads);
        for (vantage, row) in &rows {
            let letters = now.iter().map(|whom| (row.get(whom).copied(), whom.name.as_str()));
            line(&mut text, first, vantage, letters, paint);
        }
        text.push('\n');
    }
    text
}

/// A block for each target: what of it is seen from where.
pub(super) fn blocks(cells: &[Cell], paint: Paint) -> String {
    let mut blocks: BTreeMap<Whom, Vec<&Cell>> = BTreeMap::new();
    for cell in cells {
        blocks.entry(Whom::of(&cell.question)).or_default().push(cell);
    }
    let mut text = String::new();
    for (whom, cells) in blocks {
        let mut addresses: Vec<String> = cells.iter().map(|cell| cell.question.target.address.to_string()).collect();
        addresses.dedup();
        addresses.sort();
        addresses.dedup();
        let title = match whom.rank {
            0 => format!("{}: {}", whom.name, addresses.join(", ")),
            _ if addresses.len() == 1 => format!("{}: {}", whom.name, addresses[0]),
            _ => format!("{}: {} addresses", whom.name, addresses.len()),
        };
        let _ = writeln!(text, "{}", wrapped(&title, "  "));
        block(&mut text, &cells, paint);
        text.push('\n');
    }
    text
}

fn block(text: &mut String, cells: &[&Cell], paint: Paint) {
    let mut rows: BTreeMap<&Vantage, Row<'_, Column>> = BTreeMap::new();
    for cell in cells {
        put(rows.entry(&cell.question.vantage).or_default(), column(&cell.question.ask), cell);
    }
    let quiet = |row: &Row<'_, Column>| row.values().all(|cell| cell.holds() && cell.observed == Verdict::Silent);
    let (silent, told): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, row)| quiet(row));
    if !told.is_empty() {
        let mut columns: Vec<&Column> = told.iter().flat_map(|(_, row)| row.keys()).collect();
        columns.sort();
        columns.dedup();
        let heads: Vec<&str> = columns.iter().map(|(_, head)| head.as_str()).collect();
        let first = first(told.iter().map(|(vantage, _)| **vantage));
        head(text, first, "  from", &heads);
        for (vantage, row) in told {
            let letters = columns.iter().map(|column| (row.get(*column).copied(), column.1.as_str()));
            line(text, first, vantage, letters, paint);
        }
    }
    if !silent.is_empty() {
        let names: Vec<String> = silent.iter().map(|(vantage, _)| vantage.to_string()).collect();
        let _ = writeln!(text, "{}", wrapped(&format!("  all · from {}", names.join(", ")), "    "));
    }
}

/// The width of the first column, with its indent.
fn first<'a>(vantages: impl Iterator<Item = &'a Vantage>) -> usize {
    2 + vantages.map(|vantage| vantage.to_string().chars().count()).max().unwrap_or(0)
}

fn head(text: &mut String, first: usize, name: &str, heads: &[&str]) {
    let _ = writeln!(text, "{name:first$}  {}", heads.join("  "));
}

/// A row: each letter below the middle of its head.
fn line<'a>(
    text: &mut String,
    first: usize,
    vantage: &Vantage,
    letters: impl Iterator<Item = (Option<&'a Cell>, &'a str)>,
    paint: Paint,
) {
    let mut line = format!("{:first$}", format!("  {vantage}"));
    for (cell, head) in letters {
        let width = head.chars().count();
        let before = (width - 1) / 2;
        line.push_str("  ");
        line.push_str(&" ".repeat(before));
        let Some(cell) = cell else {
            line.push_str(&" ".repeat(width - before));
            continue;
        };
        let letter = cell.observed.letter().to_string();
        let (shown, taken) = match (cell.holds(), cell.observed) {
            (false, _) => (paint.red(&format!("{letter}!")), 2),
            (true, _) if cell.is_open() => (paint.red(&format!("{letter}*")), 2),
            (true, Verdict::Silent) => (letter, 1),
            (true, _) => (paint.green(&letter), 1),
        };
        line.push_str(&shown);
        line.push_str(&" ".repeat((width - before).saturating_sub(taken)));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// A text of words in lines of [`WIDTH`], those after the first indented.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    let lead: String = text.chars().take_while(|c| *c == ' ').collect();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let fresh = lines.len() == 1;
        let last = lines.len() - 1;
        let line = &mut lines[last];
        let before = if line.is_empty() { if fresh { &lead } else { indent } } else { " " };
        if line.is_empty() || line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push_str(before);
            line.push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::question::{Subject, Target};

    fn cell(vantage: &Vantage, (place, whose): (Place, &str), ask: Ask, expected: Verdict, observed: Verdict) -> Cell {
        let name = || whose.parse().expect("a name");
        let subject = if whose == "host" { Subject::Host } else { Subject::Daemon(name()) };
        let interface = if whose == "host" { "lan" } else { whose }.parse().expect("a name");
        let target =
            Target { subject, place, interface, address: "198.51.100.2".parse().expect("an address"), mac: None };
        let question = Question { vantage: vantage.clone(), target, ask, expected };
        Cell { question, observed, frames: vec![1], note: String::new() }
    }

    #[test]
    fn a_block_names_the_silent_and_marks_what_is_not_as_planned() {
        let near = Vantage::Vlan("web".parse().expect("a name"));
        let far = Vantage::Vlan("lab".parse().expect("a name"));
        let quiet = Vantage::Trunk("trunk".parse().expect("a name"));
        let rest = || Ask::OtherPorts { but: vec![80] };
        let (web, free) = ((Place::Planned, "web"), (Place::Unplanned, "web"));
        let cells = [
            cell(&near, web, Ask::Echo, Verdict::Serves, Verdict::Serves),
            cell(&near, web, rest(), Verdict::Silent, Verdict::Silent),
            cell(&far, web, Ask::Echo, Verdict::Silent, Verdict::Silent),
            cell(&far, web, rest(), Verdict::Silent, Verdict::Refuses),
            cell(&quiet, web, Ask::Echo, Verdict::Silent, Verdict::Silent),
            cell(&quiet, free, Ask::Echo, Verdict::Silent, Verdict::Silent),
        ];
        let paint = Paint { color: false };
        insta::assert_snapshot!(format!("{}{}", overview(&cells, paint), blocks(&cells, paint)), @r"
                       web  unplanned
          vlan:lab      R!
          vlan:web      S
          trunk:trunk   ·       ·

        web: 198.51.100.2
          from      echo  tcp
          vlan:lab   ·     R!
          vlan:web   S     ·
          all · from trunk:trunk

        unplanned: 198.51.100.2
          all · from trunk:trunk
        ");
    }

    #[test]
    fn an_open_api_is_marked_though_it_is_as_planned() {
        let near = Vantage::Vlan("web".parse().expect("a name"));
        let ask = Ask::Api { port: 2375, credential: Credential::Plaintext };
        let cells = [cell(&near, (Place::Planned, "web"), ask, Verdict::Serves, Verdict::Serves)];
        assert!(
            blocks(&cells, Paint { color: false }).contains("  vlan:web    S*"),
            "{}",
            blocks(&cells, Paint { color: false })
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let names: Vec<String> = (0..40).map(|nth| format!("daemon{nth}")).collect();
        let at = Vantage::Host;
        let cells: Vec<Cell> = names
            .iter()
            .map(|name| cell(&at, (Place::Planned, name), Ask::Echo, Verdict::Silent, Verdict::Silent))
            .collect();
        let text = overview(&cells, Paint { color: false });
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(names.iter().all(|name| text.contains(name.as_str())), "{text}");
        let long = wrapped(&format!("  {}", names.join(", ")), "    ");
        assert!(long.lines().count() > 1 && long.lines().all(|line| line.chars().count() <= WIDTH), "{long}");
    }
}
