//! Every mutant of a layout, line by line: a rule without which the others must not do, a policy turned round, a value that is the
//! kernel's own, a bind to everything, a unit that waits for nothing, another's keys.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::plan::HostPlan;
use dmhost_layout::{Content, Entry, Layout};
use serde_json::Value;

/// One edit of a layout.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// The file and what is wrong with it, for example `/etc/nftables.conf: forward without "policy drop"`.
    pub name: String,
    /// The files that differ, as they are in the mutant.
    pub(super) files: BTreeMap<Utf8PathBuf, Entry>,
}

impl Mutant {
    fn of(layout: &Layout, path: &Utf8Path, what: &str, text: String) -> Option<Self> {
        let entry = Entry { content: Content::Text(text), ..layout.get(path)?.clone() };
        Some(Self { name: format!("{path}: {what}"), files: BTreeMap::from([(path.to_owned(), entry)]) })
    }

    /// The layout with it.
    #[must_use]
    pub fn applied(&self, layout: &Layout) -> Layout {
        let mut mutated = layout.clone();
        for (path, entry) in &self.files {
            mutated.insert(path.clone(), entry.clone());
        }
        mutated
    }
}

/// Every mutant, in the order of paths and lines.
pub fn mutants(plan: &HostPlan, layout: &Layout) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (path, entry) in layout.iter() {
        let Content::Text(text) = &entry.content else { continue };
        let edits = match (path.file_name(), path.extension()) {
            (Some("nftables.conf"), _) | (_, Some("nft")) => rules(text),
            (Some("sysctl.conf" | "link.conf"), _) => values(text),
            (_, Some("conf")) if path.starts_with("/etc/sysctl.d") => values(text),
            (Some("daemon.json"), _) => settings(plan, path, text),
            (Some(name), Some("service")) if name.starts_with("dmhost-") => dependencies(text),
            _ => Vec::new(),
        };
        all.extend(edits.into_iter().filter_map(|(what, text)| Mutant::of(layout, path, &what, text)));
    }
    all
}

/// What is wrong, and the whole text with it.
type Edit = (String, String);

fn without(text: &str, line: usize) -> String {
    replaced(text, line, None)
}

fn replaced(text: &str, line: usize, by: Option<&str>) -> String {
    let edit = |(nth, old)| if nth == line { by.map(str::to_owned) } else { Some(str::to_owned(old)) };
    text.lines().enumerate().filter_map(edit).map(|line| line + "\n").collect()
}

/// What makes a rule narrow, and how it reads without.
const NARROW: [(&str, &str); 4] = [
    // What frames that a program makes by hand have not.
    ("meta rtclassid 0 ", ""),
    // What an address of the host's own is not.
    ("fib daddr type unicast ", ""),
    // What ends here, and would be answered.
    ("ip6 hoplimit > 1 ", ""),
    // What a port that Docker maps was not asked for by.
    ("ct original ip6 daddr", "ip6 daddr"),
];

/// nft(8): each rule left out, each policy turned round, and each rule that is narrow made wider.
fn rules(text: &str) -> Vec<Edit> {
    let (mut chain, mut edits) = (String::new(), Vec::new());
    for (nth, line) in text.lines().enumerate() {
        let rule = line.trim();
        match rule.split_once(' ') {
            Some(("chain", name)) if rule.ends_with('{') => name.trim_end_matches(" {").clone_into(&mut chain),
            Some(("type", _)) if rule.contains("policy drop") => {
                let turned = line.replace("policy drop", "policy accept");
                edits.push((format!("{chain} with \"policy accept\""), replaced(text, nth, Some(&turned))));
            }
            // What a table and its sets are, and what is no rule.
            Some((
                "type" | "table" | "set" | "size" | "flags" | "timeout" | "delete" | "flush" | "#" | "#!/usr/sbin/nft",
                _,
            ))
            | None => {}
            Some(_) if rule.starts_with('#') => {}
            Some(_) => {
                edits.push((format!("{chain} without \"{rule}\""), without(text, nth)));
                for (narrow, wide) in NARROW.into_iter().filter(|(narrow, _)| line.contains(narrow)) {
                    let wider = line.replacen(narrow, wide, 1);
                    edits.push((format!("{chain} with \"{}\"", wider.trim()), replaced(text, nth, Some(&wider))));
                }
            }
        }
    }
    edits
}

/// sysctl.d(5): each key with what it guards against. `all` and `default` are one, since either alone does nothing.
fn values(text: &str) -> Vec<Edit> {
    let mut keys: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (nth, line) in text.lines().enumerate() {
        if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let one =
                key.trim_start_matches('-').replace(".conf.all.", ".conf.*.").replace(".conf.default.", ".conf.*.");
            // The three thresholds of a table are one bound.
            let one = one.trim_end_matches(['1', '2', '3']).to_owned();
            keys.entry(one).or_default().push(nth);
        }
    }
    let edit = |(key, lines): (String, Vec<usize>)| {
        let change = |(nth, line): (usize, &str)| match line.split_once(" = ") {
            Some((key, value)) if lines.contains(&nth) => format!("{key} = {}\n", against(key, value)),
            _ => format!("{line}\n"),
        };
        (format!("{key} the other way"), text.lines().enumerate().map(change).collect())
    };
    keys.into_iter().map(edit).collect()
}

/// The value that a key is there against: the kernel's own for the sizes of tables (`Documentation/networking/ip-sysctl.rst`), else the
/// other end of the switch.
fn against(key: &str, value: &str) -> &'static str {
    match (key.rsplit('.').next().unwrap_or_default(), value) {
        ("gc_thresh1" | "accept_ra_rt_info_max_plen", _) => "128",
        ("gc_thresh2", _) => "512",
        ("gc_thresh3" | "nf_conntrack_max", _) => "1024",
        // Also where packets are forwarded.
        ("accept_ra", "0") => "2",
        // In hundredths of a second.
        ("proxy_delay", _) => "80",
        ("accept_ra_min_hop_limit", _) | (_, "0") => "1",
        _ => "0",
    }
}

/// daemon.json: binds to everything, dockerd's own rules left out, TLS without a client, another daemon's keys.
fn settings(plan: &HostPlan, path: &Utf8Path, text: &str) -> Vec<Edit> {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let mut edits = Vec::new();
    let mut put = |what: String, key: &str, value: Option<Value>| {
        let mut changed = object.clone();
        match value {
            Some(value) => changed.insert(key.to_owned(), value),
            None => changed.remove(key),
        };
        edits.push((what, format!("{:#}\n", Value::Object(changed))));
    };
    let hosts: Vec<&str> = object["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Go listens on both IP versions where it is told 0.0.0.0 (`net`, favoriteAddrFamily).
    let tcp = hosts.iter().find(|host| host.starts_with("tcp://")).and_then(|host| host.rsplit(':').next());
    if let Some(port) = tcp {
        let any = format!("tcp://0.0.0.0:{port}");
        let kept = hosts.iter().filter(|host| !host.starts_with("tcp://")).map(|host| (*host).to_owned());
        put(format!("bound to {any}"), "hosts", Some(kept.chain([any.clone()]).collect::<Vec<_>>().into()));
    }
    for switch in ["iptables", "ip6tables"] {
        if object.get(switch) == Some(&Value::Bool(true)) {
            put(format!("{switch} off"), switch, Some(false.into()));
        }
    }
    if object.contains_key("tlsverify") {
        put("without tlsverify".to_owned(), "tlsverify", None);
        let own = path.parent().and_then(Utf8Path::file_name).unwrap_or_default();
        let other = plan.daemons.values().find(|daemon| daemon.name.as_str() != own && daemon.tls_api().is_some());
        if let Some(other) = other {
            let folder = format!("/etc/dmhost/{}/tls", other.name);
            put(format!("the client CA of {}", other.name), "tlscacert", Some(format!("{folder}/ca.pem").into()));
            let mut changed = object.clone();
            changed.insert("tlscert".to_owned(), format!("{folder}/cert.pem").into());
            changed.insert("tlskey".to_owned(), format!("{folder}/key.pem").into());
            edits.push((format!("the server's keys of {}", other.name), format!("{:#}\n", Value::Object(changed))));
        }
    }
    edits
}

/// systemd.unit(5), systemd.exec(5): each thing that a unit of dmhost waits for, is bound to or is kept from.
fn dependencies(text: &str) -> Vec<Edit> {
    const KEYS: [&str; 8] = [
        "After",
        "Before",
        "Requires",
        "BindsTo",
        "Wants",
        "RequiresMountsFor",
        "AssertPathExists",
        "RestrictAddressFamilies",
    ];
    let of = |(nth, line): (usize, &str)| {
        let (key, _) = line.split_once('=')?;
        KEYS.contains(&key).then(|| (format!("without \"{line}\""), without(text, nth)))
    };
    text.lines().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use dmhost_layout::render;

    use super::*;

    fn example() -> (HostPlan, Layout) {
        let plan = crate::example("two-vlans");
        let layout = render(&plan);
        (plan, layout)
    }

    #[test]
    fn every_kind_of_line_has_its_mutants() {
        let (plan, layout) = example();
        let all = mutants(&plan, &layout);
        for part in [
            "/etc/nftables.conf: forward with \"policy accept\"",
            "/etc/nftables.conf: input without \"iifname \"lan\" tcp dport 22 accept\"",
            "/etc/dmhost/web/egress.nft: egress_web with \"policy accept\"",
            "/etc/dmhost/web/published.nft:",
            "/etc/dmhost/web/sysctl.conf: net.ipv4.conf.*.arp_ignore the other way",
            "/etc/sysctl.d/90-dmhost.conf: net.ipv6.neigh.default.gc_thresh the other way",
            "/etc/dmhost/web/daemon.json: bound to tcp://0.0.0.0:2376",
            "/etc/dmhost/web/daemon.json: the client CA of lab",
            "/etc/systemd/system/dmhost-web-link.service: without \"BindsTo=dmhost-web-zone.service\"",
        ] {
            assert!(all.iter().any(|mutant| mutant.name.starts_with(part)), "{part}");
        }
    }

    #[test]
    fn every_narrow_rule_is_there() {
        let text: String = ["atlas", "mixed"].map(|name| nft(&render(&crate::example(name)))).concat();
        for (narrow, _) in NARROW {
            assert!(text.contains(narrow), "no rule has {narrow:?}");
        }
    }

    fn nft(layout: &Layout) -> String {
        let texts = layout.iter().filter_map(|(_, entry)| match &entry.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn each_mutant_is_another_layout_by_one_file() {
        let (plan, layout) = example();
        let all = mutants(&plan, &layout);
        let mut names: Vec<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two mutants have one name");
        for mutant in &all {
            let mutated = mutant.applied(&layout);
            let differ = layout.iter().filter(|(path, entry)| mutated.get(path) != Some(entry)).count();
            assert_eq!((differ, mutated.iter().count()), (1, layout.iter().count()), "{}", mutant.name);
        }
    }
}
