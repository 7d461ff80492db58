//! How the host booted, as its systemd tells it: the stages of the boot and its units, with the moments at which they began and
//! were up.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;

use crate::guest::Guest;

const PATIENCE: Duration = Duration::from_secs(30);

/// Something that took a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// A unit, or a stage of the boot in brackets.
    pub name: String,
    /// When it began, in microseconds since the kernel did.
    pub begun: u64,
    /// When it was done, counted the same way.
    pub done: u64,
}

/// The stages of the boot and every service that it started, in the order in which they began.
///
/// # Errors
/// If the guest does not answer.
pub fn timeline(guest: &Guest) -> Result<Vec<Span>> {
    let script = "systemctl show --property=InitRDTimestampMonotonic,UserspaceTimestampMonotonic,FinishTimestampMonotonic
        echo
        systemctl show --type=service,mount --property=Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic '*'";
    spans(&guest.must(script, PATIENCE)?).context("what systemd tells of the boot is not understood")
}

/// Reads blocks of `systemctl show`: the manager's first, then one for each unit.
fn spans(told: &str) -> Result<Vec<Span>> {
    let mut blocks = told.split("\n\n").map(|block| block.lines().filter_map(|line| line.split_once('=')).collect());
    let manager: BTreeMap<&str, &str> = blocks.next().context("nothing is told")?;
    let at = |block: &BTreeMap<&str, &str>, key: &str| block.get(key).and_then(|value| value.parse::<u64>().ok());
    let userspace = at(&manager, "UserspaceTimestampMonotonic").context("no UserspaceTimestampMonotonic")?;
    let finish = at(&manager, "FinishTimestampMonotonic").context("no FinishTimestampMonotonic")?;
    let stage = |name: &str, begun, done| Span { name: name.to_owned(), begun, done };
    let mut spans =
        vec![stage("[kernel and initramfs]", 0, userspace), stage("[units]", userspace, finish.max(userspace))];
    for block in blocks {
        let (begun, done) = (at(&block, "InactiveExitTimestampMonotonic"), at(&block, "ActiveEnterTimestampMonotonic"));
        if let (Some(name), Some(begun), Some(done)) = (block.get("Id"), begun, done)
            // A unit that never began says 0, one that is no longer up says when it was.
            && begun > 0
            && done >= begun
        {
            spans.push(stage(name, begun, done));
        }
    }
    spans.sort_by(|one, next| (one.begun, &one.name).cmp(&(next.begun, &next.name)));
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_units_come_in_the_order_in_which_they_began() {
        let told = "InitRDTimestampMonotonic=0\nUserspaceTimestampMonotonic=3000\nFinishTimestampMonotonic=9000\n\n\
            Id=late.service\nInactiveExitTimestampMonotonic=5000\nActiveEnterTimestampMonotonic=8000\n\n\
            Id=never.service\nInactiveExitTimestampMonotonic=0\nActiveEnterTimestampMonotonic=0\n\n\
            Id=early.mount\nInactiveExitTimestampMonotonic=4000\nActiveEnterTimestampMonotonic=4000";
        let names: Vec<_> = spans(told).unwrap().into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["[kernel and initramfs]", "[units]", "early.mount", "late.service"]);
        assert_eq!(spans("nothing").unwrap_err().to_string(), "no UserspaceTimestampMonotonic");
    }
}
