//! What a plan decides: defaults, merged settings, sizes of pools.

use dmhost_layout::diagnostics::{MOST, Severity};
use dmhost_layout::{HostPlan, plan_from_toml};
use fs_err as fs;
use serde_json::json;

/// A host with one daemon `web` on a VLAN, and these lines in its section.
fn host(lines: &str) -> String {
    format!(
        "version = 1\n\
         [host]\nname = \"atlas\"\n\
         [interfaces.trunk]\nnic = {{ path = \"pci-0000:00:03.0\" }}\n\
         [interfaces.web]\nvlan = {{ parent = \"trunk\", id = 10 }}\naddresses = [\"198.51.100.2/24\"]\n\
         [daemons.web]\ninterfaces = [\"web\"]\n{lines}\n"
    )
}

fn plan(text: &str) -> HostPlan {
    let (plan, diagnostics) = plan_from_toml("host.toml", text);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
    plan.expect("no diagnostics, so a plan")
}

#[test]
fn two_vlans_as_a_plan() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/two-vlans.toml");
    insta::assert_debug_snapshot!(plan(&fs::read_to_string(file).expect("an example is text")));
}

#[test]
fn what_is_absent_has_a_default() {
    insta::assert_debug_snapshot!(plan(&host("api = {}")));
}

#[test]
fn settings_of_a_daemon_stand_over_the_defaults() {
    let text = host(
        "settings = { log-driver = \"local\", log-opts = { max-size = \"10m\" }, labels = [\"b=1\"] }\n\
         [defaults.settings]\n\
         log-opts = { max-size = \"1m\", max-file = \"3\" }\nlabels = [\"a=1\"]\ndebug = true\nshutdown-timeout = 0x10",
    );
    let merged = json!(plan(&text).daemons.values().next().expect("one daemon").settings);
    let expected = json!({
        "debug": true,
        "labels": ["b=1"],
        "log-driver": "local",
        "log-opts": { "max-size": "10m", "max-file": "3" },
        "shutdown-timeout": 16,
    });
    assert_eq!(merged, expected);
}

#[test]
fn pools_hold_sixteen_networks_where_they_can() {
    let text = host(
        "pools = [\"10.0.0.0/8\", \"172.16.0.0/20\", \"172.17.0.0/22\", \"172.18.0.0/24\", \"172.19.0.0/28\", \"fd00:20::/48\", \"fd00:21::/64\"]",
    );
    let plan = plan(&text);
    let pools = plan.daemons.values().flat_map(|daemon| &daemon.pools);
    let sizes: Vec<_> = pools.map(|pool| (pool.base.prefix_len(), pool.size)).collect();
    assert_eq!(sizes, [(8, 24), (20, 24), (22, 26), (24, 28), (28, 28), (48, 64), (64, 64)]);
}

#[test]
fn two_daemons_with_their_own_nics_are_on_one_lan() {
    let text = host("")
        + "[interfaces.lab]\nnic = { mac = \"52:54:00:00:00:04\" }\naddresses = [\"198.51.100.3/24\"]\n\
           [interfaces.lan]\nnic = { mac = \"52:54:00:00:00:05\" }\naddresses = [\"198.51.100.4/24\"]\n\
           [daemons.lab]\ninterfaces = [\"lab\"]\n";
    assert_eq!(plan(&text).interfaces.len(), 4);
}

#[test]
fn an_empty_expose_is_nothing_and_an_absent_one_is_all() {
    let expose = |lines: &str| plan(&host(lines)).daemons.into_values().next().and_then(|daemon| daemon.expose);
    assert_eq!(expose("expose = []"), Some(Vec::new()));
    assert_eq!(expose("live-restore = false"), None);
}

#[test]
fn a_flood_of_problems_is_cut_off_and_counted() {
    let ports: Vec<_> = (0..MOST + 200).map(|_| "\"x\"").collect();
    let (plan, diagnostics) = plan_from_toml("host.toml", &host(&format!("expose = [{}]", ports.join(", "))));
    assert!(plan.is_none());
    assert_eq!(diagnostics.len(), MOST + 1);
    let last = diagnostics.iter().last().expect("there are some");
    assert_eq!(
        (last.code, last.severity, last.message.as_str()),
        ("more", Severity::Error, "200 more problems follow")
    );
}

#[test]
fn a_line_that_is_too_long_to_show_is_named_alone() {
    let text = host(&format!("expose = [\"0/tcp\"] # {}", "long ".repeat(1000)));
    insta::assert_snapshot!(plan_from_toml("host.toml", &text).1.render(false), @r"
    error[port-out-of-range]: `0` is no port
    --> host.toml:11:11
     = help: write ports from 1 to 65535
    ");
}
