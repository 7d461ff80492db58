//! Docker networks of a daemon, made once it answers: a script of its own, so that a network that cannot be made shows as a
//! failed unit and leaves the daemon alone.
//!
//! A network that is there already is kept if a label of it says the same definition. If not, the script says so and fails:
//! taking it away would cut off its containers, which is not for a start to do.

use crate::layout::{Content, Entry, Layout};
use crate::plan::{Daemon, DaemonName, Network, Subnet};
use crate::render::shell::quote;
use crate::render::unit::{UnitFile, put_wanted_unit};
use crate::render::{Program, Target};

/// The label that holds a network's definition.
const LABEL: &str = "dmhost.definition";

pub(super) fn render(daemon: &Daemon, target: &Target, layout: &mut Layout) {
    if daemon.networks.is_empty() {
        return;
    }
    let Daemon { name, networks, .. } = daemon;
    let script = name.etc().join("networks.sh");
    layout.insert(&script, Entry { mode: 0o755, content: Content::Text(text(name, networks, target)) });
    let unit = UnitFile::new(&format!("daemons.{name}.networks"))
        .section("Unit")
        .set("Description", format!("Networks of Docker daemon {name}"))
        .set("BindsTo", name.service())
        .set("After", name.service())
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("ExecStart", script.as_str());
    put_wanted_unit(layout, &format!("dmhost-{name}-networks.service"), &name.service(), unit);
}

fn text(name: &DaemonName, networks: &[Network], target: &Target) -> String {
    let (docker, grep) = (target.path(Program::Docker), target.path(Program::Grep));
    let mut text = format!(
        "#!{sh}\n\
         # daemons.{name}.networks: each made if it is not there; another one of its name is an error.\n\
         export DOCKER_HOST=unix://{socket}\n\
         status=0\n\
         network() {{\n\
         \tname=$1 definition=$2\n\
         \tshift 2\n\
         \tif {docker} network ls --no-trunc --format '{{{{.Name}}}}' | {grep} -Fqx -e \"$name\"; then\n\
         \t\tfound=$({docker} network inspect --format '{{{{index .Labels \"{LABEL}\"}}}}' \"$name\")\n\
         \t\tif [ \"$found\" != \"$definition\" ]; then\n\
         \t\t\techo \"network $name of daemon {name} is not the one in the host spec; remove it: docker network rm $name\" >&2\n\
         \t\t\tstatus=1\n\
         \t\tfi\n\
         \telif ! {docker} network create --label \"{LABEL}=$definition\" \"$@\" \"$name\"; then\n\
         \t\tstatus=1\n\
         \tfi\n\
         }}\n",
        sh = target.path(Program::Sh),
        socket = name.socket(),
    );
    for network in networks {
        text.push_str(&format!("network {} {}", quote(&network.name), quote(&network.definition())));
        for argument in arguments(network) {
            text.push_str(&format!(" {}", quote(&argument)));
        }
        text.push('\n');
    }
    text.push_str("exit $status\n");
    text
}

/// What `docker network create` is told beside name and label.
fn arguments(network: &Network) -> Vec<String> {
    let Network { name: _, driver, internal, ipv6, subnets, labels } = network;
    let mut arguments = vec![format!("--driver={}", driver.as_str())];
    arguments.extend(driver.parent().map(|parent| format!("--opt=parent={parent}")));
    if *internal {
        arguments.push("--internal".to_owned());
    }
    if *ipv6 {
        arguments.push("--ipv6".to_owned());
    }
    for Subnet { range, gateway, ip_range } in subnets {
        arguments.push(format!("--subnet={range}"));
        arguments.extend(gateway.map(|gateway| format!("--gateway={gateway}")));
        arguments.extend(ip_range.map(|ip_range| format!("--ip-range={ip_range}")));
    }
    arguments.extend(labels.iter().map(|label| format!("--label={label}")));
    arguments
}
