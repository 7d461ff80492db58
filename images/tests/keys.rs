//! Whose keys an image holds: each daemon's own, closed to everybody but root, and nothing else that the PKI folder has.
//!
//! Every byte of every file is looked at, as it is read back from the disk: for the keys' PEM text, whole or a line of it, and for
//! the bytes that the text stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::{BuildRequest, build, disk};
use dmhost_layout::layout::{CredentialId, Layout};
use dmhost_layout::{HostPlan, plan_from_toml, render};
use dmhost_pki::Pki;
use memchr::memmem::Finder;

const SPEC: &str = include_str!("../../examples/two-vlans.toml");

/// What a private key looks like in a file.
struct Key {
    /// Below the PKI folder.
    path: String,
    signs: Vec<Finder<'static>>,
}

/// Every private key of a PKI folder.
fn keys(folder: &Utf8Path) -> anyhow::Result<Vec<Key>> {
    let (mut keys, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(below) = folders.pop() {
        for entry in below.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs_err::read_to_string(&path)?;
            if text.contains("PRIVATE KEY") {
                let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("-----")).collect();
                let mut signs = vec![STANDARD.decode(lines.concat())?];
                signs.extend(lines.iter().map(|line| line.as_bytes().to_vec()));
                let signs = signs.iter().map(|sign| Finder::new(sign).into_owned()).collect();
                keys.push(Key { path: path.strip_prefix(folder)?.to_string(), signs });
            }
        }
    }
    Ok(keys)
}

/// Where in the image of this layout each key is.
fn found(
    plan: &HostPlan,
    layout: &Layout,
    pki: &Utf8Path,
    out: &Utf8Path,
) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let (opened, keys) = (Pki::open(pki)?, keys(pki)?);
    let secrets = |id: &CredentialId| opened.credential(id);
    let request = BuildRequest { force: true, ..BuildRequest::new(plan, layout, &secrets, out) };
    build(&request, &mut |_: dmhost_images::Event<'_>| {})?;
    let mut found: BTreeMap<_, BTreeSet<_>> = keys.iter().map(|key| (key.path.clone(), BTreeSet::new())).collect();
    let mut files = 0;
    disk::open(out)?.each_file(|path, bytes| {
        files += 1;
        for key in keys.iter().filter(|key| key.signs.iter().any(|sign| sign.find(bytes).is_some())) {
            found.entry(key.path.clone()).or_default().insert(path.to_owned());
        }
    })?;
    assert!(files > 5000, "{files} files were looked at");
    Ok(found)
}

#[test]
fn an_image_holds_the_keys_of_its_servers_and_no_other() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = Utf8PathBuf::try_from(folder.path().to_owned())?;
    let (plan, _) = plan_from_toml("two-vlans.toml", &SPEC.replace("16GiB", "3GiB"));
    let plan = plan.context("the example is a host")?;
    let (pki, out) = (folder.join("host.pki"), folder.join("host.raw"));
    dmhost_pki::init(&plan, &pki, SystemTime::now())?;
    let layout = render(&plan);

    let place = |daemon: &str| BTreeSet::from([format!("@/etc/dmhost/{daemon}/tls/key.pem")]);
    let mut expected = BTreeMap::from([
        ("server-ca/ca-key.pem".to_owned(), BTreeSet::new()),
        ("web/client-ca/ca-key.pem".to_owned(), BTreeSet::new()),
        ("web/clients/admin/key.pem".to_owned(), BTreeSet::new()),
        ("web/server/key.pem".to_owned(), place("web")),
        ("lab/client-ca/ca-key.pem".to_owned(), BTreeSet::new()),
        ("lab/clients/admin/key.pem".to_owned(), BTreeSet::new()),
        ("lab/server/key.pem".to_owned(), place("lab")),
    ]);
    assert_eq!(found(&plan, &layout, &pki, &out)?, expected);
    let contents = disk::open(&out)?.contents()?;
    for daemon in ["web", "lab"] {
        let path = format!("@/etc/dmhost/{daemon}/tls/key.pem");
        let node = contents.nodes.get(&path).with_context(|| format!("there is no {path}"))?;
        assert_eq!((node.mode, node.uid, node.gid), (0o600, 0, 0), "{path}");
        assert!(node.xattrs.is_empty(), "{path} has attributes, and one of them may open it: {:?}", node.xattrs);
    }

    // One that was put there is found, as it stands and as a part of something else.
    let ca = fs_err::read_to_string(pki.join("server-ca/ca-key.pem"))?;
    let client = fs_err::read_to_string(pki.join("lab/clients/admin/key.pem"))?;
    let line = client.lines().nth(1).context("a key has lines")?;
    let mut planted = layout;
    planted.text("/var/lib/notes", format!("not to be lost:\n{ca}"));
    planted.text("/srv/dmhost/web/docker/config.json", format!("{{\"key\":\"{line}\"}}"));
    expected.insert("server-ca/ca-key.pem".to_owned(), BTreeSet::from(["@/var/lib/notes".to_owned()]));
    let notes = BTreeSet::from(["@docker-web/config.json".to_owned()]);
    expected.insert("lab/clients/admin/key.pem".to_owned(), notes);
    assert_eq!(found(&plan, &planted, &pki, &out)?, expected);
    Ok(())
}
