//! What could have been written instead: for each value another, for each section a host without it.
//!
//! What hangs together is changed together: a name wherever it is used, a section with what cannot be without it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::document::{Edit, Node, Path, Shape, Step, is_at, literal};
use super::values;
use crate::spec::words::quoted;

/// An address that an API answers on.
const API_ADDRESS: &[&str] = &["daemons", "*", "api", "addresses", "[]"];

/// What is different in a spec that does not have it.
pub(super) const WITHOUT: &str = "without it";

/// A spec that is another.
#[derive(Debug, Clone)]
pub(super) struct WhatIf {
    /// What is different, in words: `were it 11`.
    pub(super) says: String,
    pub(super) edits: Vec<Edit>,
}

/// Questions about one node, each with its ways to ask it: the first that makes a host is the answer.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) kind: Kind,
    pub(super) ways: Vec<WhatIf>,
}

/// What a question changes, from what tells most of a line to what tells least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A value, or whether a key is there.
    Value,
    /// The name of a section.
    Name,
    /// A name that a section is referred to by.
    Reference,
    /// Whether any key of that name is there.
    Any,
    /// Whether a section is there.
    Section,
    /// Whether a section is there with all that it takes along.
    Together,
}

/// A spec's nodes, to ask about any of them.
pub(super) struct Asker<'n> {
    nodes: &'n [Node],
    /// What refers to an interface, and its name.
    references: Vec<(&'n Node, &'n str)>,
    /// The interfaces' names, each with whether it has addresses.
    interfaces: Vec<(&'n str, bool)>,
}

impl<'n> Asker<'n> {
    pub(super) fn new(nodes: &'n [Node]) -> Self {
        let references = nodes.iter().filter_map(|node| Some((node, reference(node)?))).collect();
        let mut asker = Self { nodes, references, interfaces: Vec::new() };
        let with_addresses = |name| (name, asker.has(&["interfaces", name, "addresses"]));
        asker.interfaces = asker.names("interfaces").map(with_addresses).collect();
        asker
    }

    /// All questions about a node.
    pub(super) fn questions(&self, node: &Node) -> Vec<Question> {
        let mut all = Vec::new();
        if let Some(name) = section(&node.path) {
            let ways = self.renamed(&node.path, name).into_iter().collect();
            all.push(Question { kind: Kind::Name, ways });
        } else if let Some(name) = reference(node) {
            all.push(Question { kind: Kind::Reference, ways: self.referred(node, name) });
        } else if is_at(&node.path, &["expect", "[]", "*"]) {
            all.push(Question { kind: Kind::Value, ways: self.expected(node) });
        } else if node.path.len() == 3 && is_at(&node.path[2..], &["vlan"]) {
            all.push(Question { kind: Kind::Value, ways: self.untagged(node) });
        } else {
            let others = values::others(&node.shape);
            let mut ways: Vec<WhatIf> = others.iter().map(|other| set(&node.path, other.clone())).collect();
            if is_at(&node.path, &["interfaces", "*", "addresses", "[]"]) {
                ways.extend(others.iter().filter_map(|other| self.moved(node, other)));
            } else if is_at(&node.path, API_ADDRESS) {
                ways.extend(self.addresses().map(|address| set(&node.path, literal(&address.to_string()))));
            }
            all.push(Question { kind: Kind::Value, ways });
        }
        all.extend(self.without(node));
        all
    }

    fn names<'a>(&'a self, sections: &'a str) -> impl Iterator<Item = &'n str> + 'a {
        let named = self.nodes.iter().filter(move |node| is_at(&node.path, &[sections, "*"]));
        named.filter_map(|node| match node.path.last() {
            Some(Step::Key(name)) => Some(name.as_str()),
            Some(Step::Item(_)) | None => None,
        })
    }

    /// The section and all references to it under another name.
    fn renamed(&self, path: &Path, name: &str) -> Option<WhatIf> {
        let taken: BTreeSet<&str> = self.names("interfaces").chain(self.names("daemons")).collect();
        let short = &name[..name.char_indices().nth(13).map_or(name.len(), |(at, _)| at)];
        // Near to the old name, so that what is sorted by names stays in its place.
        let fresh = (2..100).map(|n| format!("{short}{n}")).find(|fresh| !taken.contains(fresh.as_str()))?;
        let mut edits = Vec::new();
        if is_at(path, &["interfaces", "*"]) {
            let references = self.references.iter().filter(|(_, to)| *to == name);
            edits.extend(references.map(|(node, _)| Edit::Set(node.path.clone(), literal(&fresh))));
        }
        edits.push(Edit::Rename(path.clone(), fresh.clone()));
        Some(WhatIf { says: format!("named {fresh}"), edits })
    }

    /// Another interface in place of this one: one that there is, a new one like it, or the same under another name.
    fn referred(&self, node: &Node, name: &str) -> Vec<WhatIf> {
        const TRIED: usize = 4;
        let parent = matches!(node.path.last(), Some(Step::Key(key)) if key == "parent");
        let is_nic = |other: &&str| self.has(&["interfaces", other, "nic"]);
        let others = self.names("interfaces").filter(|other| *other != name && is_nic(other) == parent).take(TRIED);
        let mut ways: Vec<WhatIf> = others.map(|other| set(&node.path, literal(other))).collect();
        if parent {
            let fresh = "dmhost-other";
            let mut edits = vec![
                Edit::Set(node.path.clone(), literal(fresh)),
                Edit::Put(keys(&["interfaces"]), fresh.to_owned(), "{ nic = { name = \"enp254s31\" } }".to_owned()),
            ];
            let says = "on another NIC".to_owned();
            ways.push(WhatIf { says: says.clone(), edits: edits.clone() });
            edits.push(Edit::Remove(keys(&["interfaces", name])));
            ways.push(WhatIf { says, edits });
        }
        ways.extend(self.renamed(&keys(&["interfaces", name]), name));
        ways
    }

    /// Another address of an interface, where an API answers on it.
    fn moved(&self, node: &Node, other: &str) -> Option<WhatIf> {
        let address = |text: &str| Some(text.trim_matches('"').parse::<IpNet>().ok()?.addr().to_string());
        let (old, new) = (address(self.text(&node.path)?)?, address(other)?);
        let same = |api: &&Node| is_at(&api.path, API_ADDRESS) && self.text(&api.path) == Some(&old);
        let mut way = set(&node.path, other.to_owned());
        let apis = self.nodes.iter().filter(same).map(|api| Edit::Set(api.path.clone(), literal(&new)));
        way.edits.extend(apis);
        (way.edits.len() > 1).then_some(way)
    }

    /// The interfaces' addresses.
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let listed = self.nodes.iter().filter(|node| is_at(&node.path, &["interfaces", "*", "addresses", "[]"]));
        listed.filter_map(|node| self.text(&node.path)?.parse::<IpNet>().ok()).map(|net| net.addr())
    }

    /// Another vantage, target, port or verdict.
    fn expected(&self, node: &Node) -> Vec<WhatIf> {
        const TRIED: usize = 4;
        let Shape::String(text) = &node.shape else { return Vec::new() };
        let named = text.split_once(':').into_iter().flat_map(|(kind, name)| {
            let sections = if matches!(kind, "daemon" | "container") { "daemons" } else { "interfaces" };
            let others = self.names(sections).filter(move |other| *other != name).take(TRIED);
            others.map(move |other| format!("{kind}:{other}"))
        });
        let mut ways: Vec<WhatIf> = named.map(|other| set(&node.path, literal(&other))).collect();
        ways.push(set(&node.path, literal("host")));
        ways.extend(values::others(&node.shape).into_iter().map(|other| set(&node.path, other)));
        ways
    }

    /// A NIC of its own in place of a VLAN.
    fn untagged(&self, node: &Node) -> Vec<WhatIf> {
        let section = node.path[..2].to_vec();
        let mut edits = vec![
            Edit::Remove(node.path.clone()),
            Edit::Put(section, "nic".to_owned(), "{ name = \"enp254s31\" }".to_owned()),
        ];
        let says = "were it a NIC of its own".to_owned();
        let mut ways = vec![WhatIf { says: says.clone(), edits: edits.clone() }];
        let mut parent = node.path.clone();
        parent.push(Step::Key("parent".to_owned()));
        if let Some(name) = self.text(&parent) {
            edits.push(Edit::Remove(keys(&["interfaces", name])));
            ways.push(WhatIf { says, edits });
        }
        ways
    }

    /// [`Self::without`] for the section that a value is in.
    pub(super) fn without_section(&self, node: &Node) -> Vec<Question> {
        let section = self.nodes.iter().find(|section| section.path == node.path[..2]);
        section.map(|section| self.without(section)).unwrap_or_default()
    }

    /// A spec without it, and if it is a section, without what cannot be without it.
    pub(super) fn without(&self, node: &Node) -> Vec<Question> {
        let says = WITHOUT.to_owned();
        let alone = WhatIf { says: says.clone(), edits: vec![Edit::Remove(node.path.clone())] };
        if section(&node.path).is_some() {
            let also = |own: &[&str]| {
                let mut gone = BTreeSet::from([node.path.clone()]);
                gone.extend(own.iter().map(|name| keys(&["interfaces", name])));
                self.close(&mut gone);
                WhatIf { says: says.clone(), edits: gone.into_iter().map(Edit::Remove).collect() }
            };
            // What a daemon leaves is the host's own, if the host can have it.
            let own: Vec<&str> = if is_at(&node.path, &["daemons", "*"]) {
                let parts = self.references.iter().filter(|(part, _)| part.path.starts_with(&node.path));
                parts.map(|(_, name)| *name).collect()
            } else {
                Vec::new()
            };
            return vec![
                Question { kind: Kind::Section, ways: vec![alone] },
                Question { kind: Kind::Together, ways: vec![also(&[]), also(&own)] },
            ];
        }
        let mut ways = vec![alone];
        if let Some((Step::Item(0), list)) = node.path.split_last() {
            // An empty array of tables is refused, so the last one goes with its array.
            ways.push(WhatIf { says, edits: vec![Edit::Remove(list.to_vec())] });
        }
        vec![Question { kind: Kind::Value, ways }]
    }

    /// Keys that are there more than once, and a spec without all of each: what any one of them makes alone, no single
    /// one makes.
    pub(super) fn without_all(&self) -> Vec<(Vec<usize>, WhatIf)> {
        let mut same: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            if let (Some(Step::Key(key)), None) = (node.path.last(), section(&node.path)) {
                same.entry(key).or_default().push(n);
            }
        }
        let several = same.into_iter().filter(|(_, all)| all.len() > 1);
        let asked = several.map(|(key, all)| {
            let edits = all.iter().map(|n| Edit::Remove(self.nodes[*n].path.clone())).collect();
            (all, WhatIf { says: format!("without every {}", quoted(key)), edits })
        });
        asked.collect()
    }

    /// Adds what cannot be without what is gone: links on a NIC, a daemon without an interface, a NIC that carries
    /// nothing, the way in over an interface.
    fn close(&self, gone: &mut BTreeSet<Path>) {
        loop {
            let before = gone.len();
            for (node, name) in &self.references {
                let owner = &node.path[..2];
                if gone.contains(owner) || !gone.contains(&keys(&["interfaces", name])) {
                    continue;
                }
                let in_list = matches!(node.path.last(), Some(Step::Item(_)));
                let list = &node.path[..node.path.len() - 1];
                let left = self.references.iter().filter(|(other, name)| {
                    other.path.starts_with(list) && !gone.contains(&keys(&["interfaces", name]))
                });
                let goes = if in_list && left.count() > 0 { node.path.clone() } else { owner.to_vec() };
                gone.insert(goes);
            }
            for (name, with_addresses) in &self.interfaces {
                let mut users = self.references.iter().filter(|(_, to)| to == name).peekable();
                let unused = users.peek().is_some()
                    && users.all(|(node, _)| gone.contains(&node.path[..2]) || gone.contains(&node.path));
                if unused && !with_addresses {
                    gone.insert(keys(&["interfaces", name]));
                }
            }
            if gone.len() == before {
                return;
            }
        }
    }

    fn has(&self, path: &[&str]) -> bool {
        self.nodes.iter().any(|node| is_at(&node.path, path))
    }

    fn text(&self, path: &[Step]) -> Option<&str> {
        self.nodes.iter().find(|node| node.path == path).and_then(|node| match &node.shape {
            Shape::String(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

fn set(path: &Path, other: String) -> WhatIf {
    WhatIf { says: format!("were it {other}"), edits: vec![Edit::Set(path.clone(), other)] }
}

fn keys(path: &[&str]) -> Path {
    path.iter().map(|key| Step::Key((*key).to_owned())).collect()
}

/// The name of `[interfaces.NAME]` and `[daemons.NAME]`.
pub(super) fn section(path: &[Step]) -> Option<&str> {
    match path {
        [Step::Key(sections), Step::Key(name)] if sections == "interfaces" || sections == "daemons" => Some(name),
        _ => None,
    }
}

/// The interface that a value names.
fn reference(node: &Node) -> Option<&str> {
    let refers = match node.path.as_slice() {
        [.., Step::Key(key)] => key == "interface" || key == "parent",
        [.., Step::Key(key), Step::Item(_)] => key == "interfaces" || key == "members",
        _ => false,
    };
    match &node.shape {
        Shape::String(name) if refers && node.path.len() >= 3 => Some(name),
        _ => None,
    }
}
