//! The administrator: the real ssh client, on a loopback port whose connections are carried over the fabric.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dmhost_layout::plan::HostPlan;

use super::served::sshd;
use crate::bed::Outside;
use crate::fabric::{Canary, CanaryKind, Host, Outcome, Peer, Terms};
use crate::proof::question::Vantage;
use crate::proof::stations::Stations;
use crate::proof::topology::mac;
use crate::vm::Verdict;

/// For sshd to take a connection, on the reference machine.
const GRACE: Duration = Duration::from_secs(10);

/// Makes an ed25519 key pair without a passphrase at `path` and gives the line of its public half.
///
/// # Errors
/// If `ssh-keygen` is missing or fails.
pub fn admin_key(path: &Path) -> Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "truth", "-f"]).arg(path);
    let output = command.stdin(Stdio::null()).output().map_err(|error| missing(&error))?;
    if !output.status.success() {
        bail!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(fs_err::read_to_string(path.with_extension("pub"))?.trim().to_owned())
}

fn missing(error: &std::io::Error) -> Verdict {
    Verdict::Infrastructure(format!("ssh (Debian: openssh-client) cannot be run: {error}"))
}

/// Someone who may log in.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The private key.
    pub key: PathBuf,
    /// The host's key as it was first seen; another is refused. Made by the first login.
    pub known_hosts: PathBuf,
}

impl Ssh {
    /// Runs a shell script on the host and gives its output. The deadline is for the reference machine.
    ///
    /// # Errors
    /// If nobody can log in, or the script fails: with what both sides said.
    pub fn run(&self, plan: &HostPlan, outside: &Outside, script: &str, deadline: Duration) -> Result<String> {
        let output = self.output(plan, outside, script, deadline)?;
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("over ssh, `{}` ended with {}: {text}\n{}", script.trim(), output.status, said.trim());
        }
        Ok(text)
    }

    /// [`Ssh::run`] whatever comes of it: a host that powers off takes the connection with it.
    ///
    /// # Errors
    /// If ssh cannot be run or the fabric has stopped.
    pub fn output(&self, plan: &HostPlan, outside: &Outside, script: &str, deadline: Duration) -> Result<Output> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let port = listener.local_addr().context("the listener has no address")?.port();
        let user = plan.host.admin.as_ref().map_or("root", |admin| admin.user.as_str());
        let option = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        let path = |path: &Path| path.display().to_string();
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-p", &port.to_string(), "-l", user]);
        command.args(option("BatchMode", "yes")).args(option("IdentitiesOnly", "yes"));
        command.args(option("IdentityFile", &path(&self.key)));
        command.args(option("UserKnownHostsFile", &path(&self.known_hosts)));
        command.args(option("StrictHostKeyChecking", "accept-new")).args(option("HostKeyAlias", &plan.host.name));
        command.args(option("ServerAliveInterval", "0")).args(["127.0.0.1", script]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| missing(&error))?;
        std::thread::scope(|scope| {
            let carried = scope.spawn(|| {
                let (client, _) = listener.accept().context("ssh does not connect")?;
                carry(plan, outside, &client, deadline)
            });
            let output = child.wait_with_output().context("cannot wait for ssh");
            // A client that ended before it connected would leave the thread waiting.
            drop(TcpStream::connect(("127.0.0.1", port)));
            let carried = carried.join().map_err(|_| anyhow::anyhow!("the thread that carries ssh panicked"))?;
            let output = output?;
            if !output.status.success() {
                carried.with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
            }
            Ok(output)
        })
    }
}

/// Carries one connection to sshd.
fn carry(plan: &HostPlan, outside: &Outside, client: &TcpStream, deadline: Duration) -> Result<()> {
    client.set_nodelay(true).context("cannot set an option of the client's connection")?;
    let (interface, subnet) = sshd(plan)?;
    let address = subnet.addr();
    let nic = outside.topology.nic(plan, &interface)?;
    let stations = Stations::new(plan);
    let station = || stations.beside(subnet, &[]).with_context(|| format!("{subnet} has no free address"));
    let (source, watcher) = (station()?, station()?);
    let target = Host { mac: mac(nic.mac), ip: address };
    let segment = outside.topology.segment(&Vantage::Vlan(interface))?;
    let (kind, patience) = (CanaryKind::Neighbour, Duration::from_millis(500));
    let canary = Canary { nic: nic.port, segment, source: watcher, target, kind, patience };
    // A question for a neighbour is answered before anything is: sshd's answer takes one of its own first.
    let grace = outside.vm.pace().scale(GRACE);
    let terms = Terms { canary, others: Vec::new(), grace, deadline: outside.deadline(deadline) };
    let mut from = outside.fabric.vantage(segment, source.mac, &[source.ip])?;
    let finding = from.forward(Peer { ip: address, mac: Some(target.mac) }, 22, client, &terms)?;
    match finding.outcome {
        Outcome::Serves(()) => Ok(()),
        Outcome::Refused | Outcome::Denied(_) | Outcome::Silent | Outcome::Other(_) => {
            bail!("sshd at {address}: {:?}", finding.outcome)
        }
    }
}
