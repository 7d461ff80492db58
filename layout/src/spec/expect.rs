//! `[[expect]]`: the user's own lines of the proof.

use super::place::{Field, Place};
use super::table::{Report, Table};

/// One `[[expect]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Where it is.
    pub place: Place,
    /// `from`, required: a vantage, for example `vlan:lab`.
    pub from: Field<String>,
    /// `to`, required: `daemon:NAME` or `host`.
    pub to: Field<String>,
    /// `port`, required: `443/tcp`.
    pub port: Field<String>,
    /// `verdict`, required.
    pub verdict: Field<String>,
}

/// Reads one `[[expect]]`.
pub(super) fn read(mut table: Table<'_>, report: &mut Report) -> Expect {
    let expect = Expect {
        place: table.place.clone(),
        from: table.string("from", report),
        to: table.string("to", report),
        port: table.string("port", report),
        verdict: table.string("verdict", report),
    };
    let meant = table.finish(report);
    meant.require(&expect.from, "from", "from = \"vlan:lab\"", report);
    meant.require(&expect.to, "to", "to = \"daemon:web\"", report);
    meant.require(&expect.port, "port", "port = \"443/tcp\"", report);
    meant.require(&expect.verdict, "verdict", "verdict = \"silent\"", report);
    expect
}
