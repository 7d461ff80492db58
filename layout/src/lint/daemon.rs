//! A daemon as its file and its command line make it: every key with its value and place, and defaults of dockerd.

use std::net::IpAddr;

use ipnet::IpNet;

use super::At;
use super::unit::Flag;
use crate::diagnostics::Span;
use crate::engine::{self, Node, Value};

/// One dockerd.
#[derive(Debug)]
pub(super) struct Daemon {
    /// What it is called in messages: its file.
    pub(super) name: String,
    /// The file that a problem of what is absent is told in.
    pub(super) file: usize,
    /// Its keys, those of the command line last.
    pub(super) values: Vec<Given>,
}

/// A key that is there.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) key: String,
    pub(super) node: Node,
    /// The key's place.
    pub(super) at: At,
    /// Whether it is on the command line.
    pub(super) flag: bool,
}

/// Flags whose key in the file has another name: those that can be given several times.
const PLURALS: [(&str, &str); 14] = [
    ("allow-nondistributable-artifact", "allow-nondistributable-artifacts"),
    ("authorization-plugin", "authorization-plugins"),
    ("cdi-spec-dir", "cdi-spec-dirs"),
    ("default-address-pool", "default-address-pools"),
    ("default-network-opt", "default-network-opts"),
    ("default-ulimit", "default-ulimits"),
    ("dns-opt", "dns-opts"),
    ("exec-opt", "exec-opts"),
    ("host", "hosts"),
    ("insecure-registry", "insecure-registries"),
    ("label", "labels"),
    ("log-opt", "log-opts"),
    ("registry-mirror", "registry-mirrors"),
    ("storage-opt", "storage-opts"),
];

impl Daemon {
    pub(super) fn new(name: &str, file: usize, root: Option<&Node>, flags: Vec<Flag>) -> Self {
        let members = root.map(Node::members).unwrap_or_default();
        let mut values: Vec<_> = members
            .iter()
            .map(|member| Given {
                key: member.key.clone(),
                node: member.node.clone(),
                at: At { file, span: member.key_span.clone(), path: member.key.clone() },
                flag: false,
            })
            .collect();
        values.extend(flags.into_iter().map(|Flag { name, value, at }| {
            let key = PLURALS.iter().find(|(flag, _)| *flag == name).map_or(name.as_str(), |(_, key)| key);
            let value = match value.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ if PLURALS.iter().any(|(_, plural)| *plural == key) => {
                    Value::Array(vec![Node { span: at.span.clone(), value: Value::String(value) }])
                }
                _ => Value::String(value),
            };
            Given { key: key.to_owned(), node: Node { span: at.span.clone(), value }, at, flag: true }
        }));
        Self { name: name.to_owned(), file, values }
    }

    /// A key's value: the command line's over the file's.
    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        self.values.iter().rev().find(|value| value.key == key && value.node.value != Value::Null)
    }

    /// A string, with its place if it is given.
    pub(super) fn text<'d>(&'d self, key: &str, default: &'d str) -> (&'d str, Option<&'d At>) {
        match self.get(key) {
            Some(Given { node, at, .. }) => {
                (node.as_str().filter(|text| !text.is_empty()).unwrap_or(default), Some(at))
            }
            None => (default, None),
        }
    }

    /// `true` or `false`.
    pub(super) fn is(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(|value| value.node.as_bool()).unwrap_or(default)
    }

    /// Where a key stands, or the beginning of the file if it does not.
    pub(super) fn place(&self, key: &str) -> At {
        let start: Span = 0..0;
        self.get(key).map_or_else(|| At { file: self.file, span: start, path: String::new() }, |value| value.at.clone())
    }

    /// Sockets with their places; dockerd's own default if there are none.
    pub(super) fn hosts(&self) -> Vec<(String, At)> {
        let given = self.values.iter().filter(|value| value.key == "hosts");
        let hosts: Vec<_> = given
            .flat_map(|value| {
                value.node.items().iter().filter_map(|item| {
                    let at = At { span: item.span.clone(), ..value.at.clone() };
                    Some((item.as_str()?.to_owned(), at))
                })
            })
            .collect();
        if hosts.is_empty() { vec![("unix:///var/run/docker.sock".to_owned(), self.place("hosts"))] } else { hosts }
    }

    /// TCP sockets: the text, the address (`None`: every one), the port and the place.
    pub(super) fn tcp(&self) -> Vec<(String, Option<IpAddr>, u16, At)> {
        let any = |address: Option<IpAddr>| address.filter(|address| !address.is_unspecified());
        let tcp = self.hosts().into_iter().filter_map(|(text, at)| {
            let (address, port) = engine::socket(&text)?;
            Some((text, any(address), port, at))
        });
        tcp.collect()
    }

    /// The bridge of its default network; `None`: it has none.
    pub(super) fn bridge(&self) -> Option<&str> {
        Some(self.text("bridge", "docker0").0).filter(|bridge| *bridge != "none")
    }

    /// Ranges that its networks take addresses from, with their places.
    pub(super) fn ranges(&self) -> Vec<(IpNet, At)> {
        let mut ranges = Vec::new();
        for value in self.values.iter().filter(|value| value.key == "default-address-pools") {
            for pool in value.node.items() {
                // On the command line it is `base=172.20.0.0/14,size=24`.
                let flag =
                    pool.as_str().and_then(|text| text.split(',').find_map(|part| part.trim().strip_prefix("base=")));
                let field = pool.members().iter().find(|member| member.key.eq_ignore_ascii_case("base"));
                let base = flag.or_else(|| field?.node.as_str());
                if let Some(net) = base.and_then(|base| base.parse::<IpNet>().ok()) {
                    ranges.push((net.trunc(), At { span: pool.span.clone(), ..value.at.clone() }));
                }
            }
        }
        if let Some(bip) = self.get("bip")
            && let Some(net) = bip.node.as_str().and_then(|text| text.parse::<IpNet>().ok())
        {
            // Its own pool may hold its own bridge.
            if !ranges.iter().any(|(pool, _)| pool.contains(&net)) {
                ranges.push((net.trunc(), bip.at.clone()));
            }
        }
        ranges
    }
}
