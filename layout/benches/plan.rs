//! How long `check` and `render` take by the number of daemons. Both are to grow with it and no faster; 64 daemons, from
//! text to layout, have 50 ms as a whole process.

use dmhost_layout::{lint, plan_from_toml, render};

const DAEMONS: [usize; 4] = [1, 8, 64, 512];

fn main() {
    divan::main();
}

/// A host with so many daemons, each with every key a daemon can have.
fn spec(daemons: usize) -> String {
    let mut text = String::from(
        "version = 1\n[host]\nname = \"atlas\"\ndisk = \"64TiB\"\n\
         [interfaces.trunk]\nnic = { mac = \"52:54:00:00:00:01\" }\n\
         [defaults]\nsettings = { log-driver = \"journald\" }\n",
    );
    for n in 0..daemons {
        let (high, low) = (n / 256, n % 256);
        text.push_str(&format!(
            "[interfaces.vlan{n}]\nvlan = {{ parent = \"trunk\", id = {id} }}\n\
             addresses = [\"10.{high}.{low}.2/24\", \"2001:db8:{n:x}::2/64\"]\ngateways = [\"10.{high}.{low}.1\"]\n\
             [daemons.d{n}]\ninterfaces = [\"vlan{n}\"]\nexpose = [\"80/tcp\", \"443/tcp\", \"443/udp\"]\n\
             api = {{ names = [\"d{n}.example.org\"], from = [\"10.{high}.{low}.0/24\", \"2001:db8:{n:x}::/64\"] }}\n\
             storage = {{ quota = \"40GiB\" }}\nresources = {{ memory-max = \"4GiB\", cpu-weight = 200 }}\n\
             settings = {{ debug = true, labels = [\"org.example.n={n}\"] }}\n\
             [[daemons.d{n}.networks]]\nname = \"backend\"\ninternal = true\n\
             [[expect]]\nfrom = \"vlan:vlan{n}\"\nto = \"daemon:d{n}\"\nport = \"443/tcp\"\nverdict = \"serves\"\n",
            id = n + 1,
        ));
    }
    text
}

#[divan::bench(args = DAEMONS)]
fn check(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| {
        let (plan, diagnostics) = plan_from_toml("host.toml", &text);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
        plan
    });
}

#[divan::bench(args = DAEMONS)]
fn render_a_plan(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let (plan, _) = plan_from_toml("host.toml", &spec(daemons));
    let plan = plan.expect("the spec is good");
    bencher.bench(|| render(&plan));
}

#[divan::bench(args = DAEMONS)]
fn check_and_render(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let text = spec(daemons);
    bencher.bench(|| plan_from_toml("host.toml", &text).0.map(|plan| render(&plan)));
}

#[divan::bench(args = DAEMONS)]
fn lint_what_was_rendered(bencher: divan::Bencher<'_, '_>, daemons: usize) {
    let (plan, _) = plan_from_toml("host.toml", &spec(daemons));
    let layout = render(&plan.expect("the spec is good"));
    let files: Vec<_> = layout
        .iter()
        .filter(|(path, _)| path.file_name() == Some("daemon.json"))
        .filter_map(|(path, _)| Some((path.as_str(), layout.text_at(path)?)))
        .collect();
    bencher.bench(|| lint(&files));
}
