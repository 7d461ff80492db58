//! The rules of the host's own namespace, loaded by the base's `nftables.service` before any link is up.

use ipnet::IpNet;

use crate::layout::Layout;
use crate::plan::{HostPlan, Interface, InterfaceKind};
use crate::render::rules::{Chain, at_home, icmp, names, set, strong_host, table, to_routed};
use crate::render::shared::firewall as shared;
use crate::render::unit::{UNITS, UnitFile, want};
use crate::render::{Program, Target};

pub(in crate::render) fn render(plan: &HostPlan, target: &Target, layout: &mut Layout) {
    let own: Vec<&Interface> = plan.interfaces.values().filter(|interface| plan.speaks_in_host(interface)).collect();
    let silent: Vec<&Interface> = plan
        .interfaces
        .values()
        .filter(|interface| matches!(interface.kind, InterfaceKind::Nic(_)) && !plan.speaks_in_host(interface))
        .collect();
    let own_names = names(own.iter().map(|interface| &interface.name));
    let silent_names = names(silent.iter().map(|interface| &interface.name));
    let (any_own, any_silent) = (!own.is_empty(), !silent.is_empty());

    let prerouting = Chain::base("prerouting", "prerouting priority raw", "accept")
        .when(any_silent, |chain| {
            chain
                .note("NICs that carry VLANs or belong to a daemon: their untagged side is nobody's")
                .rule(format!("iifname {silent_names} drop"))
        })
        .when(any_own, |chain| {
            let shared = plan.shared().map(|(_, daemon)| daemon);
            strong_host(shared.fold(chain, |chain, daemon| to_routed(chain, plan, daemon)), &own_names)
        })
        .when(plan.shared().next().is_some(), |chain| at_home(chain, own.iter().map(|interface| &interface.name)));
    let input = Chain::base("input", "input priority filter", "drop")
        .rule("ct state established,related accept")
        .rule("ct state invalid drop");
    let input = icmp(shared::local(input, plan), own.iter().copied());
    let input = match &plan.host.admin {
        Some(admin) => input
            .note("host.admin.interface: sshd answers here alone")
            .rule(format!("iifname \"{}\" tcp dport 22 accept", admin.interface)),
        None => input,
    };
    let input = shared::input(input, plan);
    let forward = shared::forward(Chain::base("forward", "forward priority filter", "drop"), plan);
    let postrouting = own.iter().fold(
        Chain::base("postrouting", "postrouting priority 300", "accept")
            .when(any_silent, |chain| chain.rule(format!("oifname {silent_names} drop"))),
        |chain, interface| sources(chain, interface, plan.routed_on(interface)),
    );
    let why = "The host's own namespace; the rules of a zone are in /etc/dmhost/NAME/nftables.conf.";
    let mut text = format!(
        "#!{} -f\n{}",
        target.path(Program::Nft),
        table("inet dmhost", why, [prerouting, input, forward, postrouting].into_iter().chain(shared::chains(plan)))
    );
    if any_silent {
        let arp = |name, hook, way| {
            Chain::base(name, &format!("{hook} priority filter"), "accept").rule(format!("{way} {silent_names} drop"))
        };
        let why = "No ARP on the untagged side of NICs that carry VLANs or belong to a daemon.";
        text.push('\n');
        text.push_str(&table(
            "arp dmhost",
            why,
            [arp("input", "input", "iifname"), arp("output", "output", "oifname")],
        ));
    }
    layout.insert("/etc/nftables.conf", executable(text));
    want(layout, "sysinit.target", "/usr/lib/systemd/system/nftables.service");
    // Fail closed: without rules no link comes up.
    let closed = UnitFile::new("Without rules no link comes up.")
        .section("Unit")
        .set("Requires", "nftables.service")
        .set("After", "nftables.service");
    layout.text(format!("{UNITS}/systemd-networkd.service.d/dmhost.conf"), closed.text());
}

/// What leaves on an interface carries one of its addresses.
fn sources(chain: Chain, interface: &Interface, routed: &[IpNet]) -> Chain {
    let name = &interface.name;
    let v4: Vec<_> = interface.addresses.iter().filter(|net| net.addr().is_ipv4()).map(IpNet::addr).collect();
    let v6 = interface.addresses.iter().filter(|net| net.addr().is_ipv6()).map(|net| net.addr().to_string());
    let v6 = v6.chain(routed.iter().map(IpNet::to_string));
    let v6 = set(v6.chain(["::".to_owned(), "fe80::/10".to_owned()]));
    let v4 = if v4.is_empty() {
        format!("oifname \"{name}\" meta nfproto ipv4 drop")
    } else {
        format!("oifname \"{name}\" ip saddr != {} drop", set(v4))
    };
    chain
        .note(format!("interfaces.{name}.addresses: what leaves carries one of them"))
        .rule(v4)
        .rule(format!("oifname \"{name}\" ip6 saddr != {v6} drop"))
}

fn executable(text: String) -> crate::layout::Entry {
    crate::layout::Entry { mode: 0o755, content: crate::layout::Content::Text(text) }
}
