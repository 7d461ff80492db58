//! First specs of some machines, and of machines made up: each passes the check without a word and is in style.

use dmhost_layout::draft::{Address, Draft, Key, Link, LinkKind, Machine, Wishes, draft};
use dmhost_layout::{format, plan_from_toml};
use proptest::prelude::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINX5ZgmTZ55QZxrBqHe8Zapdvujm+Oi6bFcFo03nyEuV ops@desk";

fn address(net: &str, remark: Option<&str>) -> Address {
    Address { net: net.parse().expect("a net"), remark: remark.map(str::to_owned) }
}

fn nic(name: &str, mac: &str, addresses: &[&str], gateways: &[&str]) -> Link {
    Link {
        name: name.to_owned(),
        kind: LinkKind::Nic { mac: mac.to_owned() },
        addresses: addresses.iter().map(|net| address(net, None)).collect(),
        gateways: gateways.iter().map(|gateway| gateway.parse().expect("an address")).collect(),
        accept_ra: false,
        unusable: None,
    }
}

/// A link whose IPv6 router is an advertised one.
fn learns(link: Link) -> Link {
    Link { accept_ra: true, ..link }
}

fn vlan(name: &str, parent: &str, id: u16, addresses: &[&str], gateways: &[&str]) -> Link {
    Link { kind: LinkKind::Vlan { parent: parent.to_owned(), id }, ..nic(name, "", addresses, gateways) }
}

fn machine(name: &str, links: Vec<Link>) -> Machine {
    let key = Key { from: "~/.ssh/id_ed25519.pub".to_owned(), line: KEY.to_owned(), chosen: true };
    Machine { name: Some(name.to_owned()), links, keys: vec![key], ..Machine::default() }
}

/// What holds for every draft.
fn judge(machine: &Machine, wishes: &Wishes) -> Draft {
    let draft = draft(machine, wishes);
    let (plan, diagnostics) = plan_from_toml("host.toml", &draft.text);
    assert!(plan.is_some() && diagnostics.is_empty(), "{}\n{}", diagnostics.render(false), draft.text);
    let styled = format("host.toml", draft.text.as_bytes()).expect("it is TOML");
    assert_eq!(styled, draft.text);
    for missing in &draft.missing {
        assert!(draft.text.contains("# FILL IN "), "{missing} is not in:\n{}", draft.text);
    }
    draft
}

/// The draft with its hints, and every `#key` line without its `#`.
fn snapshot(name: &str, machine: &Machine, wishes: &Wishes) {
    let Draft { text, missing, left_out } = judge(machine, wishes);
    let left_out: Vec<String> = left_out.into_iter().map(|one| one.what).collect();
    insta::assert_snapshot!(name, format!("missing: {missing:#?}\nleft out: {left_out:#?}\n\n{text}"));
}

/// Every optional key without its `#`.
fn with_options(text: &str) -> String {
    let option =
        |line: &str| line.starts_with("#[") || line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
    text.lines().map(|line| if option(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

fn laptop() -> Machine {
    let mut laptop = machine(
        "Desk.example.org",
        vec![
            nic("enp0s31f6", "3c:2c:30:00:00:01", &["192.168.1.20/24"], &["192.168.1.1"]),
            nic("wlp2s0", "3c:2c:30:00:00:02", &["192.168.1.21/24"], &["192.168.1.1"]),
        ],
    );
    laptop.links[0].addresses[0].remark = Some("leased by DHCP; have it reserved".to_owned());
    laptop.links[1].unusable = Some("it is wireless, which a spec cannot say".to_owned());
    laptop.dns = vec!["192.168.1.1".parse().expect("an address")];
    let line = "ssh-dss AAAAB3NzaC1kc3MAAACBAOld".to_owned();
    laptop.keys.push(Key { from: "~/.ssh/id_dsa.pub".to_owned(), line, chosen: true });
    let line = KEY.replace("ops@desk", "deploy");
    laptop.keys.push(Key { from: "~/.ssh/deploy.pub".to_owned(), line, chosen: false });
    laptop
}

fn server() -> Machine {
    let mut server = machine(
        "atlas",
        vec![
            nic("eno1", "52:54:00:00:00:01", &["192.0.2.10/24", "2001:db8::10/64"], &["192.0.2.1", "fe80::1"]),
            nic("eno2", "52:54:00:00:00:02", &["198.51.100.2/24"], &[]),
            nic("eno3", "52:54:00:00:00:03", &["203.0.113.2/24", "203.0.113.3/24"], &[]),
            nic("eno4", "52:54:00:00:00:04", &[], &[]),
        ],
    );
    server.dns = vec!["192.0.2.53".parse().expect("an address"), "2001:db8::53".parse().expect("an address")];
    server
}

fn trunk() -> Machine {
    let mut trunk = machine(
        "trunk",
        vec![
            learns(nic("eth0", "52:54:00:00:00:01", &["192.0.2.10/24", "2001:db8::10/64"], &["192.0.2.1"])),
            nic("eth1", "52:54:00:00:00:02", &["10.0.0.5/8"], &[]),
            vlan("eth1.10", "eth1", 10, &["198.51.100.2/24"], &["198.51.100.1"]),
            learns(vlan("lab", "eth1", 20, &["203.0.113.2/24"], &["203.0.113.1"])),
            vlan("bond0.30", "bond0", 30, &["10.30.0.2/24"], &[]),
        ],
    );
    trunk.remarks = vec!["bond0, a bond of eno1 and eno2".to_owned()];
    trunk
}

#[test]
fn a_laptop_with_a_cable_and_wireless() {
    snapshot("laptop", &laptop(), &Wishes::default());
}

#[test]
fn a_server_with_four_nics() {
    snapshot("server", &server(), &Wishes::default());
}

#[test]
fn a_trunk_with_vlans() {
    snapshot("trunk", &trunk(), &Wishes::default());
}

#[test]
fn a_virtual_machine_with_one_nic() {
    let mut vm = machine("vm", vec![nic("enp1s0", "52:54:00:12:34:56", &["172.28.0.5/16"], &["172.28.0.1"])]);
    vm.keys.clear();
    snapshot("vm", &vm, &Wishes::default());
}

#[test]
fn nothing() {
    snapshot("nothing", &Machine::default(), &Wishes::default());
}

#[test]
fn what_is_wished_for_is_had() {
    let wishes = Wishes {
        admin: Some("eno2".to_owned()),
        daemons: vec![("web".to_owned(), vec!["eno1".to_owned(), "eno3".to_owned()])],
    };
    let draft = judge(&server(), &wishes);
    assert!(draft.missing.is_empty() && draft.left_out.is_empty(), "{draft:#?}");
    for line in ["interface = \"eno2\"", "[daemons.web]", "interfaces = [\"eno1\", \"eno3\"]"] {
        assert!(draft.text.lines().any(|one| one == line), "{line} is not in:\n{}", draft.text);
    }
    assert_eq!(draft.text.matches("\n[daemons.").count(), 1, "{}", draft.text);

    let wishes = Wishes { admin: Some("eno9".to_owned()), daemons: vec![("web".to_owned(), vec!["eno8".to_owned()])] };
    let draft = judge(&server(), &wishes);
    assert_eq!(draft.left_out[0].what, "daemon web: there is no interface eno8");
    assert_eq!(draft.left_out[1].what, "[host.admin]: there is no interface eno9");
}

#[test]
fn every_option_stands_there_and_can_be_had() {
    // What has no address or owner cannot be had by taking a `#` away alone, so every NIC here has both.
    let mut whole = server();
    whole.links.pop();
    let text = with_options(&judge(&whole, &Wishes::default()).text);
    let (plan, diagnostics) = plan_from_toml("host.toml", &text);
    assert!(plan.is_some(), "{}\n{text}", diagnostics.render(false));
    for option in ["\n[defaults]", "\nlive-restore", "\nisolation", "\n[[daemons.eno2.networks]]", "\n[[expect]]"] {
        assert!(text.contains(option), "{option} was not taken in:\n{text}");
    }
    // The keys of the example that has every key, as far as they are words of their own.
    let example = include_str!("../../examples/atlas.toml").parse::<toml::Table>().expect("it is TOML");
    let text = judge(&trunk(), &Wishes::default()).text;
    let mut keys = Vec::new();
    collect(&toml::Value::Table(example), &mut keys);
    for key in keys {
        assert!(text.contains(&key), "no word of `{key}` in:\n{text}");
    }
}

fn collect(value: &toml::Value, keys: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                // Sections of the user's own names.
                if !["lan", "trunk", "web", "lab"].contains(&key.as_str()) {
                    keys.push(key.clone());
                }
                collect(value, keys);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| collect(value, keys)),
        _ => {}
    }
}

/// Addresses good and bad, so that they meet.
const NETS: [&str; 20] = [
    "192.0.2.10/24",
    "192.0.2.10/32",
    "192.0.2.11/24",
    "192.0.2.0/24",
    "192.0.2.255/24",
    "192.0.2.3/25",
    "10.0.0.5/8",
    "10.1.2.3/16",
    "172.28.0.5/16",
    "127.0.0.1/8",
    "169.254.1.2/16",
    "0.0.0.0/0",
    "255.255.255.255/32",
    "224.0.0.1/4",
    "fe80::1/64",
    "2001:db8::1/64",
    "2001:db8::/64",
    "fd64:6d68:6f73::5/64",
    "::1/128",
    "::ffff:192.0.2.1/96",
];
const ADDRESSES: [&str; 9] =
    ["192.0.2.1", "192.0.2.10", "192.0.2.0", "10.0.0.1", "172.28.0.1", "fe80::1", "2001:db8::1", "127.0.0.53", "::"];
const NAMES: [&str; 14] = [
    "eno1",
    "eno2",
    "eth0",
    "eth1",
    "enp1s0.10",
    "lo",
    "br-1",
    "docker0",
    "0",
    "web",
    "a name",
    "\u{1f433}",
    "nic0",
    "thirteen_bytes_and_more",
];
const MACS: [&str; 7] = [
    "52:54:00:00:00:01",
    "52:54:00:00:00:02",
    "52:54:00:00:00:03",
    "00:00:00:00:00:00",
    "01:00:5e:00:00:01",
    "no mac",
    "a\"\\\n'b",
];

fn arbitrary_link() -> impl Strategy<Value = Link> {
    let pick = |list: &'static [&'static str]| proptest::sample::select(list);
    let kind = prop_oneof![
        2 => pick(&MACS).prop_map(|mac| LinkKind::Nic { mac: mac.to_owned() }),
        1 => (pick(&NAMES), prop_oneof![Just(0), Just(10), Just(20), Just(4095)])
            .prop_map(|(parent, id)| LinkKind::Vlan { parent: parent.to_owned(), id }),
    ];
    let unusable = proptest::option::weighted(0.1, Just("it is\nwireless".to_owned()));
    let nets = proptest::collection::vec(pick(&NETS), 0..4);
    (pick(&NAMES), kind, nets, proptest::collection::vec(pick(&ADDRESSES), 0..3), any::<bool>(), unusable).prop_map(
        |(name, kind, nets, gateways, accept_ra, unusable)| Link {
            kind,
            accept_ra,
            unusable,
            ..nic(name, "", &nets, &gateways)
        },
    )
}

fn arbitrary_machine() -> impl Strategy<Value = (Machine, Wishes)> {
    let pick = |list: &'static [&'static str]| proptest::sample::select(list);
    let word = || prop_oneof![pick(&NAMES).prop_map(str::to_owned), any::<String>()];
    let key = (word(), prop_oneof![Just(KEY.to_owned()), Just(format!("{KEY} \"'\\")), any::<String>()], any::<bool>())
        .prop_map(|(from, line, chosen)| Key { from, line, chosen });
    let links = proptest::collection::vec(arbitrary_link(), 0..7);
    let dns = proptest::collection::vec(pick(&ADDRESSES), 0..4);
    let wishes = (
        proptest::option::weighted(0.3, pick(&NAMES)),
        proptest::collection::vec((pick(&NAMES), proptest::collection::vec(pick(&NAMES), 0..3)), 0..3),
    );
    let keys = proptest::collection::vec(key, 0..3);
    let remarks = proptest::collection::vec(any::<String>(), 0..2);
    (proptest::option::of(word()), links, dns, keys, remarks, wishes).prop_map(
        |(name, links, dns, keys, remarks, wishes)| {
            let dns = dns.into_iter().map(|server| server.parse().expect("an address")).collect();
            let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
            let (admin, daemons) = wishes;
            let daemons = daemons.into_iter().map(|(name, links)| (name.to_owned(), owned(links))).collect();
            (Machine { name, links, dns, keys, remarks }, Wishes { admin: admin.map(str::to_owned), daemons })
        },
    )
}

/// Cases: `PROPTEST_CASES`, or as many as a test run has time for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_machine_its_draft_passes_the_check((machine, wishes) in arbitrary_machine()) {
        judge(&machine, &wishes);
    }
}
