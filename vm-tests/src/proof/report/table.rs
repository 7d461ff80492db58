//! The matrix as text: one row per vantage, columns in groups. Where several addresses or questions share a place, the
//! worst is shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Cell, Paint};
use crate::proof::question::{Ask, Credential, Place, Question, Vantage, Verdict};

/// What a column stands for; columns of one group stand together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    group: (u8, String),
    rank: u8,
    head: String,
}

/// Columns for the addresses of the plan: a group for the host and one for each daemon.
pub(super) fn by_subject(question: &Question) -> Column {
    let (rank, head) = head(&question.ask);
    Column { group: (0, question.target.subject.to_string()), rank, head }
}

/// Columns for the addresses that nobody planned: a group for each kind.
pub(super) fn by_place(question: &Question) -> Column {
    let place = question.target.place;
    let (rank, head) = head(&question.ask);
    Column { group: (place_rank(place), place.as_str().to_owned()), rank, head }
}

fn place_rank(place: Place) -> u8 {
    match place {
        Place::Planned => 0,
        Place::LinkLocal => 1,
        Place::AllNodes => 2,
        Place::Broadcast => 3,
        Place::Unplanned => 4,
        Place::Container => 5,
        Place::Bridge => 6,
    }
}

fn head(ask: &Ask) -> (u8, String) {
    match ask {
        Ask::Neighbour => (0, "arp".to_owned()),
        Ask::Echo => (1, "echo".to_owned()),
        Ask::Api { credential, .. } => match credential {
            Credential::Own => (2, "API".to_owned()),
            Credential::Absent => (3, "none".to_owned()),
            Credential::Other(_) => (4, "other".to_owned()),
            Credential::Plaintext => (5, "plain".to_owned()),
        },
        Ask::Unlisted { .. } => (6, "unlisted".to_owned()),
        Ask::Published { port } => (7, format!(":{port}")),
        Ask::Port { port } => (8, format!(":{port}")),
        Ask::Vacant { .. } => (9, "free".to_owned()),
        Ask::OtherPorts { .. } | Ask::SomePorts { .. } => (10, "tcp".to_owned()),
        Ask::Datagram { port } => (11, format!("u{port}")),
        Ask::VacantDatagrams { .. } => (12, "ufree".to_owned()),
        Ask::OtherDatagrams { .. } => (13, "udp".to_owned()),
    }
}

/// The table of these cells.
pub(super) fn table<'a>(
    cells: impl Iterator<Item = &'a Cell>,
    column: impl Fn(&Question) -> Column,
    paint: Paint,
) -> String {
    let heads: Vec<(&Cell, Column)> = cells.map(|cell| (cell, column(&cell.question))).collect();
    let mut columns: Vec<&Column> = heads.iter().map(|(_, column)| column).collect();
    columns.sort();
    columns.dedup();
    let mut rows: BTreeMap<&Vantage, BTreeMap<&Column, &Cell>> = BTreeMap::new();
    for (cell, head) in &heads {
        let row = rows.entry(&cell.question.vantage).or_default();
        let worst = row.entry(head).or_insert(cell);
        if worst.holds() && (!cell.holds() || cell.observed > worst.observed) {
            *worst = cell;
        }
    }
    let groups: Vec<Group<'_>> = columns
        .chunk_by(|one, next| one.group == next.group)
        .map(|columns| Group { name: &columns[0].group.1, columns })
        .collect();
    let first = rows.keys().map(|vantage| vantage.to_string().len()).max().unwrap_or(0).max("from".len());
    let (mut names, mut heads) = (format!("{:first$}", ""), format!("{:first$}", "from"));
    for group in &groups {
        let width = group.width();
        let _ = write!(names, " | {:width$}", group.name);
        let words: Vec<&str> = group.columns.iter().map(|column| column.head.as_str()).collect();
        let _ = write!(heads, " | {:width$}", words.join(" "));
    }
    let mut text = format!("{}\n{}\n{}\n", names.trim_end(), heads.trim_end(), "-".repeat(heads.chars().count()));
    for (vantage, row) in rows {
        let mut line = format!("{:first$}", vantage.to_string());
        for group in &groups {
            line.push_str(" |");
            for column in group.columns {
                line.push(' ');
                line.push_str(&letter(row.get(column).copied(), column.head.chars().count(), paint));
            }
            line.push_str(&" ".repeat(group.width() - group.inner()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns that stand together under a name.
struct Group<'a> {
    name: &'a str,
    columns: &'a [&'a Column],
}

impl Group<'_> {
    /// What the columns take, with a space between them.
    fn inner(&self) -> usize {
        self.columns.iter().map(|column| column.head.chars().count() + 1).sum::<usize>() - 1
    }

    /// The same, or the name if it is wider.
    fn width(&self) -> usize {
        self.inner().max(self.name.chars().count())
    }
}

/// A cell's letter at the end of its column.
fn letter(cell: Option<&Cell>, width: usize, paint: Paint) -> String {
    let Some(cell) = cell else { return " ".repeat(width) };
    let mark = if cell.holds() { "" } else { "!" };
    let letter = format!("{}{mark}", cell.observed.letter());
    let room = " ".repeat(width.saturating_sub(letter.chars().count()));
    match (cell.holds(), cell.observed) {
        (false, _) => format!("{room}{}", paint.red(&letter)),
        (true, Verdict::Silent) => format!("{room}{letter}"),
        (true, _) => format!("{room}{}", paint.green(&letter)),
    }
}
