//! Real clients on the host's networks: docker as its users use it, curl, arping and nmap.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use dmhost_pki::Contact;
use tempfile::TempDir;
use vm_tests::lab::Lab;
use vm_tests::proof::question::Vantage;
use vm_tests::vm::cache_dir;

use crate::support::Host;

/// A page, a Dockerfile and a Compose file for an image that holds busybox alone.
const FILES: [(&str, &str); 3] = [
    ("index.html", "served by web\n"),
    (
        "Dockerfile",
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY index.html /www/index.html\nENTRYPOINT [\"/bin/busybox\"]\n",
    ),
    (
        "compose.yaml",
        "services:\n  front:\n    image: lab\n    command: httpd -f -p 8000 -h /www\n    ports: [\"443:8000\"]\n",
    ),
];

/// What a user of daemon `web` does from a machine on its network. One more client has a certificate of its own.
const DOCKER: &str = r#"
cd "$1"
[ "$(docker version --format '{{.Server.Os}}')" = linux ]
[ "$(DOCKER_CERT_PATH=$2 docker version --format '{{.Server.Os}}')" = linux ]
begun=$(docker info --format '{{.SystemTime}}')
DOCKER_BUILDKIT=0 docker build -q -t lab . >/dev/null
docker run -d --name page -p 80:8000 lab httpd -f -p 8000 -h /www >/dev/null
curl -fsS --retry 9 --retry-all-errors --retry-delay 1 http://web.example.org/ | grep -x 'served by web'
curl -fsS -g 'http://[2001:db8:10::2]/' | grep -x 'served by web'
docker network create back >/dev/null
docker run -d --name db --network back lab sh -c 'echo db is up; exec sleep 9999' >/dev/null
docker run --rm --network back lab ping -c 1 -w 20 db | grep '1 packets received'
docker logs db | grep -x 'db is up'
docker exec page /bin/busybox cat /www/index.html | grep -x 'served by web'
docker cp page:/www/index.html copied && grep -x 'served by web' copied
docker events --since "$begun" --until "$(docker info --format '{{.SystemTime}}')" --filter event=start |
    grep -c 'container start' | grep -x 3
"#;

/// The same with Compose. Version 1 is Python's, whose requests would take these for the daemon's CA.
const COMPOSE: &str = r#"
cd "$1"
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
if docker compose version >/dev/null 2>&1; then compose="docker compose"; else compose="docker-compose"; fi
$compose -p lab -f compose.yaml up -d
curl -fsS --retry 9 --retry-all-errors --retry-delay 1 http://web.example.org:443/ | grep -x 'served by web'
$compose -p lab -f compose.yaml down
"#;

/// A daemon without an IPv4 address pulls an image, by the name that its name server knows; its container asks the same name server.
const PULL: &str = r#"
cd "$1"
ip address add 2001:db8:10::53/64 dev eth0 nodad
mkdir layout
"$2" registry.example.org 2001:db8:10::53 layout >asked 2>&1 &
image=registry.example.org:5000/lab
DOCKER_BUILDKIT=0 docker build -q -t $image . >/dev/null
docker save $image | tar -x -C layout
docker rmi $image >/dev/null
! docker run --rm --pull never $image true 2>/dev/null
curl -fsS --retry 9 --retry-all-errors --retry-delay 1 -g 'http://[2001:db8:10::53]:5000/v2/' >/dev/null
docker pull $image
docker run --rm --pull never $image nslookup -type=aaaa registry.example.org | grep -F 'Address: 2001:db8:10::53'
cat asked
grep -x 'GET /v2/lab/manifests/[^ ]* 2001:db8:10::2' asked >/dev/null
[ "$(grep -c '^names 2001:db8:10::2$' asked)" -ge 2 ]
"#;

/// What somebody on lab's network gets of web, who routes through the host to have a way at all; and of lab, by the same means.
const NEIGHBOUR: &str = r"
ip route replace 198.51.100.0/24 via 203.0.113.2
arping -q -c 1 -w 20 -I eth0 203.0.113.2
! arping -q -c 2 -w 3 -I eth0 198.51.100.2
busybox ping -q -c 1 -w 20 203.0.113.2 >/dev/null
nmap -n -Pn --max-retries 1 -p 2376 203.0.113.2 | grep -x '2376/tcp open  docker.*'
nmap -n -Pn --max-retries 1 -p 80,2376 198.51.100.2 | grep -c filtered | grep -x 2
docker version --format '{{.Server.Os}}' | grep -x linux
! curl -sS -m 5 http://198.51.100.2/
";

/// A script of `sh` on the network of `on`, with the words after it.
fn on(lab: &Lab, script: &str, words: &[&str]) -> Result<()> {
    let helper = [env!("CARGO_BIN_EXE_lab-inside").to_owned()];
    let program = ["sh", "-euc", script, "sh"].iter().chain(words).map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let output = lab.output(&helper, &program)?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{out}\n{err}", output.status);
    Ok(())
}

/// The folder of an image that holds busybox alone.
fn context() -> Result<TempDir> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    for (name, text) in FILES {
        fs_err::write(folder.path().join(name), text)?;
    }
    fs_err::copy("/usr/bin/busybox", folder.path().join("busybox"))?;
    Ok(folder)
}

/// A restored host, with a place on this network of it.
fn open(host: &Host, name: &str) -> Result<Lab> {
    let cache = cache_dir()?;
    let on = Vantage::Vlan(name.parse()?);
    Lab::open(&host.request(&cache), &on, (&host.keys, dmhost_pki::DEFAULT_CLIENT), false, &mut |_| {})
}

/// A daemon's pull and its containers' questions for names, over IPv6 alone.
pub(crate) fn pull_over_ipv6(host: &Host) -> Result<()> {
    let folder = context()?;
    let context = folder.path().display().to_string();
    on(&open(host, "web")?, PULL, &[&context, env!("CARGO_BIN_EXE_lab-registry")])
}

/// Docker's own client, on a restored host, from web's network; then the same host from lab's.
pub(crate) fn real_clients(host: &Host) -> Result<()> {
    let folder = context()?;
    let context = folder.path().display().to_string();

    let contact = Contact::new(&host.plan, "web", "deploy", Some("web.example.org"))?;
    let (bundle, _) = dmhost_pki::issue_client(&host.plan, &host.keys, &contact, None, SystemTime::now())?;
    let second = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?.join("deploy");
    contact.write_folder(&bundle, &second)?;

    let lab = open(host, "web")?;
    on(&lab, DOCKER, &[&context, second.as_str()]).context("docker on web's network")?;
    on(&lab, COMPOSE, &[&context]).context("compose on web's network")?;
    let left = lab.bed.guest.must("docker -H unix:///run/dmhost/lab/docker.sock ps -aq", Duration::from_secs(60))?;
    ensure!(left.is_empty(), "daemon lab has containers: {left}");
    drop(lab);

    on(&open(host, "lab")?, NEIGHBOUR, &[]).context("a neighbour on lab's network")
}
