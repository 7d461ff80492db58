//! `[[expect]]`: the user's own lines of the proof.

use schemars::JsonSchema;

use super::pattern;
use super::place::{Field, Place};
use super::table::{Report, Table};
use crate::plan::Verdict;

/// A line of the proof that is yours: a question, and the verdict that `dmhost verify` must see.
///
/// The proof asks every address from every side by itself. Write a line for what a container serves, which no plan can
/// know, or for what must never change. A verdict that interfaces, `api.from` or `expose` rule out is an error before
/// anything boots.
///
/// ```toml fragment
/// [[expect]]
/// from = "vlan:lab"
/// to = "daemon:web"
/// port = "443/tcp"
/// verdict = "silent"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expect {
    /// Where it is.
    #[schemars(skip)]
    pub place: Place,
    /// Where the question is asked from: the vantage.
    ///
    /// - `vlan:IF`: a station on the segment of this interface, be it a VLAN or a NIC.
    /// - `beyond:IF`: off that segment, through the interface's gateway.
    /// - `trunk:NIC`: the untagged side of a NIC that carries VLANs.
    /// - `container:DAEMON`: a container of this daemon.
    /// - `host`: the host's own network namespace.
    ///
    /// Example: `from = "vlan:lab"`
    #[schemars(regex(pattern = pattern::VANTAGE))]
    pub from: Field<String>,
    /// Whom it is asked: `daemon:NAME` or `host`, each at all of its addresses.
    ///
    /// Example: `to = "daemon:web"`
    #[schemars(regex(pattern = pattern::TARGET))]
    pub to: Field<String>,
    /// One port from 1 to 65535, and its protocol: `tcp` or `udp`.
    ///
    /// Example: `port = "443/tcp"`
    #[schemars(regex(pattern = pattern::PORTS))]
    pub port: Field<String>,
    /// What must come of it.
    ///
    /// - `serves`: something answers.
    /// - `refuses`: a TCP reset or an ICMP error comes back.
    /// - `denies`: TLS connects and the client's certificate is rejected; TCP only.
    /// - `silent`: no frame leaves the host that the question caused.
    ///
    /// Example: `verdict = "silent"`
    #[schemars(extend("enum" = Verdict::ALL.map(Verdict::as_str)))]
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
