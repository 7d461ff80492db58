//! A daemon's API, asked as its users ask it: from its own network, with a client's certificate. The probe containers are
//! started through it, and they ask through it: nothing else leads into the host.
//!
//! Docker Engine API: <https://docs.docker.com/reference/api/engine/version/v1.45/>

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dmhost_layout::plan::{Daemon, DaemonName, HostPlan, Protocol};
use serde_json::{Value, json};

use super::served::Caller;
use crate::bed::Outside;
use crate::fabric::{ClientTls, HttpReply, Outcome};
use crate::proof::clients::Clients;
use crate::proof::containers::{DEFAULT, IN_IMAGE, USER, addresses, container, image, inside, page, places};
use crate::proof::question::{
    Ask, Credential, Inner, Network, Ports, Question, Subject, Verdict, bound, probe_ports, questions,
};
use crate::proof::stations::Stations;

/// For one request, on the reference machine; the longest asks a thousand ports.
const REQUEST: Duration = Duration::from_secs(120);
/// The sheet of questions in a container.
const SHEET: &str = "questions";

/// One daemon's API.
#[derive(Debug)]
pub(super) struct Engine<'a> {
    daemon: &'a Daemon,
    places: Vec<Option<IpAddr>>,
    bound: Option<(IpAddr, u16)>,
    outside: &'a Outside,
    /// `None`: it is in plain text.
    client: Option<&'a ClientTls>,
    // It has one address to connect from.
    caller: Mutex<Caller>,
}

impl<'a> Engine<'a> {
    /// The API of every daemon that has one.
    ///
    /// # Errors
    /// If a subnet has no free address to ask from.
    pub(super) fn all(
        plan: &'a HostPlan,
        outside: &'a Outside,
        clients: &'a Clients,
        stations: &mut Stations,
    ) -> Result<Vec<Self>> {
        let all = questions(plan, &[], &Ports::of(plan, false));
        let mut engines = Vec::new();
        for daemon in plan.daemons.values() {
            let serves = |question: &&Question| {
                let own = matches!(question.ask, Ask::Api { credential: Credential::Own | Credential::Plaintext, .. });
                let of = question.target.subject == Subject::Daemon(daemon.name.clone());
                own && of && question.expected == Verdict::Serves
            };
            let (Some(question), Some(api)) = (all.iter().find(serves), &daemon.api) else { continue };
            let caller = Mutex::new(Caller::new(plan, outside, stations, question.clone(), api.port)?);
            let credential = if api.tls { Credential::Own } else { Credential::Plaintext };
            let client = clients.client(&daemon.name, &credential)?;
            let (places, bound) = (places(plan, daemon), bound(plan, daemon));
            engines.push(Self { daemon, places, bound, outside, client, caller });
        }
        Ok(engines)
    }

    /// Whose it is.
    pub(super) fn name(&self) -> &DaemonName {
        &self.daemon.name
    }

    /// Starts the probe containers, as the fast lane does, and tells the addresses behind the daemon.
    ///
    /// # Errors
    /// If the daemon refuses; the message has its own.
    pub(super) fn start_probes(&self) -> Result<Vec<Inner>> {
        let name = self.name();
        let start = || -> Result<Vec<Inner>> {
            let told = self.ask("POST", &format!("/images/create?fromSrc=-&repo={DEFAULT}"), TAR, &image()?)?;
            let told = String::from_utf8_lossy(&told);
            ensure!(!told.contains("\"error\""), "the image: {told}");
            self.post("/networks/create", &json!({ "Name": USER }))?;
            let ports = probe_ports(self.daemon);
            let bind = |protocol| -> Value {
                let on = |port: u16| {
                    let place = |place: &Option<IpAddr>| place.map(|address| address.to_string()).unwrap_or_default();
                    self.places.iter().map(move |one| json!({ "HostIp": place(one), "HostPort": port.to_string() }))
                };
                ports.of(protocol).into_iter().flat_map(on).collect()
            };
            let mut tcp = bind(Protocol::Tcp);
            if let (Some((address, port)), Value::Array(all)) = (self.bound, &mut tcp) {
                all.push(json!({ "HostIp": address, "HostPort": port.to_string() }));
            }
            let [of_tcp, of_udp] = Protocol::ALL.map(inside);
            let published = json!({ &of_tcp: tcp, &of_udp: bind(Protocol::Udp) });
            let mut inspected = Vec::new();
            for (container, config) in
                [(DEFAULT, json!({ "PortBindings": published })), (USER, json!({ "NetworkMode": USER }))]
            {
                let create = json!({
                    "Image": DEFAULT,
                    "Cmd": [IN_IMAGE, "serve", page(name)],
                    "ExposedPorts": { &of_tcp: {}, &of_udp: {} },
                    "HostConfig": config,
                });
                self.post(&format!("/containers/create?name={container}"), &create)?;
                self.post(&format!("/containers/{container}/start"), &json!({}))?;
                inspected.push(self.get(&format!("/containers/{container}/json"))?);
            }
            addresses(self.daemon, &inspected.into())
        };
        start().with_context(|| format!("daemon {name} does not run a probe container"))
    }

    /// Lets the probe container on a network answer a sheet of questions. Gives what it said, or why it failed.
    ///
    /// # Errors
    /// If the daemon does not run it.
    pub(super) fn probe(&self, network: &Network, sheet: &str) -> Result<Result<String, String>> {
        let container = container(network);
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(sheet.len() as u64);
        tar.append_data(&mut header, SHEET, sheet.as_bytes()).context("cannot write the sheet of questions")?;
        let tar = tar.into_inner().context("cannot write the sheet of questions")?;
        self.ask("PUT", &format!("/containers/{container}/archive?path=/tmp"), TAR, &tar)?;
        let command = json!({
            "AttachStdout": true,
            "AttachStderr": true,
            "Cmd": [IN_IMAGE, "ask", format!("/tmp/{SHEET}")],
        });
        let made = self.post(&format!("/containers/{container}/exec"), &command)?;
        let id = made["Id"].as_str().with_context(|| format!("an exec without an id: {made}"))?;
        let start = json!({ "Detach": false, "Tty": false }).to_string();
        let (out, err) = streams(&self.ask("POST", &format!("/exec/{id}/start"), JSON, start.as_bytes())?)?;
        let ended = self.get(&format!("/exec/{id}/json"))?;
        Ok(if ended["ExitCode"] == 0 { Ok(out) } else { Err(format!("{}: {err}", ended["ExitCode"])) })
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let told = self.ask("POST", path, JSON, body.to_string().as_bytes())?;
        if told.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&told)?) }
    }

    fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.ask("GET", path, JSON, &[])?)?)
    }

    /// One request; any status but success is an error with the daemon's words.
    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>> {
        // A request that panicked has left nothing behind.
        let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut from, peer, terms) = caller.vantage(self.outside, self.outside.deadline(REQUEST))?;
        let (name, port) = (peer.ip.to_string(), caller.port);
        let content = (kind, body.len() as u64, &mut &*body as &mut dyn std::io::Read);
        let answer = from.send_body(peer, port, &name, self.client, (method, path), content, &terms)?;
        match answer.outcome {
            Outcome::Serves(HttpReply { status: 200..=299, body }) => Ok(body),
            Outcome::Serves(HttpReply { status, body }) => {
                bail!("{method} {path}: status {status}: {}", String::from_utf8_lossy(&body).trim())
            }
            outcome @ (Outcome::Refused | Outcome::Denied(_) | Outcome::Silent | Outcome::Other(_)) => {
                self.outside.alive()?;
                bail!("{method} {path}: {outcome:?}")
            }
        }
    }
}

const JSON: &str = "application/json";
const TAR: &str = "application/x-tar";

/// Standard output and standard error, taken apart: each piece has a header with the stream's number and its length (Engine
/// API, "Attach to a container", stream format).
fn streams(mut told: &[u8]) -> Result<(String, String)> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((&[stream, _, _, _, a, b, c, d], rest)) = told.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).context("a piece of no length")?;
        let (piece, rest) = rest.split_at_checked(length).context("the probe's words are cut short")?;
        match stream {
            1 => out.extend_from_slice(piece),
            2 => err.extend_from_slice(piece),
            other => bail!("a stream {other}, which is neither output nor error"),
        }
        told = rest;
    }
    ensure!(told.is_empty(), "the probe's words are cut short");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((text(out), text(err)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_taken_apart_and_a_piece_that_is_cut_short_is_seen() {
        let told = b"\x01\0\0\0\0\0\0\x03a\nb\x02\0\0\0\0\0\0\x01!\x01\0\0\0\0\0\0\x01c";
        assert_eq!(streams(told).unwrap(), ("a\nbc".to_owned(), "!".to_owned()));
        assert!(streams(&told[..told.len() - 1]).is_err());
        assert!(streams(&told[..3]).is_err());
    }
}
