//! Containers of one network reach each other: a second one on the default network of each daemon asks the first. What stays on a
//! bridge passes the rules of forwarding all the same where `br_netfilter` is loaded, as dockerd does.

use std::net::IpAddr;

use dmhost_layout::plan::Daemon;

use crate::proof::containers::page;
use crate::proof::question::{CONTAINER_PORT, Inner, Network, Place};
use crate::proof::report::Fact;

/// What the second container asks of the first, as the probe takes it.
pub(super) fn sheet(daemon: &Daemon, inner: &[Inner]) -> String {
    let asked = addresses(daemon, inner).filter(|_| may(daemon));
    asked.map(|address| format!("tcp {address} {CONTAINER_PORT} {CONTAINER_PORT}\n")).collect()
}

/// Whether all that was asked is answered; `None` where containers are not to reach each other.
pub(super) fn fact(daemon: &Daemon, inner: &[Inner], said: Result<&str, &str>) -> Option<Fact> {
    if !may(daemon) {
        return None;
    }
    let fact =
        |holds, found| Some(Fact { name: format!("containers of {} among themselves", daemon.name), holds, found });
    let said = match said {
        Ok(said) => said,
        Err(why) => return fact(false, why.to_owned()),
    };
    let answer =
        |address: IpAddr| format!("tcp {address} {CONTAINER_PORT} answers {}", page(&daemon.name).escape_default());
    let (answering, mute): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses(daemon, inner).partition(|address| said.lines().any(|line| line == answer(*address)));
    if answering.is_empty() && mute.is_empty() {
        return fact(false, "there is no container to ask".to_owned());
    }
    let mute: Vec<String> = mute.iter().map(|address| format!("{address} does not answer its neighbour")).collect();
    let good = format!("{} addresses answer", answering.len());
    fact(mute.is_empty(), if mute.is_empty() { good } else { mute.join("\n") })
}

/// Whether the containers of a daemon's default network may reach each other.
fn may(daemon: &Daemon) -> bool {
    daemon.settings.get("icc") != Some(&false.into())
}

fn addresses(daemon: &Daemon, inner: &[Inner]) -> impl Iterator<Item = IpAddr> {
    let first =
        |own: &&Inner| own.daemon == daemon.name && own.network == Network::Default && own.place == Place::Container;
    inner.iter().filter(first).map(|own| own.address)
}
