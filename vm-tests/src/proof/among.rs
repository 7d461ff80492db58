//! Containers of one network reach each other: a second one on the default network of each daemon asks the first. What stays on a
//! bridge passes the rules of forwarding all the same where `br_netfilter` is loaded, as dockerd does.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use dmhost_layout::plan::{Daemon, HostPlan};

use super::containers::{DEFAULT, page};
use super::question::{Inner, Network, Place};
use super::report::Fact;
use crate::bed::Testbed;

/// For a container to start and to ask, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the probe serves, before anything is published.
const PORT: u16 = 8000;

/// A fact for each daemon whose containers may reach each other.
///
/// # Errors
/// If the machine has ended.
pub(super) fn facts(plan: &HostPlan, bed: &Testbed, inner: &[Inner]) -> Result<Vec<Fact>> {
    let together = |daemon: &&Daemon| daemon.settings.get("icc") != Some(&false.into());
    let facts = std::thread::scope(|scope| {
        let asking: Vec<_> = plan
            .daemons
            .values()
            .filter(together)
            .map(|daemon| {
                scope.spawn(move || {
                    let (holds, found) = match ask(bed, daemon, inner) {
                        Ok(found) => (true, found),
                        Err(error) => (false, format!("{error:#}")),
                    };
                    Fact { name: format!("containers of {} among themselves", daemon.name), holds, found }
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Fact>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        asking.into_iter().map(join).collect()
    });
    bed.alive()?;
    Ok(facts)
}

/// What a fact says, or what is wrong.
fn ask(bed: &Testbed, daemon: &Daemon, inner: &[Inner]) -> Result<String> {
    let of = |place: Place| {
        let own = inner
            .iter()
            .filter(move |own| own.daemon == daemon.name && own.network == Network::Default && own.place == place);
        own.map(|own| own.address).collect::<Vec<IpAddr>>()
    };
    let control = *of(Place::Bridge).first().context("there is no bridge to ask over")?;
    let addresses = of(Place::Container);
    let lines: String = addresses.iter().map(|address| format!("tcp {address} {PORT} {PORT}\n")).collect();
    let run = format!("docker -H unix://{} run --rm -i {DEFAULT} /probe ask", daemon.name.socket());
    let said = bed.guest.must(&format!("{run} <<'NEIGHBOURS'\ncontrol {control}\n{lines}NEIGHBOURS\n"), PATIENCE)?;
    let answer = |address: &IpAddr| format!("tcp {address} {PORT} answers {}", page(&daemon.name).escape_default());
    let mute: Vec<String> = addresses
        .iter()
        .filter(|address| !said.lines().any(|line| line == answer(address)))
        .map(|address| format!("{address} does not answer its neighbour"))
        .collect();
    anyhow::ensure!(mute.is_empty() && !addresses.is_empty(), "{}", mute.join("\n"));
    Ok(format!("{} addresses answer", addresses.len()))
}
