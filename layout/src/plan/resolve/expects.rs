//! `[[expect]]`: questions that can be asked, and verdicts that the plan does not rule out.
//!
//! What containers serve is not in the plan, so much stays open until the proof is run. An error is said only where the
//! plan alone decides, and then with the place that decides.

use std::collections::HashMap;

use super::Report;
use super::expose::parse as parse_port;
use super::links::Link;
use super::owners::Owned;
use crate::diagnostics::Span;
use crate::plan::{
    DaemonName, Expect, Exposed, HostPlan, Interface, InterfaceName, Owner, PortRange, Protocol, Target, Vantage,
    Verdict,
};
use crate::spec::words::{nearest, quoted, suggest};
use crate::spec::{self, At, Field, HostSpec};

/// Reads every `[[expect]]`; `None` if one cannot be read.
pub(super) fn read(
    spec: &HostSpec,
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    report: &mut Report,
) -> Option<Vec<Expect>> {
    let mut seen: HashMap<(String, String, String), &spec::Expect> = HashMap::new();
    let mut expects = Vec::new();
    for one in &spec.expects {
        let from = one.from.given().and_then(|at| vantage(at, spec, links, owners, report));
        let to = one.to.given().and_then(|at| target(at, spec, report));
        let port = one.port.given().and_then(|at| port(at, report));
        let verdict = one.verdict.given().and_then(|at| verdict(at, report));
        expects.push((|| {
            let port = port?;
            Some(Expect {
                from: from?,
                to: to?,
                protocol: port.protocol,
                port: port.first,
                verdict: verdict?,
                path: one.place.path.clone(),
            })
        })());
        if let (Field::Given(from), Field::Given(to), Field::Given(port)) = (&one.from, &one.to, &one.port) {
            let question = (from.value.clone(), to.value.clone(), port.value.clone());
            if let Some(first) = seen.get(&question) {
                let diagnostic = one.place.key_error("expect-duplicate", "this question is there already");
                let diagnostic = diagnostic.help("leave one of them out: a question has one verdict");
                report.push(diagnostic.related(first.place.key.clone(), "the first"));
            } else {
                seen.insert(question, one);
            }
        }
    }
    expects.into_iter().collect()
}

fn vantage(
    at: &At<String>,
    spec: &HostSpec,
    links: &[Link<'_>],
    owners: &[Owned<'_>],
    report: &mut Report,
) -> Option<Vantage> {
    let text = at.value.as_str();
    if text == "host" {
        return Some(Vantage::Host);
    }
    let Some((kind, name)) = text.split_once(':').filter(|(kind, _)| KINDS.contains(kind)) else {
        let kind = text.split(':').next().unwrap_or_default();
        let help = match nearest(kind, KINDS.into_iter().chain(["host"])) {
            Some(near) if near != kind => format!("did you mean `{near}`?"),
            Some(_) | None => "write `vlan:IF`, `beyond:IF`, `trunk:NIC`, `container:DAEMON` or `host`".to_owned(),
        };
        report.push(at.place.error("expect-vantage", format!("{} is no vantage", quoted(text))).help(help));
        return None;
    };
    if kind == "container" {
        return daemon(name, at, spec, report).map(Vantage::Container);
    }
    let Some((link, owner)) = links.iter().zip(owners).find(|(link, _)| link.text() == name) else {
        let help = suggest(name, "interfaces", links.iter().map(Link::text), report.len());
        report.push(at.place.error("interface-unknown", format!("there is no interface {}", quoted(name))).help(help));
        return None;
    };
    let name: InterfaceName = link.name.clone()?;
    let (wrong, help) = match (kind, owner) {
        (_, Owned::Unclear) => return None,
        ("trunk", Owned::Carrier) => return Some(Vantage::Trunk(name)),
        ("trunk", Owned::Host | Owned::Daemon(_)) => {
            ("carries no VLANs: it has no silent side", format!("write `vlan:{name}`"))
        }
        (_, Owned::Carrier) => ("has no addresses: nobody is on its untagged side", format!("write `trunk:{name}`")),
        ("beyond", Owned::Host | Owned::Daemon(_)) if !link.leads_out(true) && !link.leads_out(false) => {
            ("has no gateway that anything could come through", format!("write `vlan:{name}`, or give it `gateways`"))
        }
        ("beyond", Owned::Host | Owned::Daemon(_)) => return Some(Vantage::Beyond(name)),
        (_, Owned::Host | Owned::Daemon(_)) => return Some(Vantage::Vlan(name)),
    };
    let diagnostic = at.place.error("expect-vantage", format!("{} {wrong}", quoted(name.as_str()))).help(help);
    report.push(diagnostic.related(link.spec.name.place.key.clone(), "the interface"));
    None
}

/// Kinds of vantages that take a name.
const KINDS: [&str; 4] = ["vlan", "beyond", "trunk", "container"];

fn target(at: &At<String>, spec: &HostSpec, report: &mut Report) -> Option<Target> {
    match at.value.split_once(':') {
        None if at.value == "host" => Some(Target::Host),
        Some(("daemon", name)) => daemon(name, at, spec, report).map(Target::Daemon),
        Some(_) | None => {
            let message = format!("{} is nobody who could be asked", quoted(&at.value));
            report.push(at.place.error("expect-target", message).help("write `daemon:NAME` or `host`"));
            None
        }
    }
}

fn daemon(name: &str, at: &At<String>, spec: &HostSpec, report: &mut Report) -> Option<DaemonName> {
    if spec.daemons.iter().any(|daemon| daemon.name.value == name) {
        return name.parse().ok();
    }
    let names = spec.daemons.iter().map(|daemon| daemon.name.value.as_str());
    let help = suggest(name, "daemons", names, report.len());
    report.push(at.place.error("daemon-unknown", format!("there is no daemon {}", quoted(name))).help(help));
    None
}

fn port(at: &At<String>, report: &mut Report) -> Option<PortRange> {
    match parse_port(&at.value) {
        Ok(ports) if ports.first == ports.last => Some(ports),
        Ok(_) => {
            let message = format!("{} is a range, and a question is about one port", quoted(&at.value));
            report.push(at.place.error("expect-port", message).help("write one `[[expect]]` for each port"));
            None
        }
        Err((code, message, help)) => {
            report.push(at.place.error(code, message).help(help));
            None
        }
    }
}

fn verdict(at: &At<String>, report: &mut Report) -> Option<Verdict> {
    let found = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == at.value);
    if found.is_none() {
        let words = Verdict::ALL.map(Verdict::as_str);
        let help = match nearest(&at.value, words) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write `{}`", words.join("` or `")),
        };
        report.push(at.place.error("unknown-value", format!("there is no verdict {}", quoted(&at.value))).help(help));
    }
    found
}

/// Reports verdicts that the plan rules out.
pub(super) fn check(spec: &HostSpec, plan: &HostPlan, report: &mut Report) {
    for (one, expect) in spec.expects.iter().zip(&plan.expects) {
        let Some(verdict) = one.verdict.given() else { continue };
        if let Some((message, help, why)) = contradiction(spec, plan, expect) {
            let mut diagnostic = verdict.place.error("expect-contradicts-plan", message).help(help);
            if let Some((span, label)) = why {
                diagnostic = diagnostic.related(span, label);
            }
            report.push(diagnostic);
        }
    }
}

/// A message, a help, and the place that decides.
type Contradiction = (String, String, Option<(Span, String)>);

fn contradiction(spec: &HostSpec, plan: &HostPlan, expect: &Expect) -> Option<Contradiction> {
    let Expect { from, to, protocol, port, verdict, path: _ } = expect;
    if *protocol == Protocol::Udp && *verdict == Verdict::Denies {
        let message = "nothing denies over UDP: that is TLS rejecting a certificate";
        return Some((message.to_owned(), "write `silent`, `refuses` or `serves`".to_owned(), None));
    }
    let asked = format!("{port}/{}", protocol.as_str());
    let silent = |why: String, place: Option<(Span, String)>| {
        (*verdict != Verdict::Silent).then(|| {
            let message = format!("{asked} of {to} is silent for {from}: {why}");
            (message, "write `silent`, or change what makes it so".to_owned(), place)
        })
    };
    match (from, to) {
        (Vantage::Trunk(name), _) => silent(format!("the untagged side of `{name}` is nobody's"), None),
        (Vantage::Container(other), Target::Host) => {
            silent(format!("containers of `{other}` do not reach the host"), None)
        }
        (Vantage::Container(other), Target::Daemon(name)) if other != name => {
            // Through the network around the host it may still get there, as any stranger.
            plan.interfaces_of(&plan.daemons[other])
                .all(|own| !own.is_routed() && !neighbours(plan, own, name))
                .then(|| silent(format!("nothing passes from daemon `{other}` to daemon `{name}`"), None))
                .flatten()
        }
        (Vantage::Container(_) | Vantage::Host, _) => None,
        (Vantage::Vlan(name) | Vantage::Beyond(name), Target::Host) => {
            let interface = &plan.interfaces[name];
            let admin = plan.host.admin.as_ref();
            let open = admin.is_some_and(|admin| admin.interface == *name) && *protocol == Protocol::Tcp && *port == 22;
            if interface.owner == Owner::Host && !open {
                silent("the host answers ssh on `host.admin.interface` alone".to_owned(), None)
            } else if interface.owner == Owner::Host && *verdict == Verdict::Silent && matches!(from, Vantage::Vlan(_))
            {
                let message = format!("{asked} of the host is open to {from}: it is the way in of `host.admin`");
                Some((message, "write `serves`".to_owned(), None))
            } else {
                None
            }
        }
        (Vantage::Vlan(vantage) | Vantage::Beyond(vantage), Target::Daemon(name)) => {
            let interface = &plan.interfaces[vantage];
            if interface.owner != Owner::Daemon(name.clone()) {
                let near = neighbours(plan, interface, name);
                return if near {
                    None
                } else {
                    silent(format!("`{vantage}` is no interface of daemon `{name}`"), None)
                };
            }
            own_interface(spec, plan, expect, interface, name, &silent)
        }
    }
}

/// A question to a daemon on its own interface: the API is decided by `api.from`, the rest by `expose`.
fn own_interface(
    spec: &HostSpec,
    plan: &HostPlan,
    expect: &Expect,
    interface: &Interface,
    name: &DaemonName,
    silent: &dyn Fn(String, Option<(Span, String)>) -> Option<Contradiction>,
) -> Option<Contradiction> {
    let Expect { from, protocol, port, verdict, .. } = expect;
    let daemon = &plan.daemons[name];
    let written = spec.daemons.iter().find(|daemon| daemon.name.value == name.as_str())?;
    let here = |range: &ipnet::IpNet| {
        interface.addresses.iter().any(|own| own.trunc().contains(range) || range.contains(&own.trunc()))
    };
    let on_link = matches!(from, Vantage::Vlan(_));
    let only_here = |range: &ipnet::IpNet| interface.addresses.iter().any(|own| own.trunc().contains(range));
    let shut = |from: &[ipnet::IpNet]| if on_link { !from.iter().any(here) } else { from.iter().all(only_here) };
    if let Some(api) = daemon.api.as_ref().filter(|api| *protocol == Protocol::Tcp && api.port == *port) {
        let place = || {
            let from = written.api.given()?.value.from.given()?;
            Some((from.place.value.clone(), "`api.from`".to_owned()))
        };
        return if api.from.as_deref().is_some_and(shut) {
            silent("`api.from` has no address that is there".to_owned(), place())
        } else if !api.tls && matches!(verdict, Verdict::Denies) {
            let message = format!("{port}/tcp of {} is an API in plain text, which denies nobody", expect.to);
            Some((message, "write `serves`, or leave `plain-text-and-anyone-is-root` out".to_owned(), None))
        } else if api.from.is_none() && matches!(verdict, Verdict::Silent | Verdict::Refuses) {
            let message = format!("{port}/tcp of {} is the API, which answers anybody on its interfaces", expect.to);
            let help = if api.tls {
                "write `denies` for strangers or `serves` for clients, or narrow `api.from`"
            } else {
                "write `serves`, or narrow `api.from`"
            };
            Some((message, help.to_owned(), None))
        } else {
            None
        };
    }
    let given = written.expose.given().or(spec.defaults.expose.given());
    let place = given.map(|list| (list.place.value.clone(), "`expose`".to_owned()));
    match (&daemon.expose, daemon.exposed(*protocol, *port)) {
        (Some(_), None) => silent("`expose` does not have it".to_owned(), place),
        (_, Some(Exposed { from: Some(from), .. })) if shut(from) => {
            silent("`expose` has it from no address that is there".to_owned(), place)
        }
        _ => None,
    }
}

/// Whether a daemon has an interface on the LAN of this one, as far as subnets tell: then it is reached there directly.
fn neighbours(plan: &HostPlan, interface: &Interface, name: &DaemonName) -> bool {
    plan.interfaces_of(&plan.daemons[name]).any(|own| {
        let nets = || own.addresses.iter().map(ipnet::IpNet::trunc);
        interface
            .addresses
            .iter()
            .map(ipnet::IpNet::trunc)
            .any(|here| nets().any(|net| net.contains(&here) || here.contains(&net)))
    })
}
