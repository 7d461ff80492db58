//! A drawing in characters: each cell knows in which directions a line leaves it, and that decides its character.

use super::Drawing;

const UP: u8 = 1;
const RIGHT: u8 = 2;
const DOWN: u8 = 4;
const LEFT: u8 = 8;

/// By the directions of a cell, as bits.
const BOX: [char; 16] = [' ', '│', '─', '└', '│', '│', '┌', '├', '─', '┘', '─', '┴', '┐', '┤', '┬', '┼'];

/// The same for terminals that have no more than ASCII.
const PLAIN: [char; 16] = [' ', '|', '-', '+', '|', '|', '+', '+', '-', '+', '-', '+', '+', '+', '+', '+'];

/// What a drawing is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Characters {
    /// Box drawing characters of Unicode.
    Box,
    /// ASCII alone.
    Ascii,
}

impl Drawing {
    /// The drawing as lines of text, without spaces at their ends.
    pub fn text(&self, characters: Characters) -> String {
        let mut ways = vec![vec![0_u8; self.width]; self.height];
        let mut letters: Vec<Vec<Option<char>>> = vec![vec![None; self.width]; self.height];
        for line in &self.lines {
            horizontal(&mut ways[line.row], line.from, line.bus);
            vertical(&mut ways, line.bus, line.row.min(line.to_row), line.row.max(line.to_row));
            horizontal(&mut ways[line.to_row], line.bus, line.to);
        }
        for drawn in &self.boxes {
            let (right, bottom) = (drawn.left + drawn.width - 1, drawn.top + drawn.height() - 1);
            horizontal(&mut ways[drawn.top], drawn.left, right);
            horizontal(&mut ways[bottom], drawn.left, right);
            vertical(&mut ways, drawn.left, drawn.top, bottom);
            vertical(&mut ways, right, drawn.top, bottom);
            for (n, text) in drawn.text.iter().enumerate() {
                for (at, letter) in text.chars().enumerate() {
                    letters[drawn.top + 1 + n][drawn.left + 2 + at] = Some(letter);
                }
            }
        }
        let table = match characters {
            Characters::Box => BOX,
            Characters::Ascii => PLAIN,
        };
        let rows = ways.iter().zip(&letters).map(|(ways, letters)| {
            let row: String =
                ways.iter().zip(letters).map(|(ways, letter)| letter.unwrap_or(table[usize::from(*ways)])).collect();
            format!("{}\n", row.trim_end())
        });
        rows.collect()
    }
}

fn horizontal(row: &mut [u8], from: usize, to: usize) {
    for at in from..to {
        row[at] |= RIGHT;
        row[at + 1] |= LEFT;
    }
}

fn vertical(rows: &mut [Vec<u8>], column: usize, from: usize, to: usize) {
    for at in from..to {
        rows[at][column] |= DOWN;
        rows[at + 1][column] |= UP;
    }
}
