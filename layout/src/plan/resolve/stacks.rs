//! Bonds, bridges, macvlans and ipvlans: what they are made of, and that nothing stands on itself.
//!
//! They are read and judged whole. None is planned yet: what may leave on a MAC address that the kernel chooses, and how a
//! bond's members fall silent, is not proven; `not-yet` says so.

use super::Report;
use super::host::one_of;
use super::links::{self, Index, Link};
use crate::spec::words::{quoted, suggest};
use crate::spec::{At, Bond, Bridge, Field, Interface, Ipvlan, Kind, List, Macvlan};

/// Modes of a bond that have a hash of their own to choose by.
const HASHED: [&str; 3] = ["balance-xor", "802.3ad", "balance-tlb"];

/// Reads what an interface stands on, and whether all of it could be read.
pub(super) fn read(
    kind: &Kind,
    spec: &Interface,
    all: &[Interface],
    index: &Index<'_>,
    report: &mut Report,
) -> (Vec<usize>, bool) {
    let (key, place, found) = match kind {
        Kind::Bond(Bond { place, members, mode, lacp_rate, hash_policy, miimon }) => {
            bond(mode, lacp_rate, hash_policy, miimon, report);
            ("bond", place, self::members(members, spec, all, index, &|kind| matches!(kind, Kind::Nic(_)), report))
        }
        Kind::Bridge(Bridge { place, members, stp: _ }) => {
            let fits = |kind: &Kind| matches!(kind, Kind::Nic(_) | Kind::Vlan(_) | Kind::Bond(_));
            ("bridge", place, self::members(members, spec, all, index, &fits, report))
        }
        Kind::Macvlan(Macvlan { place, parent, mode, mac }) => {
            let modes = ["bridge", "private", "vepa", "passthru"];
            one_of(mode, "bridge", &modes, |mode| mode, "mode", report);
            if let Field::Given(at) = mac {
                links::mac(at, report);
            }
            ("macvlan", place, self::parent(parent, all, index, report))
        }
        Kind::Ipvlan(Ipvlan { place, parent, mode }) => {
            one_of(mode, "l2", &["l2", "l3", "l3s"], |mode| mode, "mode", report);
            ("ipvlan", place, self::parent(parent, all, index, report))
        }
        Kind::Nic(_) | Kind::Vlan(_) => return (Vec::new(), true),
    };
    let message = format!("this version of dmhost does not do `{key}` yet");
    report.push(place.key_error("not-yet", message).help("this version does `nic` and `vlan`"));
    found
}

fn bond(
    mode: &Field<String>,
    lacp_rate: &Field<String>,
    hash: &Field<String>,
    miimon: &Field<i64>,
    report: &mut Report,
) {
    let modes = ["active-backup", "802.3ad", "balance-rr", "balance-xor", "broadcast", "balance-tlb", "balance-alb"];
    let chosen = one_of(mode, "active-backup", &modes, |mode| mode, "mode", report);
    one_of(lacp_rate, "slow", &["slow", "fast"], |rate| rate, "rate", report);
    let policies = ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"];
    one_of(hash, "layer2", &policies, |policy| policy, "policy", report);
    let without = |at: &At<String>, key: &str, modes: &str, report: &mut Report| {
        let message = format!("{} has no effect in mode {}", quoted(key), quoted(chosen.unwrap_or_default()));
        report.push(
            at.place.key_error("no-effect", message).help(format!("leave it out, or write `mode = \"{modes}\"`")),
        );
    };
    if let (Some(mode), Field::Given(at)) = (chosen, lacp_rate)
        && mode != "802.3ad"
    {
        without(at, "lacp-rate", "802.3ad", report);
    }
    if let (Some(mode), Field::Given(at)) = (chosen, hash)
        && !HASHED.contains(&mode)
    {
        without(at, "hash-policy", "802.3ad", report);
    }
    if let Field::Given(at) = miimon
        && !(1..=60_000).contains(&at.value)
    {
        let message = format!("{} milliseconds is no interval to look at a link in", at.value);
        report.push(
            at.place.error("number-out-of-range", message).help("write a number from 1 to 60000; 100 is the usual one"),
        );
    }
}

/// Members: there, of a kind that fits, each once.
fn members(
    field: &Field<List<String>>,
    spec: &Interface,
    all: &[Interface],
    index: &Index<'_>,
    fits: &dyn Fn(&Kind) -> bool,
    report: &mut Report,
) -> (Vec<usize>, bool) {
    let mut complete = field.is_complete() && !field.is_absent();
    if let Some(at) = field.given().filter(|at| at.value.items.is_empty() && at.value.complete) {
        let message = format!("{} has no members", quoted(&spec.name.value));
        report.push(at.place.error("member-missing", message).help("write the interfaces that it is made of"));
    }
    let mut found: Vec<(usize, &At<String>)> = Vec::new();
    for at in field.items() {
        let Some(member) = index.get(at.value.as_str()).copied() else {
            let names =
                all.iter().filter(|other| other.kind.as_ref().is_some_and(fits)).map(|other| other.name.value.as_str());
            let help = suggest(&at.value, "interfaces", names, report.len());
            report.push(
                at.place.error("interface-unknown", format!("there is no interface {}", quoted(&at.value))).help(help),
            );
            complete = false;
            continue;
        };
        if let Some((_, first)) = found.iter().find(|(other, _)| *other == member) {
            let diagnostic = at.place.error("interface-twice", format!("{} is there twice", quoted(&at.value)));
            report.push(diagnostic.help("leave one of them out").related(first.place.value.clone(), "the first"));
            continue;
        }
        if let Some(kind) = &all[member].kind
            && !fits(kind)
        {
            let message = format!("{} is of a kind that cannot be a member here", quoted(&at.value));
            let diagnostic = at.place.error("member-kind", message);
            let diagnostic = diagnostic.help("a bond is made of `nic`s, a bridge of `nic`s, `vlan`s and `bond`s");
            report.push(diagnostic.related(all[member].name.place.key.clone(), "the member"));
        }
        found.push((member, at));
    }
    (found.into_iter().map(|(member, _)| member).collect(), complete)
}

fn parent(field: &Field<String>, all: &[Interface], index: &Index<'_>, report: &mut Report) -> (Vec<usize>, bool) {
    let Some(at) = field.given() else { return (Vec::new(), false) };
    let Some(parent) = index.get(at.value.as_str()).copied() else {
        let names = all.iter().map(|other| other.name.value.as_str());
        let help = suggest(&at.value, "interfaces", names, report.len());
        report
            .push(at.place.error("parent-unknown", format!("there is no interface {}", quoted(&at.value))).help(help));
        return (Vec::new(), false);
    };
    if let Some(Kind::Macvlan(_) | Kind::Ipvlan(_)) = &all[parent].kind {
        let message = format!("{} is made on another interface itself, and carries none", quoted(&at.value));
        let diagnostic = at.place.error("parent-kind", message).help("write the interface that it is made on");
        report.push(diagnostic.related(all[parent].name.place.key.clone(), "the interface"));
        return (Vec::new(), true);
    }
    (vec![parent], true)
}

/// Reports interfaces that stand on themselves, and members that two interfaces are made of.
pub(super) fn check(links: &[Link<'_>], report: &mut Report) {
    let mut members: Vec<Option<&Link<'_>>> = vec![None; links.len()];
    for link in links.iter().filter(|link| matches!(link.spec.kind, Some(Kind::Bond(_) | Kind::Bridge(_)))) {
        for member in link.stands_on() {
            match members[*member] {
                Some(first) => {
                    let message =
                        format!("{} is a member of {} already", quoted(links[*member].text()), quoted(first.text()));
                    let diagnostic = link.spec.name.place.key_error("member-twice", message);
                    let diagnostic = diagnostic.help("an interface is in one bond or bridge: leave it out of one");
                    report.push(diagnostic.related(first.spec.name.place.key.clone(), "the first"));
                }
                None => members[*member] = Some(link),
            }
        }
    }
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0_u8; links.len()];
    for start in 0..links.len() {
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((at, next)) = way.pop() {
            if next == 0 {
                if state[at] == 2 {
                    continue;
                }
                state[at] = 1;
            }
            match links[at].stands_on().get(next).copied() {
                None => state[at] = 2,
                Some(below) => {
                    way.push((at, next + 1));
                    if state[below] == 1 {
                        let message = format!("{} stands on itself", quoted(links[below].text()));
                        let diagnostic = links[below].spec.name.place.key_error("parent-cycle", message);
                        let diagnostic = diagnostic.help("have one of them stand on a `nic`");
                        report.push(
                            diagnostic.related(links[at].spec.name.place.key.clone(), "stands on it, and it on this"),
                        );
                    } else if state[below] == 0 {
                        way.push((below, 0));
                    }
                }
            }
        }
    }
}
