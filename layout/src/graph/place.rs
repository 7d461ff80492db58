//! Where everything stands: one column for each kind of box, one band of rows for each owner, a bus for each box that
//! lines leave from.

use super::{Drawing, Drawn, Part, say};
use crate::plan::{HostPlan, Interface, InterfaceKind, InterfaceName, Owner};

/// A line from one box to another: right from the one, along its bus, right to the other. All in cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Whose it is: that of the box it leaves.
    pub(super) zone: Option<usize>,
    /// Column of the first box's right border.
    pub(super) from: usize,
    /// The row it leaves on.
    pub(super) row: usize,
    /// Column of the bus.
    pub(super) bus: usize,
    /// The row it arrives on.
    pub(super) to_row: usize,
    /// Column of the second box's left border.
    pub(super) to: usize,
}

/// Cells between two columns of boxes where no bus is.
const AISLE: usize = 3;

/// An owner with all that is drawn in its rows.
struct Band<'p> {
    zone: Option<usize>,
    owner: Vec<String>,
    endpoint: Option<Vec<String>>,
    interfaces: Vec<&'p Interface>,
}

/// The drawing of a plan, with `gap` empty rows between boxes.
pub fn drawing(plan: &HostPlan, gap: usize) -> Drawing {
    let bands = bands(plan);
    let mut boxes: Vec<Drawn> = Vec::new();
    let mut links: Vec<(usize, usize)> = Vec::new();
    // What stands on a NIC that carries it, by the NIC's name.
    let mut carried: Vec<(&InterfaceName, usize)> = Vec::new();
    let mut row = 0;
    for band in &bands {
        let new = |part, text| Drawn { part, zone: band.zone, text, left: 0, top: 0, width: 0 };
        let mut stack: Vec<Drawn> = Vec::new();
        for interface in &band.interfaces {
            let part = if matches!(interface.kind, InterfaceKind::Nic(_)) { Part::Nic } else { Part::Vlan };
            stack.push(new(part, say::interface(interface)));
        }
        let owner = new(Part::Owner, band.owner.clone());
        let endpoint = band.endpoint.clone().map(|text| new(Part::Endpoint, text));
        let stacked = stack.iter().map(|drawn| drawn.height() + gap).sum::<usize>().saturating_sub(gap);
        let height = stacked.max(owner.height()).max(endpoint.as_ref().map_or(0, Drawn::height));
        let owner_at = boxes.len();
        // All on one middle row, so that a line between two of them is straight.
        let centred = |drawn: Drawn| Drawn { top: row + height / 2 - drawn.height() / 2, ..drawn };
        boxes.push(centred(owner));
        if let Some(endpoint) = endpoint {
            links.push((owner_at, boxes.len()));
            boxes.push(centred(endpoint));
        }
        let mut top = row + height / 2 - stacked / 2;
        for (drawn, interface) in stack.into_iter().zip(&band.interfaces) {
            links.push((boxes.len(), owner_at));
            if let InterfaceKind::Vlan { parent, .. } = &interface.kind {
                carried.push((parent, boxes.len()));
            }
            let below = top + drawn.height() + gap;
            boxes.push(Drawn { top, ..drawn });
            top = below;
        }
        row += height + gap;
    }
    carriers(plan, &carried, gap, &mut boxes, &mut links);
    finish(plan, boxes, &links)
}

/// Owners in the order of their first NIC, and on it of their VID, so that few lines cross.
fn bands(plan: &HostPlan) -> Vec<Band<'_>> {
    let place = |interface: &&Interface| match &interface.kind {
        InterfaceKind::Nic(_) => (interface.name.clone(), 0),
        InterfaceKind::Vlan { parent, id } => (parent.clone(), *id),
    };
    let mut own: Vec<&Interface> =
        plan.interfaces.values().filter(|interface| interface.owner == Owner::Host).collect();
    own.sort_by_key(place);
    let mut bands = Vec::new();
    if !own.is_empty() {
        let endpoint = plan.host.admin.as_ref().map(say::way_in);
        bands.push(Band { zone: None, owner: say::host(plan), endpoint, interfaces: own });
    }
    for (zone, daemon) in plan.daemons.values().enumerate() {
        let mut interfaces: Vec<&Interface> = plan.interfaces_of(daemon).collect();
        interfaces.sort_by_key(place);
        let endpoint = Some(say::endpoint(plan, daemon));
        bands.push(Band { zone: Some(zone), owner: say::daemon(daemon), endpoint, interfaces });
    }
    bands.sort_by_key(|band| band.interfaces.first().map(place));
    bands
}

/// NICs that carry VLANs: in the middle of these, below what stands there already.
fn carriers(
    plan: &HostPlan,
    carried: &[(&InterfaceName, usize)],
    gap: usize,
    boxes: &mut Vec<Drawn>,
    links: &mut Vec<(usize, usize)>,
) {
    for nic in plan.interfaces.values() {
        let on: Vec<usize> = carried.iter().filter(|(parent, _)| **parent == nic.name).map(|(_, at)| *at).collect();
        let (Some(first), Some(last)) =
            (on.iter().map(|at| boxes[*at].middle()).min(), on.iter().map(|at| boxes[*at].middle()).max())
        else {
            continue;
        };
        let drawn = Drawn { part: Part::Nic, zone: None, text: say::interface(nic), left: 0, top: 0, width: 0 };
        let height = drawn.height();
        let mut top = usize::midpoint(first, last).saturating_sub(height / 2);
        let mut standing: Vec<(usize, usize)> = boxes
            .iter()
            .filter(|other| other.part == Part::Nic)
            .map(|other| (other.top, other.top + other.height()))
            .collect();
        standing.sort_unstable();
        for (start, end) in standing {
            if top < end + gap && start < top + height + gap {
                top = end + gap;
            }
        }
        // Where its line leaves, no other NIC's may arrive: the two would look like one.
        let others = carried.iter().filter(|(parent, _)| **parent != nic.name).map(|(_, at)| boxes[*at].middle());
        let others: Vec<usize> = others.collect();
        while others.contains(&(top + height / 2)) {
            top += 1;
        }
        links.extend(on.iter().map(|at| (boxes.len(), *at)));
        boxes.push(Drawn { top, ..drawn });
    }
}

/// Columns as wide as their widest box, and between them room for the buses.
fn finish(plan: &HostPlan, mut boxes: Vec<Drawn>, links: &[(usize, usize)]) -> Drawing {
    let mut drawn_lines = Vec::new();
    let mut left = 0;
    for part in [Part::Nic, Part::Vlan, Part::Owner, Part::Endpoint] {
        let widest = boxes.iter().filter(|drawn| drawn.part == part).flat_map(|drawn| &drawn.text);
        let Some(widest) = widest.map(|line| line.chars().count()).max() else { continue };
        // Buses between the columns so far and this one: two that share a row stand beside each other.
        let mut sources: Vec<usize> =
            links.iter().filter(|(_, to)| boxes[*to].part == part).map(|(from, _)| *from).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.sort_by_key(|from| boxes[*from].top);
        let mut tracks: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut buses = Vec::new();
        for from in sources {
            let rows = links.iter().filter(|(source, to)| *source == from && boxes[*to].part == part);
            let rows: Vec<usize> = rows.map(|(_, to)| boxes[*to].middle()).chain([boxes[from].middle()]).collect();
            let span = (rows.iter().copied().min().unwrap_or(0), rows.iter().copied().max().unwrap_or(0));
            let free = |track: &Vec<(usize, usize)>| track.iter().all(|(a, b)| *b < span.0 || span.1 < *a);
            let track = tracks.iter().position(free).unwrap_or(tracks.len());
            if track == tracks.len() {
                tracks.push(Vec::new());
            }
            tracks[track].push(span);
            buses.push((from, track));
        }
        if left > 0 {
            left += AISLE + 2 * tracks.len().max(1);
        }
        for drawn in boxes.iter_mut().filter(|drawn| drawn.part == part) {
            drawn.left = left;
            drawn.width = widest + 4;
        }
        for (from, to) in links.iter().filter(|(_, to)| boxes[*to].part == part) {
            let track = buses.iter().find(|(source, _)| source == from).map_or(0, |(_, track)| *track);
            let (one, other) = (&boxes[*from], &boxes[*to]);
            drawn_lines.push(Line {
                zone: one.zone,
                from: one.left + one.width - 1,
                row: one.middle(),
                bus: left - 2 - 2 * track,
                to_row: other.middle(),
                to: other.left,
            });
        }
        left += widest + 4;
    }
    let height = boxes.iter().map(|drawn| drawn.top + drawn.height()).max().unwrap_or(0);
    Drawing { title: format!("The networks of {}", plan.host.name), boxes, lines: drawn_lines, width: left, height }
}

#[cfg(test)]
mod tests {
    use super::drawing;
    use crate::plan_from_toml;

    const SPECS: [&str; 3] = [
        include_str!("../../tests/scenarios/two-vlans.toml"),
        include_str!("../../tests/scenarios/four-nics.toml"),
        include_str!("../../tests/scenarios/sixteen-daemons.toml"),
    ];

    #[test]
    fn no_box_touches_another_and_every_text_fits() {
        for spec in SPECS {
            let (plan, diagnostics) = plan_from_toml("host.toml", spec);
            let plan = plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
            let drawing = drawing(&plan, 0);
            for (n, one) in drawing.boxes.iter().enumerate() {
                assert!(one.text.iter().all(|line| line.chars().count() + 4 <= one.width), "{one:?}");
                assert!(one.left + one.width <= drawing.width && one.top + one.height() <= drawing.height, "{one:?}");
                for other in &drawing.boxes[n + 1..] {
                    let across = one.left < other.left + other.width && other.left < one.left + one.width;
                    let down = one.top < other.top + other.height() && other.top < one.top + one.height();
                    assert!(!(across && down), "{one:?} and {other:?}");
                }
            }
        }
    }
}
