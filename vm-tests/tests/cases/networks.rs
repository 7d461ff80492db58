//! The Docker networks that a spec asks for: made as it says, kept by further starts, and never taken away from containers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmhost_layout::plan::{Daemon, Network, Subnet};
use serde_json::Value;
use vm_tests::bed::Testbed;

use crate::support::Host;

const PATIENCE: Duration = Duration::from_secs(60);

/// Each network is what the spec says. Made again it is the same one, with its containers; and so it is if the spec says otherwise, which
/// is told.
pub(crate) fn stand(bed: &Testbed, host: &Host) -> Result<()> {
    let all = || host.plan.daemons.values().flat_map(|daemon| daemon.networks.iter().map(move |one| (daemon, one)));
    ensure!(all().next().is_some(), "the spec asks for no network");
    for (daemon, network) in all() {
        stands(bed, daemon, network).with_context(|| format!("network {} of {}", network.name, daemon.name))?;
    }
    Ok(())
}

fn stands(bed: &Testbed, daemon: &Daemon, network: &Network) -> Result<()> {
    let (name, script) = (&daemon.name, daemon.name.etc().join("networks.sh"));
    let unit = format!("dmhost-{name}-networks.service");
    let found = inspect(bed, daemon, network)?;
    is_planned(&found, network)?;
    ensure!(found["Containers"].as_object().is_some_and(|all| !all.is_empty()), "no container is on it: {found}");

    bed.guest.must(&format!("systemctl restart {unit}"), PATIENCE).context("made again")?;
    ensure!(inspect(bed, daemon, network)? == found, "made again it is another one");

    // As a spec with another definition renders it.
    let other = format!(
        "set -e
        cp {script} /run/networks.sh
        sed -i 's/^network {0} /&other/' {script}
        if cmp -s {script} /run/networks.sh || systemctl restart {unit}; then exit 1; fi
        journalctl --quiet --output=cat --unit={unit} --lines=20
        cp /run/networks.sh {script}
        systemctl restart {unit}
        systemctl is-active dmhost-{name}.service",
        network.name
    );
    let said = bed.guest.must(&other, PATIENCE).context("defined otherwise")?;
    let told = format!(
        "network {0} of daemon {name} is not the one in the host spec; remove it: docker network rm {0}",
        network.name
    );
    ensure!(said.contains(&told), "that it is defined otherwise is not told: {said}");
    ensure!(inspect(bed, daemon, network)? == found, "defined otherwise it is another one");
    Ok(())
}

fn inspect(bed: &Testbed, daemon: &Daemon, network: &Network) -> Result<Value> {
    let docker = format!("docker -H unix://{} network inspect {}", daemon.name.socket(), network.name);
    let json: Value = serde_json::from_str(&bed.guest.must(&docker, PATIENCE)?).context("docker speaks JSON")?;
    Ok(json[0].clone())
}

/// What Docker says of it is what the spec does.
fn is_planned(found: &Value, network: &Network) -> Result<()> {
    ensure!(found["Driver"] == network.driver.as_str(), "its driver: {found}");
    ensure!(found["Internal"] == network.internal, "whether it is internal: {found}");
    ensure!(found["EnableIPv6"] == network.ipv6, "whether it has IPv6: {found}");
    let configs = found["IPAM"]["Config"].as_array().context("it has no subnets")?;
    for Subnet { range, gateway, ip_range } in &network.subnets {
        let config = configs.iter().find(|config| config["Subnet"] == range.to_string());
        let config = config.with_context(|| format!("{range} is not there: {found}"))?;
        let same = |key: &str, planned: Option<String>| planned.is_none_or(|planned| config[key] == planned);
        ensure!(same("Gateway", gateway.map(|gateway| gateway.to_string())), "the gateway of {range}: {config}");
        ensure!(
            same("IPRange", ip_range.map(|range| range.to_string())),
            "the range of containers of {range}: {config}"
        );
    }
    let has =
        |v6: bool| configs.iter().any(|config| config["Subnet"].as_str().is_some_and(|net| net.contains(':') == v6));
    ensure!(has(false) && has(true) == network.ipv6, "its subnets: {found}");
    for label in &network.labels {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        ensure!(found["Labels"][key] == value, "the label {label}: {found}");
    }
    Ok(())
}
