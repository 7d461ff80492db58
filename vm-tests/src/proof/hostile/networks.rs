//! Networks that users make on uplinks by a daemon's API, and that go with the proof.

use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::Daemon;
use serde_json::{Value, json};

use super::row::Row;
use crate::bed::Testbed;
use crate::proof::containers::{USER, call};

/// For the networks of one daemon to go, on the reference machine.
const GO: Duration = Duration::from_secs(90);

/// A network that a user makes on a link, and the address that a container has on it.
pub(super) struct Wire {
    name: String,
    config: Value,
    pub(super) address: String,
}

impl Wire {
    /// One that nobody else's letter has, on this link by this driver.
    pub(super) fn of(letter: u8, parent: &str, driver: &str) -> Self {
        let name = format!("dmhost-probe-{letter}");
        let config = json!({
            "Name": name,
            "Driver": driver,
            "Options": { "parent": parent },
            "IPAM": { "Config": [{ "Subnet": format!("198.18.{letter}.0/24") }] },
        });
        Self { name, config, address: format!("198.18.{letter}.2") }
    }

    /// Lines of a script that make it, with a container on it.
    pub(super) fn join(&self, daemon: &Daemon) -> String {
        let Self { name, config, address } = self;
        let post = |path: &str, body: &Value| call(&daemon.name, "POST", path, body) + " >/dev/null\n";
        let end = json!({ "Container": USER, "EndpointConfig": { "IPAMConfig": { "IPv4Address": address } } });
        post("/networks/create", config) + &post(&format!("/networks/{name}/connect"), &end)
    }

    /// Lines of a script that have it go.
    fn leave(&self, daemon: &Daemon) -> String {
        let call = |method, path: &str, body: &Value| call(&daemon.name, method, path, body) + " >/dev/null\n";
        let name = &self.name;
        call("POST", &format!("/networks/{name}/disconnect"), &json!({ "Container": USER }))
            + &call("DELETE", &format!("/networks/{name}"), &Value::Null)
    }
}

/// Networks that are there, by the scripts that have them go.
#[derive(Debug, Default)]
pub(super) struct Networks(pub(super) Vec<String>);

impl Networks {
    /// Those of a daemon.
    pub(super) fn of<'w>(daemon: &Daemon, wires: impl Iterator<Item = &'w Wire>) -> Self {
        let leave: String = wires.map(|wire| wire.leave(daemon)).collect();
        Self(vec![format!("set -eu\n{leave}")])
    }

    /// Has them go, all daemons' at once; a row if one stays.
    pub(super) fn remove(&self, bed: &Testbed) -> Result<Option<Row>> {
        let stay = std::thread::scope(|scope| {
            let removing: Vec<_> =
                self.0.iter().map(|script| scope.spawn(|| bed.guest.must(script, GO).map(drop))).collect();
            let done = removing
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            done.filter_map(Result::err).map(|error| format!("{error:#}")).collect::<Vec<_>>()
        });
        bed.alive()?;
        let name = "a user's networks go".to_owned();
        Ok((!stay.is_empty()).then(|| Row { name, offences: stay, ..Row::default() }))
    }
}
