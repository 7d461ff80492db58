//! The report for programs: `report.json`, and what `dmhost verify --output json` prints. Its schema is made of these types and
//! stands in docs/report.schema.json.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Cell, Fact, Report};
use crate::proof::question::Question;
use crate::proof::timeline::Span;

/// Counts changes that a program which reads reports has to know of.
const VERSION: u32 = 1;

/// A proof: the matrix of expected and observed verdicts, and what else was seen.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Report of dmhost verify")]
struct Record<'a> {
    /// Version of this format.
    version: u32,
    /// Whether every cell and every fact is as planned.
    holds: bool,
    /// Whether only some TCP ports were asked, and no hostile frames sent.
    quick: bool,
    /// Probes that were sent, each TCP port counted.
    probes: u64,
    /// Frames in the capture.
    frames: u64,
    /// The matrix.
    cells: Vec<CellRecord<'a>>,
    /// What was seen besides the matrix.
    facts: &'a [Fact],
    /// What took how long when the host booted.
    boot: &'a [Span],
}

/// One question and how it was answered.
#[derive(Debug, Serialize, JsonSchema)]
struct CellRecord<'a> {
    /// Where the question came from: `vlan:IF`, `beyond:IF`, `trunk:NIC`, `container:DAEMON`, `container:DAEMON/user` or `host`.
    vantage: String,
    /// Whose address was asked: `host`, or a daemon's name.
    target: String,
    /// What kind of address it is.
    place: &'static str,
    /// The interface that has the address, or on whose link it is.
    interface: &'a str,
    /// The address.
    address: std::net::IpAddr,
    /// What was asked, for people.
    ask: String,
    /// What the plan promises: `silent`, `refuses`, `denies` or `serves`.
    expected: String,
    /// What was seen: the same, or `strange` or `unproven`.
    observed: String,
    /// Numbers of frames in the capture that show it, counted from 1 as Wireshark does.
    frames: &'a [u64],
    /// What else there is to tell.
    note: &'a str,
}

impl<'a> CellRecord<'a> {
    fn of(cell: &'a Cell) -> Self {
        let Cell { question: Question { vantage, target, ask, expected }, observed, frames, note } = cell;
        Self {
            vantage: vantage.to_string(),
            target: target.subject.to_string(),
            place: target.place.as_str(),
            interface: target.interface.as_str(),
            address: target.address,
            ask: ask.to_string(),
            expected: expected.to_string(),
            observed: observed.to_string(),
            frames,
            note,
        }
    }
}

impl Report {
    /// The report for programs.
    ///
    /// # Errors
    /// None that is known: what stands in it can be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        let Self { quick, cells, facts, frames, probes, boot } = self;
        serde_json::to_value(Record {
            version: VERSION,
            holds: self.holds(),
            quick: *quick,
            probes: *probes,
            frames: *frames,
            cells: cells.iter().map(CellRecord::of).collect(),
            facts,
            boot,
        })
    }
}

/// The JSON Schema of [`Report::to_json`].
pub fn schema() -> Value {
    schemars::schema_for!(Record<'_>).to_value()
}
