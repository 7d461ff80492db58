//! A spec that grows fact by fact: what its own check refuses is taken back, and the reason kept.

use std::net::IpAddr;

use super::{Fact, Key, LeftOut, Link, LinkKind, Machine, Wishes, names};
use crate::plan::plan_from_toml;
use crate::spec::words::plain;

/// The longest reason or word of a machine that is repeated, in characters.
const LONGEST: usize = 300;

/// The name of a host whose own cannot be one.
pub(super) const NAMELESS: &str = "host";

/// What of a machine has found its way into the spec.
#[derive(Debug, Clone, Default)]
pub(super) struct Trial {
    pub(super) host: String,
    /// As many as the machine has links.
    pub(super) sections: Vec<Section>,
    /// Index of the administrator's section.
    pub(super) admin: Option<usize>,
    pub(super) keys: Vec<String>,
    pub(super) daemons: Vec<Daemon>,
    pub(super) missing: Vec<String>,
    pub(super) left_out: Vec<LeftOut>,
}

/// `[interfaces.NAME]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) name: String,
    /// `nic = ..` or `vlan = ..`.
    pub(super) kind: String,
    /// Index of the section that carries it.
    pub(super) parent: Option<usize>,
    /// Whether it is in the spec; else it stands there as a comment.
    pub(super) live: bool,
    pub(super) addresses: Vec<String>,
    pub(super) gateways: Vec<String>,
    pub(super) accept_ra: bool,
    pub(super) dns: Vec<String>,
    /// What was left out, and what is to be known.
    pub(super) remarks: Vec<String>,
}

/// `[daemons.NAME]`, with the indices of its sections.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    pub(super) name: String,
    pub(super) links: Vec<usize>,
}

impl Trial {
    pub(super) fn run(machine: &Machine, wishes: &Wishes) -> Self {
        let mut trial = Self { host: NAMELESS.to_owned(), ..Self::default() };
        trial.name(machine.name.as_deref());
        trial.sections = sections(&machine.links);
        trial.wish(machine, wishes);
        let mut order: Vec<usize> = (0..machine.links.len()).collect();
        // The administrator's way in comes first: what would clash with it goes. VLANs come before the untagged side of
        // their NIC, which cannot have addresses then.
        let vlan = |at: usize| matches!(machine.links[at].kind, LinkKind::Vlan { .. });
        order.sort_by_key(|at| (trial.admin != Some(*at), !vlan(*at)));
        for at in order {
            trial.link(at, &machine.links);
        }
        trial.servers(&machine.dns);
        if trial.admin.is_some_and(|at| trial.sections[at].addresses.is_empty()) {
            trial.admin = None;
        }
        trial.daemons.retain(|daemon| daemon.links.iter().any(|at| trial.sections[*at].live));
        trial.log_in(&machine.keys);
        trial.tell_missing();
        trial
    }

    fn name(&mut self, name: Option<&str>) {
        if let Some(name) = name {
            let before = std::mem::replace(&mut self.host, names::host(name));
            if self.refusal().is_some() {
                self.host = before;
            } else {
                return;
            }
        }
        self.missing.push(format!("[host]: this machine has no name that a host may have; {NAMELESS} stands there"));
    }

    /// Whose each link is to be.
    fn wish(&mut self, machine: &Machine, wishes: &Wishes) {
        let find = |name: &String| machine.links.iter().position(|link| link.name == *name);
        let mut alone: Vec<usize> =
            (0..machine.links.len()).filter(|at| self.stands_alone(*at, &machine.links)).collect();
        // Where a NIC has both, the VLANs are taken: its untagged side cannot have addresses then.
        let carriers: Vec<usize> = alone.iter().filter_map(|at| self.sections[*at].parent).collect();
        alone.retain(|at| !carriers.contains(at));
        for (name, links) in &wishes.daemons {
            let (found, lost): (Vec<_>, Vec<_>) =
                links.iter().map(|link| (link, find(link))).partition(|(_, at)| at.is_some());
            for (link, _) in lost {
                let (name, link) = (plain(name, LONGEST), plain(link, LONGEST));
                self.leave_out(Fact::Wish, format!("daemon {name}: there is no interface {link}"));
            }
            self.daemons
                .push(Daemon { name: name.clone(), links: found.into_iter().filter_map(|(_, at)| at).collect() });
        }
        let free = |at: &usize| !self.daemons.iter().any(|daemon| daemon.links.contains(at));
        self.admin = if let Some(name) = &wishes.admin {
            let found = find(name);
            if found.is_none() {
                self.leave_out(Fact::Wish, format!("[host.admin]: there is no interface {}", plain(name, LONGEST)));
            }
            found
        } else {
            let routed = |at: &usize| !machine.links[*at].gateways.is_empty() || machine.links[*at].accept_ra;
            let free: Vec<usize> = alone.iter().copied().filter(free).collect();
            free.iter().copied().find(routed).or(free.first().copied())
        };
        if wishes.daemons.is_empty() {
            let mut taken = Vec::new();
            for at in alone.into_iter().filter(|at| self.admin != Some(*at)) {
                let name = names::daemon(&self.sections[at].name, &taken);
                taken.push(name.clone());
                self.daemons.push(Daemon { name, links: vec![at] });
            }
        }
    }

    /// Whether a link could be an interface of a host that has no other.
    fn stands_alone(&self, at: usize, links: &[Link]) -> bool {
        let link = &links[at];
        let parent = self.sections[at].parent;
        let usable = link.unusable.is_none() && parent.is_none_or(|parent| links[parent].unusable.is_none());
        let mut alone = Self { host: self.host.clone(), sections: self.sections.clone(), ..Self::default() };
        usable
            && alone.set_live(at)
            && link.addresses.iter().any(|address| {
                alone.sections[at].addresses = vec![address.net.to_string()];
                alone.refusal().is_none()
            })
    }

    /// Puts a section and its carrier into the spec; false if it has none, as a VLAN of nothing.
    fn set_live(&mut self, at: usize) -> bool {
        if let Some(parent) = self.sections[at].parent {
            self.sections[parent].live = true;
        }
        self.sections[at].live = true;
        self.sections[at].parent.is_some() || self.sections[at].kind.starts_with("nic")
    }

    fn link(&mut self, at: usize, links: &[Link]) {
        let link = &links[at];
        let of = || Fact::Link(link.name.clone());
        if let Some(why) = &link.unusable {
            self.note(at, of(), why);
            return;
        }
        if self.sections[at].parent.is_some_and(|parent| links[parent].unusable.is_some()) {
            self.note(at, of(), "what carries it cannot be used");
            return;
        }
        for address in &link.addresses {
            let before = self.sections.clone();
            let whole = self.set_live(at);
            self.sections[at].addresses.push(address.net.to_string());
            let refusal = if whole { self.refusal() } else { Some("no NIC of this machine carries it".to_owned()) };
            if let Some(why) = refusal {
                self.sections = before;
                self.note(at, of(), &format!("{} is left out: {why}", address.net));
            } else if let Some(remark) = &address.remark {
                self.sections[at].remarks.push(format!("{}: {}", address.net, plain(remark, LONGEST)));
            }
        }
        if self.sections[at].addresses.is_empty() {
            return;
        }
        for gateway in &link.gateways {
            self.sections[at].gateways.push(gateway.to_string());
            if let Some(why) = self.refusal() {
                self.sections[at].gateways.pop();
                let of = Fact::Gateway(link.name.clone(), *gateway);
                self.note(at, of, &format!("the gateway {gateway} is left out: {why}"));
            }
        }
        if link.accept_ra {
            self.sections[at].accept_ra = true;
            if let Some(why) = self.refusal() {
                self.sections[at].accept_ra = false;
                self.note(at, of(), &format!("accept-ra is left out: {why}"));
            }
        }
    }

    /// Name servers go to every interface that has a way to them.
    fn servers(&mut self, servers: &[IpAddr]) {
        for server in servers {
            let mut used = false;
            let mut why = None;
            for at in 0..self.sections.len() {
                if self.sections[at].addresses.is_empty() {
                    continue;
                }
                self.sections[at].dns.push(server.to_string());
                let refusal = self.refusal();
                used |= refusal.is_none();
                if refusal.is_some() {
                    self.sections[at].dns.pop();
                    why = refusal.or(why);
                }
            }
            if let Some(why) = why.filter(|_| !used) {
                self.leave_out(Fact::Server, format!("the name server {server} is left out: {why}"));
            }
        }
    }

    fn log_in(&mut self, keys: &[Key]) {
        for key in keys.iter().filter(|key| key.chosen) {
            self.keys.push(key.line.trim().to_owned());
            // Without an interface for it the section is not written, and the key is judged at another time.
            if let Some(why) = self.refusal() {
                self.keys.pop();
                self.leave_out(Fact::Key, format!("the key of {} is left out: {why}", plain(&key.from, LONGEST)));
            }
        }
    }

    fn tell_missing(&mut self) {
        let live = self.sections.iter().any(|section| section.live);
        if self.sections.is_empty() {
            self.missing.push("[interfaces]: no NIC was found; write one, by its MAC address".to_owned());
        } else if !live {
            self.missing.push("[interfaces]: no NIC has an address that it can keep; write `addresses`".to_owned());
        }
        if live && self.admin.is_none() {
            self.missing.push("[host.admin]: no interface is left for it; nobody can log in".to_owned());
        } else if self.keys.is_empty() {
            self.missing.push("[host.admin]: there is no public key; write one into `authorized-keys`".to_owned());
        }
        if self.daemons.is_empty() {
            self.missing
                .push("[daemons]: no interface is left for one; each daemon has a NIC or a VLAN of its own".to_owned());
        }
    }

    fn leave_out(&mut self, of: Fact, what: String) {
        self.left_out.push(LeftOut { of, what });
    }

    fn note(&mut self, at: usize, of: Fact, remark: &str) {
        let section = &mut self.sections[at];
        let remark = plain(remark, LONGEST);
        let what = format!("[interfaces.{}]: {remark}", section.name);
        section.remarks.push(remark);
        self.left_out.push(LeftOut { of, what });
    }

    /// What `check` would say first of the spec as it is.
    fn refusal(&self) -> Option<String> {
        let (_, diagnostics) = plan_from_toml("", &self.bare());
        diagnostics.iter().next().map(|first| match &first.help {
            Some(help) => format!("{}; {help}", first.message),
            None => first.message.clone(),
        })
    }

    /// The spec without a comment.
    fn bare(&self) -> String {
        let mut text = format!("version = 1\n[host]\nname = {}\n", quote(&self.host));
        if let Some(at) = self.admin.filter(|at| !self.keys.is_empty() && !self.sections[*at].addresses.is_empty()) {
            text += &format!("[host.admin]\ninterface = {}\n", quote(&self.sections[at].name));
            text += &format!("authorized-keys = {}\n", list(&self.keys));
        }
        for section in self.sections.iter().filter(|section| section.live) {
            text += &section.bare();
        }
        for daemon in &self.daemons {
            let live = daemon.links.iter().map(|at| &self.sections[*at]).filter(|section| section.live);
            let names: Vec<String> = live.map(|section| section.name.clone()).collect();
            if !names.is_empty() {
                let name = quote(&daemon.name);
                text += &format!("[daemons.{name}]\ninterfaces = {}\napi = {{ port = 2376 }}\n", list(&names));
            }
        }
        text
    }
}

impl Section {
    /// Its keys but for the one that says what it is, a line each.
    pub(super) fn keys(&self) -> String {
        let list = |key: &str, values: &[String]| match values {
            [] => String::new(),
            _ => format!("{key} = {}\n", list(values)),
        };
        let accept_ra = if self.accept_ra { "accept-ra = true\n" } else { "" };
        list("addresses", &self.addresses) + &list("gateways", &self.gateways) + accept_ra + &list("dns", &self.dns)
    }

    /// The section without a comment.
    fn bare(&self) -> String {
        format!("[interfaces.{}]\n{}\n{}", quote(&self.name), self.kind, self.keys())
    }
}

fn sections(links: &[Link]) -> Vec<Section> {
    let vid = |kind: &LinkKind| match kind {
        LinkKind::Nic { .. } => None,
        LinkKind::Vlan { id, .. } => Some(*id),
    };
    let names = names::interfaces(links.iter().map(|link| (link.name.as_str(), vid(&link.kind))));
    let section = |(link, name): (&Link, &String)| {
        let (kind, parent) = match &link.kind {
            LinkKind::Nic { mac } => (format!("nic = {{ mac = {} }}", quote(mac)), None),
            LinkKind::Vlan { parent, id } => {
                let nic = |one: &Link| one.name == *parent && matches!(one.kind, LinkKind::Nic { .. });
                let at = links.iter().position(nic);
                let parent = at.map_or(parent, |at| &names[at]);
                (format!("vlan = {{ parent = {}, id = {id} }}", quote(parent)), at)
            }
        };
        Section { name: name.clone(), kind, parent, ..Section::default() }
    };
    links.iter().zip(&names).map(section).collect()
}

/// A string as TOML, on one line whatever is in it. JSON's escapes are TOML's too; what it does not escape is DEL.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// Strings as a TOML array.
pub(super) fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
    format!("[{}]", values.join(", "))
}
