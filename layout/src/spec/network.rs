//! `[[daemons.NAME.networks]]`: further Docker networks, made when their daemon starts.

use super::place::{Field, List, Place};
use super::table::{Report, Table};

/// One `[[daemons.NAME.networks]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where it is.
    pub place: Place,
    /// `name`, required.
    pub name: Field<String>,
    /// `driver`.
    pub driver: Field<String>,
    /// `internal`.
    pub internal: Field<bool>,
    /// `ipv6`.
    pub ipv6: Field<bool>,
    /// `subnet`: one, or one of each IP version.
    pub subnets: Field<List<String>>,
    /// `gateway`, in the subnet of its IP version.
    pub gateways: Field<List<String>>,
    /// `ip-range`, in the subnet of its IP version.
    pub ip_ranges: Field<List<String>>,
    /// `labels`.
    pub labels: Field<List<String>>,
}

/// Reads one `[[daemons.NAME.networks]]`.
pub(super) fn read(mut table: Table<'_>, report: &mut Report) -> Network {
    let network = Network {
        place: table.place.clone(),
        name: table.string("name", report),
        driver: table.string("driver", report),
        internal: table.boolean("internal", report),
        ipv6: table.boolean("ipv6", report),
        subnets: table.one_or_more("subnet", report),
        gateways: table.one_or_more("gateway", report),
        ip_ranges: table.one_or_more("ip-range", report),
        labels: table.strings("labels", report),
    };
    table.finish(report).require(&network.name, "name", "name = \"backend\"", report);
    network
}
