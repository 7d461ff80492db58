//! The programs that will read a layout's files judge them, inside the base that holds their very versions.
//!
//! Every scenario of `layout/tests/scenarios` and every example is laid over each base, in one namespace for all of them
//! (`judge.sh`). [`oracle_of`] names the judge of each path, or why it has none; a path that it does not know fails the test.
//! One file broken on purpose per oracle shows that each of them can say no.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_images::command::Command;
use dmhost_images::{Event, Privilege, tree};
use dmhost_layout::engine::{KEYS, find};
use dmhost_layout::layout::Layout;
use dmhost_layout::plan::{Base, Engine, Kernel};
use dmhost_layout::{Content, CredentialId, HostPlan, plan_from_toml, render};
use dmhost_pki::Pki;
use serde_json::Value;

const JUDGE: &str = include_str!("judge.sh");

/// What is to become of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Oracle {
    /// `systemd-analyze verify`, all units of a layout at once.
    Units,
    /// `nft --check --file`.
    Rules,
    /// `dockerd --validate`, or where it knows no such flag a start that ends at its socket; both read certificates and keys.
    Dockerd,
    /// `sshd -t`.
    Sshd,
    /// `findmnt --verify`.
    Fstab,
    /// `udevadm verify`.
    Udev,
    /// `systemd-sysusers --dry-run`.
    Sysusers,
    /// `systemd-tmpfiles --dry-run`.
    Tmpfiles,
    /// `ssh-keygen -l`.
    Keys,
    /// `sh -n`.
    Script,
    /// Read by another oracle along with its own files.
    WithAnother,
    /// No program judges such a file before it is used: the guest does, in `vm-tests`.
    InTheGuest,
}

impl Oracle {
    const JUDGES: [Self; 10] = [
        Self::Units,
        Self::Rules,
        Self::Dockerd,
        Self::Sshd,
        Self::Fstab,
        Self::Udev,
        Self::Sysusers,
        Self::Tmpfiles,
        Self::Keys,
        Self::Script,
    ];

    /// Whether this base has a program that can do it.
    fn is_on(self, base: Base) -> bool {
        match self {
            // `udevadm verify` came with systemd 254, `systemd-tmpfiles --dry-run` with 256.
            Self::Udev | Self::Tmpfiles => base > Base::Debian12,
            Self::Units
            | Self::Rules
            | Self::Dockerd
            | Self::Sshd
            | Self::Fstab
            | Self::Sysusers
            | Self::Keys
            | Self::Script
            | Self::WithAnother
            | Self::InTheGuest => true,
        }
    }

    /// Its word in `judge.sh`.
    fn word(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Rules => "rules",
            Self::Dockerd => "dockerd",
            Self::Sshd => "sshd",
            Self::Fstab => "fstab",
            Self::Udev => "udev",
            Self::Sysusers => "sysusers",
            Self::Tmpfiles => "tmpfiles",
            Self::Keys => "keys",
            Self::Script => "script",
            Self::WithAnother | Self::InTheGuest => "none",
        }
    }
}

/// Who judges the file at this path.
fn oracle_of(path: &str) -> Option<Oracle> {
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["etc", "systemd", "system", _] | ["etc", "systemd", "system", _, _] => Oracle::Units,
        ["etc", "nftables.conf"] | ["etc", "dmhost", _, "nftables.conf" | "published.nft" | "egress.nft"] => {
            Oracle::Rules
        }
        ["etc", "dmhost", _, "daemon.json"] => Oracle::Dockerd,
        // The hooks are links to a script.
        ["etc", "dmhost", _, "tls", _] | ["etc", "initramfs" | "kernel", _, _] => Oracle::WithAnother,
        ["etc", "dmhost", _, "networks.sh"] | ["usr", "lib", "dmhost", _] => Oracle::Script,
        ["etc", "ssh", "sshd_config.d", _] => Oracle::Sshd,
        ["etc", "ssh", "authorized_keys.d", _] => Oracle::Keys,
        ["etc", "fstab"] => Oracle::Fstab,
        ["etc", "udev", "rules.d", _] => Oracle::Udev,
        ["etc", "sysusers.d", _] => Oracle::Sysusers,
        ["etc", "tmpfiles.d", _] => Oracle::Tmpfiles,
        ["etc", "systemd", "network" | "system-generators" | "journald.conf.d" | "timesyncd.conf.d", _]
        | ["etc", "dmhost", _, "link.batch" | "sysctl.conf" | "resolv.conf"]
        // `ops` and `motd` are the user's own, of `host.files`.
        | ["etc", "sysctl.d" | "modules-load.d" | "repart.d" | "ops", _]
        | ["etc", "motd" | "hostname" | "hosts" | "machine-id" | "resolv.conf"] => Oracle::InTheGuest,
        _ => return None,
    })
}

/// A layout to be judged, under the name it has in the verdicts.
struct Subject {
    name: String,
    base: Base,
    layout: Layout,
    /// None where no daemon has an API.
    pki: Option<Pki>,
    /// The one oracle that is asked; none: all.
    only: Option<Oracle>,
}

impl Subject {
    /// A spec on this base; `None`: it says what the base does not do, or asks for packages that no test can fetch.
    fn of(name: &str, spec: &Utf8Path, base: Base, folder: &Utf8Path) -> anyhow::Result<Option<Self>> {
        let text = fs_err::read_to_string(spec)?;
        let (plan, diagnostics) = plan_from_toml(spec.as_str(), &text);
        let plan: HostPlan = plan.with_context(|| format!("{spec} has no plan:\n{}", diagnostics.render(false)))?;
        if plan.host.engine != Engine::DockerIo {
            return Ok(None);
        }
        let own = format!("base = \"{}\"\n", plan.host.base.as_str());
        let line = format!("base = \"{}\"\n", base.as_str());
        let text = text.replace(&own, "").replacen("[host]\n", &format!("[host]\n{line}"), 1);
        let (Some(plan), _) = plan_from_toml(spec.as_str(), &text) else { return Ok(None) };
        anyhow::ensure!(plan.host.base == base, "{spec} is not for {}", base.as_str());
        let pki = folder.join(format!("{name}.pki"));
        dmhost_pki::init(&plan, &pki, SystemTime::now())?;
        Ok(Some(Self {
            name: name.to_owned(),
            base,
            layout: render(&plan),
            pki: pki.is_dir().then(|| Pki::open(&pki)).transpose()?,
            only: None,
        }))
    }

    /// What each oracle is given, one call per line; and how many paths each is answerable for.
    fn jobs(&self) -> anyhow::Result<(String, BTreeMap<Oracle, usize>)> {
        let mut counts = BTreeMap::new();
        let (mut units, mut lines) = (Vec::new(), Vec::new());
        for (path, entry) in self.layout.iter() {
            if entry.content == Content::Directory {
                continue;
            }
            let oracle = oracle_of(path.as_str()).with_context(|| {
                format!("nobody judges {path} of {}: name its oracle, or why it has none", self.name)
            })?;
            if !oracle.is_on(self.base) {
                continue;
            }
            *counts.entry(oracle).or_default() += 1;
            match oracle {
                Oracle::Units => units.extend(unit(path, &entry.content)),
                Oracle::Rules => lines.push(format!("rules {}", ruleset(path))),
                Oracle::WithAnother | Oracle::InTheGuest => {}
                Oracle::Dockerd
                | Oracle::Sshd
                | Oracle::Fstab
                | Oracle::Udev
                | Oracle::Sysusers
                | Oracle::Tmpfiles
                | Oracle::Keys
                | Oracle::Script => lines.push(format!("{} {path}", oracle.word())),
            }
        }
        units.sort();
        units.dedup();
        lines.push(format!("units {}", units.join(" ")));
        if let Some(only) = self.only {
            lines.retain(|line| line.split(' ').next() == Some(only.word()));
        }
        Ok((lines.join("\n") + "\n", counts))
    }

    /// The layout with a file broken, for one oracle.
    fn broken(&self, oracle: Oracle, path: &str, text: &str) -> anyhow::Result<Self> {
        let mut layout = self.layout.clone();
        let old = layout.text_at(path.into()).map(str::to_owned);
        let old = old.with_context(|| format!("{path} is not in {}: nothing would be broken", self.name))?;
        layout.text(path, format!("{}{text}", if text.starts_with('{') { "" } else { &old }));
        let name = format!("broken-{}", oracle.word());
        Ok(Self { name, base: self.base, layout, pki: self.pki.clone(), only: Some(oracle) })
    }
}

/// The unit that a file of `/etc/systemd/system` is, adds to or asks for, a template by an instance; none where it masks one.
fn unit(path: &Utf8Path, content: &Content) -> Option<String> {
    let place = path.strip_prefix("/etc/systemd/system").ok()?;
    let folder = place.parent().map_or("", Utf8Path::as_str);
    let name = match folder.strip_suffix(".d") {
        // Those of the base, where a drop-in adds to them.
        Some(unit) => return Some(format!("/usr/lib/systemd/system/{}", unit.replace("@.", "@oracle."))),
        None => place.file_name()?,
    };
    let name = name.replace("@.", "@oracle.");
    match content {
        Content::Link(target) if target == "/dev/null" => None,
        Content::Link(target) if target.is_absolute() => Some(target.to_string()),
        // `../UNIT` in a folder of wants.
        Content::Link(target) => Some(format!("/etc/systemd/system/{}", target.file_name()?)),
        Content::Text(_) | Content::Secret(_) | Content::Directory => Some(format!("/etc/systemd/system/{name}")),
    }
}

/// A file of rules after those that have to be loaded before it.
fn ruleset(path: &Utf8Path) -> String {
    match path.file_name() {
        Some("published.nft") => format!("{} {path}", path.with_file_name("nftables.conf")),
        _ => path.to_string(),
    }
}

/// What one call of an oracle came to.
#[derive(Debug)]
struct Verdict {
    status: i32,
    subject: String,
    oracle: String,
    arguments: String,
    said: String,
}

fn judge(subjects: &[Subject], base: &Utf8Path, stage: &Utf8Path) -> anyhow::Result<Vec<Verdict>> {
    let mut bundle = tar::Builder::new(Vec::new());
    for subject in subjects {
        let secrets = |id: &CredentialId| subject.pki.as_ref().context("there is no PKI")?.credential(id);
        let mut layout = subject.layout.clone();
        for mount in subject.layout.subvolumes()[1..].iter().filter_map(|subvolume| subvolume.mount.as_ref()) {
            layout.directory(mount, 0o755);
        }
        let bytes = tree::archive(&layout, &secrets, 0)?;
        let mut header = tar::Header::new_gnu();
        for entry in tar::Archive::new(&bytes[..]).entries()? {
            let entry = entry?;
            header.clone_from(entry.header());
            let path = format!("{}.tree/{}", subject.name, entry.path()?.display());
            match entry.link_name()? {
                Some(target) => bundle.append_link(&mut header, path, target)?,
                None => bundle.append_data(&mut header, path, entry)?,
            }
        }
        let (jobs, _) = subject.jobs()?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(jobs.len() as u64);
        bundle.append_data(&mut header, format!("{}.jobs", subject.name), jobs.as_bytes())?;
    }
    let words = ["unshare", "--net", "sh", "-euc", JUDGE, "judge", stage.as_str(), base.as_str()];
    let command = Command::privileged(Privilege::of_this_process(), words);
    let (mut verdicts, mut said) = (Vec::new(), String::new());
    command.run(bundle.into_inner()?, |line| {
        let mut words = line.splitn(5, ' ');
        match (words.next(), words.next().and_then(|word| word.parse().ok()), words.next(), words.next()) {
            (Some("verdict"), Some(status), Some(subject), Some(oracle)) => verdicts.push(Verdict {
                status,
                subject: subject.to_owned(),
                oracle: oracle.to_owned(),
                arguments: words.next().unwrap_or_default().to_owned(),
                said: std::mem::take(&mut said),
            }),
            _ => said += &format!("{line}\n"),
        }
    })?;
    Ok(verdicts)
}

/// For each oracle: a file of the first scenario, what is put at its end, and a word of the refusal.
const BROKEN: [(Oracle, &str, &str, &str); 10] = [
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
    for expected in [
        "debian-12",
        "dual-stack-multi-address",
        "example-two-vlans",
        "expose-lists",
        "minimal",
        "own-nic-and-vlans",
        "sixteen-daemons",
        "tagged-only-trunk",
        "two-vlans",
    ] {
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
