//! A place on one of a host's networks for real programs: docker, curl, nmap.
//!
//! The host runs on the fabric; the program runs in a user and network namespace of its own, whose only link is a port on that
//! network. What it takes to get there is a [`Place`], and [`inside`] goes there: no privilege is needed.

pub mod inside;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::{Daemon, HostPlan};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::bed::{BedRequest, Testbed, Wires, start};
use crate::proof::question::Vantage;
use crate::proof::routers;
use crate::proof::stations::Stations;
use crate::vm::{Verdict, Waiting};

/// The name of the port and of the file that describes the place.
const PORT: &str = "lab";

/// A running host and a port on one of its networks.
#[derive(Debug)]
pub struct Lab {
    /// The host.
    pub bed: Testbed,
    place: Place,
    file: PathBuf,
}

/// What a namespace is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The socket of the fabric's port.
    pub socket: PathBuf,
    /// The link's MAC address.
    pub mac: String,
    /// The link's addresses.
    pub addresses: Vec<IpNet>,
    /// Gateways of the network, which nobody plays.
    pub gateways: Vec<IpAddr>,
    /// Names of the daemons on this network, with their addresses.
    pub names: Vec<(IpAddr, Vec<String>)>,
    /// What the program finds in its environment.
    pub environment: Vec<(String, String)>,
}

impl Lab {
    /// Boots or restores a host with a further port on the network of `on`. The keys of the client `who` are in the PKI folder
    /// `pki`; they become the docker client's if one daemon with an API is on this network.
    ///
    /// # Errors
    /// As [`Testbed::boot`], and if nobody can stand there: inside a host, beyond a gateway, or where no address is free.
    pub fn open(
        request: &BedRequest<'_>,
        on: &Vantage,
        (pki, who): (&Utf8Path, &str),
        fresh: bool,
        waiting: Waiting<'_>,
    ) -> Result<Self> {
        let plan = request.plan;
        let mut place = Place::on(plan, on, pki, who)?;
        let lay = || Wires::lay(plan, request.report, request.report, Some((PORT, on)));
        let bed = if fresh { start(request, lay, waiting)? } else { Testbed::settled_on(request, lay, waiting)? };
        bed.extra_socket().context("the fabric has no port for the lab")?.clone_into(&mut place.socket);
        let file = bed.run_dir().join("lab.json");
        fs_err::write(&file, serde_json::to_vec(&place)?)?;
        Ok(Self { bed, place, file })
    }

    /// Where the program is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The command that runs `program` there by `helper`, a program that calls [`inside::run`] with the words after its own. It
    /// has the caller's streams.
    pub fn command(&self, helper: &[String], program: &[String]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--user", "--map-root-user", "--net", "--mount", "--"]);
        command.args(helper).arg(&self.file).args(program);
        command
    }

    /// Runs a program there and waits for its end.
    ///
    /// # Errors
    /// If it cannot be started; the machine's verdict if that has ended meanwhile.
    pub fn run(&self, helper: &[String], program: &[String]) -> Result<ExitStatus> {
        let status = self.command(helper, program).status().map_err(|error| missing(&error))?;
        self.bed.alive()?;
        Ok(status)
    }

    /// [`Lab::run`] without input, and with what the program said.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub fn output(&self, helper: &[String], program: &[String]) -> Result<Output> {
        let output = self.command(helper, program).stdin(Stdio::null()).output().map_err(|error| missing(&error))?;
        self.bed.alive()?;
        Ok(output)
    }
}

fn missing(error: &std::io::Error) -> Verdict {
    Verdict::Infrastructure(format!("setpriv and unshare (Debian: util-linux) cannot be run: {error}"))
}

impl Place {
    /// The place of a new station on a network; the socket comes with the fabric.
    ///
    /// # Errors
    /// If nobody can stand there: inside a host, beyond a gateway, on no interface of this host.
    pub fn on(plan: &HostPlan, on: &Vantage, pki: &Utf8Path, who: &str) -> Result<Self> {
        let name = match on {
            Vantage::Vlan(name) | Vantage::Trunk(name) => name,
            Vantage::Beyond(_) | Vantage::Container(..) | Vantage::Host => {
                bail!("nobody can stand on {on}: `vlan:INTERFACE` or `trunk:INTERFACE`")
            }
        };
        if !plan.interfaces.contains_key(name) {
            let known: Vec<_> = plan.interfaces.keys().map(ToString::to_string).collect();
            bail!("the host has no interface {name}; it has {}", known.join(", "));
        }
        let daemons: Vec<&Daemon> = plan.daemons.values().filter(|daemon| daemon.interfaces.contains(name)).collect();
        // A place that api.from lists, where it lists some.
        let listed: Vec<IpNet> =
            daemons.iter().filter_map(|daemon| daemon.api.as_ref()?.from.clone()).flatten().collect();
        let plan = &routers::known(plan);
        let interface = &plan.interfaces[name];
        let stations = Stations::new(plan);
        let mut addresses = Vec::new();
        let mut mac = None;
        for net in &interface.addresses {
            let station = stations.beside(*net, &listed).or_else(|| stations.beside(*net, &[]));
            if let Some(station) = station
                && !addresses.iter().any(|other: &IpNet| other.contains(&station.ip))
            {
                mac.get_or_insert(station.mac);
                addresses.push(IpNet::new(station.ip, net.prefix_len()).context("a subnet has a prefix")?);
            }
        }
        // smoltcp writes addresses with hyphens.
        let mac = mac.unwrap_or_else(|| stations.link_local().mac).to_string().replace('-', ":");
        let names = daemons.iter().flat_map(|daemon| names(daemon)).collect();
        let environment = match daemons.as_slice() {
            [daemon] => environment(daemon, pki, who),
            _ => Vec::new(),
        };
        Ok(Self { socket: PathBuf::new(), mac, addresses, gateways: interface.gateways.clone(), names, environment })
    }
}

/// What a resolver would say of a daemon.
fn names(daemon: &Daemon) -> Vec<(IpAddr, Vec<String>)> {
    let Some(api) = &daemon.api else { return Vec::new() };
    if api.names.is_empty() {
        return Vec::new();
    }
    api.addresses.iter().map(|address| (*address, api.names.clone())).collect()
}

/// What the docker client reads: docker(1).
fn environment(daemon: &Daemon, pki: &Utf8Path, who: &str) -> Vec<(String, String)> {
    let Some(api) = &daemon.api else { return Vec::new() };
    let host = match (api.names.first(), api.addresses.first()) {
        (Some(name), _) => name.clone(),
        (None, Some(IpAddr::V6(address))) => format!("[{address}]"),
        (None, Some(IpAddr::V4(address))) => address.to_string(),
        (None, None) => return Vec::new(),
    };
    let folder: Utf8PathBuf = pki.join(daemon.name.as_str()).join("clients").join(who);
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let host = variable("DOCKER_HOST", format!("tcp://{host}:{}", api.port));
    if !api.tls {
        return vec![host];
    }
    vec![host, variable("DOCKER_TLS_VERIFY", "1".to_owned()), variable("DOCKER_CERT_PATH", folder.to_string())]
}
