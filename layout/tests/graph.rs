//! Drawings of scenarios, and that nothing in one covers anything else.

use std::path::Path;

use dmhost_layout::graph::{Characters, drawing};
use dmhost_layout::{HostPlan, plan_from_toml};
use fs_err as fs;

fn plan(name: &str) -> HostPlan {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scenarios/{name}.toml"));
    planned(&fs::read_to_string(file).expect("a scenario has a spec"))
}

fn planned(text: &str) -> HostPlan {
    let (plan, diagnostics) = plan_from_toml("host.toml", text);
    plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

#[test]
fn two_vlans_as_text_and_as_svg() {
    let plan = plan("two-vlans");
    insta::assert_snapshot!("two-vlans", drawing(&plan, 0).text(Characters::Box));
    insta::assert_snapshot!("two-vlans-ascii", drawing(&plan, 0).text(Characters::Ascii));
    insta::assert_snapshot!("two-vlans-svg", drawing(&plan, 1).svg());
}

#[test]
fn other_shapes_as_text() {
    for name in ["four-nics", "tagged-only-trunk", "sixteen-daemons", "own-nic-and-vlans", "minimal"] {
        insta::assert_snapshot!(name, drawing(&plan(name), 0).text(Characters::Box));
        insta::assert_snapshot!(format!("{name}-svg"), drawing(&plan(name), 1).svg());
    }
}

/// Daemons with several interfaces, on several NICs, and long names.
const KNOTTY: &str = r#"
version = 1
[host]
name = "atlas"
[interfaces.left]
nic = { mac = "52:54:00:00:00:01" }
[interfaces.right]
nic = { path = "pci-0000:00:03.0" }
[interfaces.own]
nic = { name = "enp1s0" }
addresses = ["192.0.2.2/24"]
[interfaces.left10]
vlan = { parent = "left", id = 10 }
addresses = ["198.51.100.2/24"]
[interfaces.left20]
vlan = { parent = "left", id = 20 }
addresses = ["198.51.101.2/24", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff/64"]
[interfaces.right30]
vlan = { parent = "right", id = 30 }
addresses = ["198.51.102.2/24"]
[interfaces.right40]
vlan = { parent = "right", id = 40 }
addresses = ["198.51.103.2/24"]
[daemons.both]
interfaces = ["left10", "right30", "own"]
api = { names = ["a-very-long-label-for-a-daemon.another-rather-long-label.department.example.org"] }
[daemons.abcdefghijklmno]
interfaces = ["right40", "left20"]
expose = ["80/tcp", "443/tcp", "443/udp", "8000-8010/tcp", "9000-9999/tcp", "10000-10999/udp"]
"#;

#[test]
fn several_interfaces_on_several_nics_and_long_names() {
    insta::assert_snapshot!("knotty", drawing(&planned(KNOTTY), 0).text(Characters::Box));
    insta::assert_snapshot!("knotty-svg", drawing(&planned(KNOTTY), 1).svg());
}

/// All words of all boxes are in the drawing, whole: had one box covered another, some would be cut.
#[test]
fn nothing_covers_anything() {
    let plans =
        ["two-vlans", "four-nics", "tagged-only-trunk", "sixteen-daemons", "dual-stack-multi-address"].map(plan);
    for plan in plans.into_iter().chain([planned(KNOTTY)]) {
        let text = drawing(&plan, 0).text(Characters::Ascii);
        for interface in plan.interfaces.values() {
            for address in &interface.addresses {
                assert!(text.contains(&format!(" {address} ")), "{address} in\n{text}");
            }
        }
        for daemon in plan.daemons.values() {
            assert!(text.contains(&format!(" daemon {} ", daemon.name)), "{text}");
            for name in daemon.api.iter().flat_map(|api| &api.names).filter(|name| name.len() < 40) {
                assert!(text.contains(&format!(" {name} ")), "{text}");
            }
        }
        assert!(text.is_ascii());
    }
}
