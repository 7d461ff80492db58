//! What a namespace says to itself arrives: programs of a host, and containers on its network, talk to each other that way.

use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{HostPlan, Isolation};

use super::containers::PROGRAM;
use super::inside::enter;
use super::report::Fact;
use crate::bed::Testbed;

const PATIENCE: Duration = Duration::from_secs(60);
/// A port of TCP that nobody serves: whoever is let through is refused.
const PORT: u16 = 1;

/// A fact for the host's own namespace and for each zone.
///
/// # Errors
/// If the machine has ended.
pub(super) fn facts(plan: &HostPlan, bed: &Testbed) -> Result<Vec<Fact>> {
    let zones = plan.daemons.values().filter(|daemon| daemon.isolation == Isolation::Zone);
    let zones = zones.map(|daemon| (format!("the zone of {}", daemon.name), enter(daemon)));
    let mut facts = Vec::new();
    for (place, enter) in [("the host".to_owned(), String::new())].into_iter().chain(zones) {
        let sheet = format!("control 127.0.0.1\ntcp 127.0.0.1 {PORT} {PORT}\ntcp ::1 {PORT} {PORT}\n");
        let output = bed.guest.run(&format!("{enter}{PROGRAM} ask <<'LOOPBACK'\n{sheet}LOOPBACK\n"), PATIENCE)?;
        let said = output.text();
        let missing: Vec<String> = ["127.0.0.1", "::1"]
            .into_iter()
            .filter(|address| !said.lines().any(|line| line == format!("tcp {address} {PORT} refused")))
            .map(|address| format!("{address} is not reached"))
            .collect();
        let holds = missing.is_empty();
        let found = if holds { "both addresses are reached".to_owned() } else { missing.join("\n") };
        facts.push(Fact { name: format!("loopback of {place}"), holds, found });
    }
    Ok(facts)
}
