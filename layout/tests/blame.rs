//! Every line of every layout is told where it comes from, and every value of every spec is told what it makes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use camino::Utf8Path;
use dmhost_layout::blame::{Blame, Cause, Effect, Scope, blame};
use fs_err as fs;

/// A spec and all that can be asked about it.
struct Case {
    name: String,
    text: String,
    blame: Blame,
}

/// Every spec of the scenarios and the examples; asked once for all tests.
fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<PathBuf> = [root.join("tests/scenarios"), root.join("../examples")]
            .into_iter()
            .flat_map(|folder| fs::read_dir(folder).expect("the folder is there"))
            .map(|entry| entry.expect("it can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        assert!(files.len() > 9, "{files:?}");
        let case = |file: PathBuf| {
            let text = fs::read_to_string(&file).expect("a spec is text");
            let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            Case { name, blame: asked(&text, Scope::Everything), text }
        };
        files.into_iter().map(case).collect()
    })
}

fn case(name: &str) -> &'static Case {
    cases().iter().find(|case| case.name.ends_with(&format!("{name}.toml"))).expect("there is such a spec")
}

fn asked(text: &str, scope: Scope<'_>) -> Blame {
    let (blame, diagnostics) = blame("host.toml", text, scope);
    blame.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// Values and sections that make no line of a layout, and why that is right.
const NO_LINE: &[(&str, Effect)] = &[
    ("version", Effect::Fixed),
    ("host.base", Effect::Default),
    ("host.kernel", Effect::Image),
    ("host.disk", Effect::Image),
    ("host.packages", Effect::Image),
    ("host.base", Effect::Image),
    ("host.packages[0]", Effect::Image),
    ("host.packages[1]", Effect::Image),
    ("host.files[0].mode", Effect::Image),
    ("host.files[0].owner", Effect::Image),
    ("expect[0]", Effect::Proof),
    ("expect[0].from", Effect::Proof),
    ("expect[0].to", Effect::Proof),
    ("expect[0].port", Effect::Proof),
    ("expect[0].verdict", Effect::Proof),
    // The engine refuses a limit whose name is not its key's.
    ("defaults.settings.default-ulimits.nofile.Name", Effect::Fixed),
    // Addresses of an interface are none of a bridge's, and its subnets are what a network on it has.
    ("daemons.web.networks[0].driver", Effect::Fixed),
    ("daemons.web.networks[1].driver", Effect::Fixed),
    ("daemons.web.networks[0].subnet", Effect::Fixed),
    ("daemons.web.networks[0].subnet[0]", Effect::Fixed),
    ("daemons.web.networks[0].subnet[1]", Effect::Fixed),
    ("daemons.web.networks[1].subnet", Effect::Fixed),
    ("daemons.web.networks[1].subnet[0]", Effect::Fixed),
    ("daemons.web.networks[1].subnet[1]", Effect::Fixed),
    ("daemons.floor.networks[0].driver", Effect::Fixed),
    ("daemons.floor.networks[0].subnet", Effect::Fixed),
    ("daemons.floor.networks[0].subnet[0]", Effect::Fixed),
    ("daemons.floor.networks[0].subnet[1]", Effect::Fixed),
    ("daemons.yard.networks[0].driver", Effect::Fixed),
    ("daemons.yard.networks[0].subnet", Effect::Fixed),
    // Another range is none that is routed, and of a longer one engines before 27.0 cut no more.
    ("daemons.web.pools[1]", Effect::Fixed),
    ("daemons.lab.pools[1]", Effect::Fixed),
    // A part of it goes with `routed`, and each without the other with nothing.
    ("daemons.ci.routed", Effect::Fixed),
    ("daemons.ci.routed[0]", Effect::Fixed),
    ("daemons.ci.networks[0].subnet[1]", Effect::Fixed),
    ("daemons.lab.routed[1]", Effect::Fixed),
    ("daemons.lab.networks[0].subnet", Effect::Fixed),
];

#[test]
fn no_key_of_a_spec_is_ignored() {
    let (mut seen, mut ignored) = (Vec::new(), Vec::new());
    for Case { name, blame, .. } in cases() {
        for origin in &blame.origins {
            let effect = origin.effect.unwrap_or_else(|| panic!("{name}: {} was not asked about", origin.path));
            if effect == Effect::Layout {
                continue;
            }
            let known = NO_LINE.iter().find(|known| **known == (origin.path.as_str(), effect));
            if known.is_none() {
                ignored.push(format!("{name}: {}: {effect:?}", origin.path));
            }
            seen.extend(known);
        }
    }
    assert!(ignored.is_empty(), "no line is made by {ignored:#?}");
    let stale: Vec<_> = NO_LINE.iter().filter(|known| !seen.contains(known)).collect();
    assert!(stale.is_empty(), "not seen any more: {stale:?}");
}

#[test]
fn every_line_of_a_daemon_or_an_interface_has_an_origin() {
    for Case { name, blame, .. } in cases() {
        let sections: Vec<&str> = blame
            .origins
            .iter()
            .map(|origin| origin.path.as_str())
            .filter(|path| {
                path.matches('.').count() == 1 && (path.starts_with("daemons.") || path.starts_with("interfaces."))
            })
            .collect();
        assert!(!sections.is_empty());
        for section in sections {
            let (kind, owner) = section.split_once('.').expect("filtered so");
            let own: Vec<_> = blame
                .files
                .iter()
                .filter(|file| match kind {
                    "daemons" => file
                        .path
                        .as_str()
                        .split('/')
                        .any(|part| part == owner || part == format!("dmhost-{owner}.service")),
                    _ => file.path.as_str().starts_with(&format!("/etc/systemd/network/10-{owner}.")),
                })
                .filter(|file| !file.path.starts_with("/etc/ssh"))
                .collect();
            assert!(kind == "interfaces" || own.len() >= 8, "{name}: {section} has {} files", own.len());
            for file in own {
                for (n, line) in file.lines.iter().enumerate() {
                    let origin = |cause: &Cause| blame.origins[cause.origin].path.as_str();
                    let here = line.causes.iter().any(|cause| origin(cause) == section);
                    assert!(here, "{name}: {}:{} is not due to {section}: {line:?}", file.path, n + 1);
                }
            }
        }
    }
}

/// Lines that are due to nothing in a spec are in every host, but for what a key makes by its absence: whether any daemon is in the
/// host's namespace is said by all daemons at once.
#[test]
fn a_line_without_an_origin_is_in_every_host() {
    const ABSENT: &[&str] = &[
        // Without `host.admin` there is no way in.
        "/etc/systemd/system/ssh.socket",
        // Where several daemons have lists, none of them alone makes it.
        "/etc/dmhost/refusals.sh",
        "/etc/systemd/system/dmhost-refusals.service",
        "/etc/systemd/system/multi-user.target.wants/dmhost-refusals.service",
    ];
    // Without a shared daemon of IPv6 the host forwards none.
    const ABSENT_LINES: &[&str] = &["net.ipv6.conf.all.forwarding = 0"];
    let shared = |case: &&Case| case.text.contains("isolation = \"shared\"");
    for case in cases() {
        let Case { name, blame, .. } = case;
        for file in blame.files.iter().filter(|file| !ABSENT.contains(&file.path.as_str())) {
            for line in file.lines.iter().filter(|line| line.causes.is_empty()) {
                if ABSENT_LINES.contains(&line.text.as_str()) {
                    continue;
                }
                for other in cases().iter().filter(|other| shared(other) == shared(&case)) {
                    let there = other.blame.file(&file.path);
                    let there = there.is_some_and(|there| there.lines.iter().any(|other| other.text == line.text));
                    assert!(there, "{name}: {} has {:?}, and {} has not", file.path, line.text, other.name);
                }
            }
        }
    }
}

/// What a cause says the line would be is what a spec with that value renders.
#[test]
fn an_other_value_that_is_told_makes_the_line_that_is_told() {
    let Case { text, blame, .. } = case("examples/atlas");
    let mut tried = 0;
    for line in blame.files.iter().flat_map(|file| file.lines.iter().map(move |line| (file, line))) {
        let (file, line) = line;
        for cause in &line.causes {
            let origin = &blame.origins[cause.origin];
            let (Some(value), Some(becomes)) = (cause.what_if.strip_prefix("were it "), &cause.becomes) else {
                continue;
            };
            let spec_line = text.lines().nth(origin.line - 1).expect("the origin has a line");
            let old = spec_line.matches('"').count();
            // Only where the line has one value, so that the text can be changed by hand.
            let Some((key, rest)) = spec_line.split_once(" = ") else { continue };
            if rest.starts_with(['[', '{']) || old > 2 {
                continue;
            }
            let other = text.replacen(spec_line, &format!("{key} = {value}"), 1);
            let (plan, diagnostics) = dmhost_layout::plan_from_toml("host.toml", &other);
            let plan = plan.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
            let layout = dmhost_layout::render(&plan);
            let there = layout.text_at(&file.path).is_some_and(|text| text.lines().any(|line| line == becomes));
            assert!(there, "{} = {value} makes no line {becomes:?} in {}", origin.path, file.path);
            tried += 1;
        }
    }
    assert!(tried > 5, "{tried} values were tried");
}

/// The first causes of a line, as `PATH: WHAT IF`.
fn told(spec: &str, file: &str, line: &str) -> String {
    let blame = &case(spec).blame;
    let file = blame.file(Utf8Path::new(file)).expect("the layout has this file");
    let line = file.lines.iter().find(|it| it.text.contains(line)).expect("the file has this line");
    let mut text = format!("{}\n", line.text.trim());
    for cause in line.causes.iter().take(3) {
        let becomes = cause.becomes.as_deref().map_or("(no such line)", str::trim);
        text.push_str(&format!("  {}, {}: {becomes}\n", blame.origins[cause.origin].path, cause.what_if));
    }
    text
}

#[test]
fn what_made_a_line() {
    let lines = [
        ("examples/atlas", "/etc/systemd/system/dmhost-web-link.service", "type vlan id"),
        ("examples/atlas", "/etc/systemd/system/dmhost-web-link.service", "link set dev trunk up"),
        ("examples/atlas", "/etc/dmhost/web/nftables.conf", "ip saddr"),
        ("examples/atlas", "/etc/dmhost/web/nftables.conf", "tcp dport 2376 drop"),
        ("examples/atlas", "/etc/dmhost/web/nftables.conf", "meta l4proto udp"),
        ("examples/atlas", "/etc/dmhost/web/tls/cert.pem", "web.example.org"),
        ("examples/atlas", "/etc/systemd/system/dmhost-web.slice", "MemoryMax"),
        ("examples/atlas", "/etc/systemd/system/dmhost-lab.slice", "TasksMax"),
        ("examples/atlas", "/etc/systemd/system/dmhost-web.service", "qgroup limit"),
        ("examples/atlas", "/etc/dmhost/lab/daemon.json", "log-driver"),
        ("examples/atlas", "/etc/dmhost/lab/daemon.json", "bip"),
        ("examples/atlas", "/etc/dmhost/lab/daemon.json", "tlsverify"),
        ("examples/atlas", "/etc/dmhost/lab/daemon.json", "\"ipv6\""),
        ("examples/atlas", "/etc/ssh/sshd_config.d/dmhost.conf", "AllowUsers"),
        ("examples/atlas", "/etc/systemd/system/ssh.socket.d/dmhost.conf", "BindToDevice"),
        ("examples/atlas", "/etc/dmhost/web/egress.nft", "ether saddr"),
        ("examples/atlas", "/etc/sysctl.d/90-dmhost.conf", "nf_conntrack_max"),
        ("scenarios/tagged-only-trunk", "/etc/systemd/network/10-admin.netdev", "Id="),
        ("scenarios/defaults-merged", "/etc/dmhost/lab/daemon.json", "max-size"),
        ("scenarios/dual-stack-multi-address", "/etc/dmhost/web/networks.sh", "front"),
    ];
    let told: Vec<String> = lines.iter().map(|(spec, file, line)| told(spec, file, line)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_a_line_of_the_spec_made() {
    let Case { text, .. } = case("examples/atlas");
    let mut shown = String::new();
    for (n, line) in text.lines().enumerate() {
        let blame = asked(text, Scope::Spec(n + 1));
        let origins = blame.origins_at(n + 1);
        let made = blame.lines_of(&origins);
        shown.push_str(&format!("{}: {line}\n", n + 1));
        for (file, lines) in made {
            let file = &blame.files[file];
            shown.push_str(&format!("      {}", file.path));
            if lines.len() == file.lines.len() {
                shown.push_str(": all of it\n");
                continue;
            }
            shown.push('\n');
            // Their texts, not their numbers: those are moved by whatever comes before.
            for line in lines {
                let text: String = file.lines[line - 1].text.trim().chars().take(100).collect();
                shown.push_str(&format!("          {text}\n"));
            }
        }
    }
    insta::assert_snapshot!(shown);
}

/// What is asked of a part is what is asked of the whole: the shorter way loses nothing.
#[test]
fn a_file_alone_is_told_the_same_as_among_all() {
    for spec in
        ["scenarios/minimal", "scenarios/defaults-merged", "scenarios/dual-stack-multi-address", "examples/atlas"]
    {
        let Case { name, text, blame } = case(spec);
        for (n, file) in blame.files.iter().enumerate() {
            // Each file takes about as long as all.
            let busy = ["web/daemon.json", "web/nftables.conf", "90-dmhost.conf", "dmhost-quota.service"];
            if n % 16 == 0 || busy.iter().any(|end| file.path.as_str().ends_with(end)) {
                let alone = asked(text, Scope::File(&file.path));
                assert_eq!(alone.file(&file.path), Some(file), "{name}: {}", file.path);
            }
        }
    }
    let Case { text, blame, .. } = case("examples/atlas");
    let path = Utf8Path::new("/etc/dmhost/web/nftables.conf");
    let file = blame.file(path).expect("the layout has this file");
    for (n, line) in file.lines.iter().enumerate().step_by(7) {
        let alone = asked(text, Scope::Line(path, n + 1));
        assert_eq!(alone.file(path).map(|file| &file.lines[n]), Some(line), "line {}", n + 1);
    }
}

#[test]
fn a_spec_with_errors_has_no_blame() {
    let (blame, diagnostics) = blame("host.toml", "version = 1\n[host]\n", Scope::Everything);
    assert!(blame.is_none());
    assert_eq!(diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(), ["missing-key"]);
}
