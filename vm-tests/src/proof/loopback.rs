//! What a namespace says to itself arrives: programs of a host, and containers on its network, talk to each other that way. An API that asks
//! for no certificate is not for them.

use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::{Api, Daemon, HostPlan, Isolation};

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
    let zones: Vec<&Daemon> = plan.daemons.values().filter(|daemon| daemon.isolation == Isolation::Zone).collect();
    let of_zones = zones.iter().map(|daemon| (format!("the zone of {}", daemon.name), enter(daemon)));
    let mut facts = Vec::new();
    for (place, enter) in [("the host".to_owned(), String::new())].into_iter().chain(of_zones) {
        let sheet = format!("tcp 127.0.0.1 {PORT} {PORT}\ntcp ::1 {PORT} {PORT}\n");
        let said = ask(bed, &enter, &sheet)?;
        let missing: Vec<String> = ["127.0.0.1", "::1"]
            .into_iter()
            .filter(|address| !said.lines().any(|line| line == format!("tcp {address} {PORT} refused")))
            .map(|address| format!("{address} is not reached"))
            .collect();
        let holds = missing.is_empty();
        let found = if holds { "both addresses are reached".to_owned() } else { missing.join("\n") };
        facts.push(Fact { name: format!("loopback of {place}"), holds, found });
    }
    for daemon in zones {
        let Some(Api { port, addresses, tls: false, .. }) = &daemon.api else { continue };
        let sheet: String = addresses.iter().map(|address| format!("tcp {address} {port}\n")).collect();
        let said = ask(bed, &enter(daemon), &sheet)?;
        let reached: Vec<&str> = said.lines().filter(|line| line.starts_with("tcp ")).collect();
        let holds = reached.is_empty() && said.lines().any(|line| line == format!("asked {}", addresses.len()));
        let found = if holds { "no program of the zone reaches it".to_owned() } else { said };
        facts.push(Fact { name: format!("API of {} in plain text, from within", daemon.name), holds, found });
    }
    Ok(facts)
}

/// What the probe hears in a namespace.
fn ask(bed: &Testbed, enter: &str, sheet: &str) -> Result<String> {
    let script = format!("{enter}{PROGRAM} ask <<'LOOPBACK'\ncontrol 127.0.0.1\n{sheet}LOOPBACK\n");
    Ok(bed.guest.run(&script, PATIENCE)?.text())
}
