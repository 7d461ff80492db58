//! The programs that will read a layout's files judge them, inside the base that holds their very versions.
//!
//! Every scenario of `layout/tests/scenarios` and every example is laid over each base, in one namespace for all of them
//! (`judge.sh`). `oracle.rs` names the judge of each path, or why it has none; a path that it does not know fails the test.
//! One file broken on purpose per oracle shows that each of them can say no.

mod judge;
mod oracle;
mod subject;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::Event;
use dmhost_layout::engine::{KEYS, find};
use dmhost_layout::plan::{Base, Engine, Kernel};
use serde_json::Value;

use crate::judge::{Verdict, judge};
use crate::oracle::Oracle;
use crate::subject::Subject;

/// For each oracle: a file of the first scenario, what is put at its end, and a word of the refusal.
const BROKEN: [(Oracle, &str, &str, &str); 11] = [
    (Oracle::Units, "/etc/systemd/system/dmhost-web.service", "Restrt=always\n", "Unknown key 'Restrt'"),
    (Oracle::Rules, "/etc/dmhost/web/nftables.conf", "add rule inet dmhost nowhere accept\n", "nowhere"),
    (Oracle::Dockerd, "/etc/dmhost/web/daemon.json", "{ \"live-restor\": true }\n", "live-restor"),
    (Oracle::Sshd, "/etc/ssh/sshd_config.d/dmhost.conf", "PasswordAuthentification no\n", "PasswordAuthentification"),
    (Oracle::Fstab, "/etc/fstab", "/dev/nowhere /nowhere btrfs subvol=@nowhere 0 0\n", "/nowhere"),
    (Oracle::Udev, "/etc/udev/rules.d/90-dmhost-web.rules", "SUBSYSTEM==\"net\", TAGG+=\"x\"\n", "TAGG"),
    (Oracle::Sysusers, "/etc/sysusers.d/dmhost.conf", "g\n", "sysusers"),
    (Oracle::Tmpfiles, "/etc/tmpfiles.d/dmhost-admin.conf", "dd /var/x\n", "dd"),
    (Oracle::Keys, "/etc/ssh/authorized_keys.d/ops", "{no key}\n", "not a public key file"),
    (Oracle::Script, "/etc/dmhost/web/networks.sh", "if true\n", "end of file"),
    (
        Oracle::Dpkg,
        "/etc/dpkg/dpkg.cfg.d/dmhost-boot",
        "post-invoke=/usr/lib/dmhost/nowhere\n",
        "/usr/lib/dmhost/nowhere",
    ),
];

fn specs(folder: &Utf8Path) -> anyhow::Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().with_context(|| format!("could not list {folder}"))? {
        let path = entry?.into_path();
        if path.extension() == Some("toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The daemon.json whose every key is judged, and its subject.
const EVERY_KEY: (&str, &str) = ("/etc/dmhost/web/daemon.json", "every-key");

#[test]
fn the_programs_of_debian_13_take_every_file_and_refuse_a_broken_one() -> anyhow::Result<()> {
    // A path that moves away from its oracle would lower these without a word.
    compare(Base::Debian13, &[(Oracle::Units, 300), (Oracle::Rules, 100), (Oracle::Dockerd, 35), (Oracle::Sshd, 4)])
}

#[test]
fn the_programs_of_debian_12_take_every_file_and_refuse_a_broken_one() -> anyhow::Result<()> {
    compare(Base::Debian12, &[(Oracle::Units, 250), (Oracle::Rules, 80), (Oracle::Dockerd, 28), (Oracle::Sshd, 4)])
}

fn compare(base: Base, least: &[(Oracle, usize)]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = Utf8PathBuf::try_from(folder.path().to_owned())?;
    let stage = folder.join("stage");
    fs_err::create_dir_all(&stage)?;
    let repository = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tree = dmhost_images::base(base, Kernel::Cloud, None, &mut |_: Event<'_>| {})?;

    let mut subjects = Vec::new();
    for (prefix, place) in [("", "layout/tests/scenarios"), ("example-", "examples")] {
        for spec in specs(&repository.join(place))? {
            let name = format!("{prefix}{}", spec.file_stem().context("a spec has a name")?);
            subjects.extend(Subject::of(&name, &spec, base, &folder)?);
        }
    }
    let names: Vec<_> = subjects.iter().map(|subject| subject.name.as_str()).collect();
    let shared: &[&str] = match base {
        Base::Debian12 => &[],
        Base::Debian13 => &["classic-shared", "example-mixed"],
    };
    for expected in shared.iter().copied().chain([
        "debian-12",
        "dual-stack-multi-address",
        "example-two-vlans",
        "expose-lists",
        "minimal",
        "own-nic-and-vlans",
        "sixteen-daemons",
        "tagged-only-trunk",
        "two-vlans",
    ]) {
        assert!(names.contains(&expected), "{expected} is not among {names:?}");
    }
    let good = subjects.len();
    let broken = || BROKEN.into_iter().filter(|(oracle, ..)| oracle.is_on(base));
    // dockerd looks at the members of `proxies`, which are keys by themselves, and not at its name.
    let every_key: BTreeSet<_> = KEYS.iter().map(|key| key.name).filter(|name| *name != "proxies").collect();
    let null: serde_json::Map<_, _> = every_key.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let null = Value::from(null).to_string();
    let all_keys = (Oracle::Dockerd, EVERY_KEY.0, null.as_str(), "");
    for (oracle, path, text, _) in broken().chain([all_keys]) {
        let having = subjects[..good].iter().filter(|subject| subject.layout.text_at(path.into()).is_some());
        let whole = having.min_by_key(|subject| subject.layout.iter().count());
        let whole = whole.with_context(|| format!("no scenario has {path}"))?;
        subjects.push(whole.broken(oracle, path, text)?);
    }
    EVERY_KEY.1.clone_into(&mut subjects.last_mut().context("there are subjects")?.name);

    let verdicts = judge(&subjects, &tree.root, &stage)?;
    let mut answerable = BTreeMap::<Oracle, usize>::new();
    let mut wrong = String::new();
    for subject in &subjects {
        let (jobs, counts) = subject.jobs()?;
        let given: Vec<_> = verdicts
            .iter()
            .filter(|verdict| verdict.subject == subject.name)
            .map(|verdict| verdict.oracle.as_str())
            .collect();
        let asked: Vec<_> = jobs.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(given, asked, "the verdicts on {} are not those that were asked for", subject.name);
        if subject.only.is_none() {
            for (oracle, count) in counts {
                *answerable.entry(oracle).or_default() += count;
            }
        }
    }
    let whole = |verdict: &&Verdict| !verdict.subject.starts_with("broken-") && verdict.subject != EVERY_KEY.1;
    for verdict in verdicts.iter().filter(whole).filter(|verdict| verdict.status != 0) {
        wrong += &format!("{} {} {}:\n{}\n", verdict.subject, verdict.oracle, verdict.arguments, verdict.said);
    }
    assert!(wrong.is_empty(), "the base's programs refuse:\n{wrong}");
    for (oracle, path, _, word) in broken() {
        let name = format!("broken-{}", oracle.word());
        let red: Vec<_> = verdicts.iter().filter(|verdict| verdict.subject == name && verdict.status != 0).collect();
        let seen = red
            .iter()
            .any(|red| red.oracle == oracle.word() && red.arguments.contains(path) && red.said.contains(word));
        assert!(seen, "{} takes a broken {path}: {red:#?}", oracle.word());
    }
    let said = verdicts.iter().filter(|verdict| verdict.subject == EVERY_KEY.1).map(|verdict| verdict.said.as_str());
    let unknown = said.filter_map(|said| said.split_once("any configuration option: ")).map(|(_, keys)| keys.trim());
    let unknown: BTreeSet<_> = unknown.flat_map(|keys| keys.split(", ")).collect();
    let here = |name: &str| find(name).iter().any(|line| line.versions.hold(Engine::DockerIo.version(base)));
    let expected: BTreeSet<_> = every_key.into_iter().filter(|name| !here(name)).collect();
    assert_eq!(unknown, expected, "keys that the base's dockerd does not know, and those the table says it does not");
    for oracle in Oracle::JUDGES.into_iter().filter(|oracle| oracle.is_on(base)) {
        let count = answerable.get(&oracle).copied().unwrap_or_default();
        assert!(count > 0, "{} has judged no file", oracle.word());
    }
    for (oracle, least) in least {
        assert!(answerable[oracle] >= *least, "{oracle:?} is answerable for too few files: {answerable:?}");
    }
    Ok(())
}
