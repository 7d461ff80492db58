//! `dmhost build` by somebody who is not root: no rights, no mounts and no loop devices of the machine's, no daemon; what it
//! takes are ranges of subordinate ids.
//!
//! Root makes such a user for the test and takes it away again; whoever else runs the tests is one.

use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use dmhost_images::cache::Exclusive;
use dmhost_images::{Format, disk, store};

use crate::bed::{Bed, GOOD, Ran, ran};

/// Far from what distributions hand out by themselves: 65,536 ids.
const RANGE: &str = "1879048192-1879113727";

/// A user who can do nothing.
struct User {
    /// `None`: whoever runs the test.
    made: Option<String>,
}

fn must(program: &str, words: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let ran = ran(Command::new(program).args(words).env("PATH", path));
    assert_eq!(ran.code, 0, "{program} {words:?}: {ran:?}");
    ran.out
}

impl User {
    fn new(home: &Path) -> Self {
        if must("id", &["-u"]).trim() != "0" {
            return Self { made: None };
        }
        let name = format!("dmhost-{}", std::process::id());
        let home = home.to_str().unwrap();
        // A system user gets no ranges by itself.
        must("useradd", &["--system", "--user-group", "--home-dir", home, "--shell", "/bin/sh", &name]);
        Self { made: Some(name) }
    }

    fn takes_over(&self, folder: &Path) {
        if let Some(name) = &self.made {
            must("chown", &["-R", &format!("{name}:"), folder.to_str().unwrap()]);
        }
    }

    /// Runs a copy of the executable in the bed: the one that was built may lie where this user cannot look.
    fn run(&self, bed: &Bed, words: &str) -> Ran {
        let program = bed.path().join("dmhost");
        let mut command = match &self.made {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", name, "--regid", name, "--init-groups"]);
                command.arg("--reset-env").arg("--").arg(program);
                command
            }
        };
        // No /usr/sbin, as ordinary users have it in Debian.
        command.args(words.split_whitespace()).current_dir(bed.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        ran(command.env("XDG_CACHE_HOME", bed.path().join("cache")))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(name) = &self.made {
            must("userdel", &[name]);
        }
    }
}

fn mounts() -> String {
    fs_err::read_to_string("/proc/self/mountinfo").unwrap()
}

#[test]
fn an_image_is_built_by_an_ordinary_user() {
    let bed = Bed::new();
    bed.write("host.toml", &GOOD.replace("16GiB", "3GiB"));
    fs_err::copy(env!("CARGO_BIN_EXE_dmhost"), bed.path().join("dmhost")).unwrap();
    let user = User::new(bed.path());
    user.takes_over(bed.path());
    assert_eq!(user.run(&bed, "pki init host.toml").code, 0);
    let build = "build host.toml --out host.qcow2";
    if let Some(name) = &user.made {
        let fix = format!("`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}`");
        user.run(&bed, build).refuses(3, &["has no range of subordinate ids", &fix]);
        must("usermod", &["--add-subuids", RANGE, "--add-subgids", RANGE, name]);
    }
    let before = mounts();
    let ran = user.run(&bed, build);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("as a disk"), "{ran:?}");
    assert_eq!(mounts(), before, "a mount was left behind");

    let image = bed.path().join("host.qcow2");
    let image = Utf8Path::from_path(&image).unwrap();
    let metadata = fs_err::metadata(image).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.uid(), fs_err::metadata(bed.path()).unwrap().uid());
    assert_eq!(Format::found_in(image).unwrap(), Format::Qcow2);
    must("qemu-img", &["check", "-q", image.as_str()]);
    owners_are_right(&bed, image);
    a_damaged_base_is_made_anew(&bed, &user, build);

    // What is in the cache belongs to ids of the user's range: only within them can it go.
    if user.made.is_none() {
        let cache = bed.path().join("cache");
        must("unshare", &["--user", "--map-root-user", "--map-auto", "rm", "-rf", cache.to_str().unwrap()]);
    }
}

/// A byte goes wrong on the disk: size and times say nothing, and the image that is made of it does. The base that is made
/// anew is the same to the last byte.
fn a_damaged_base_is_made_anew(bed: &Bed, user: &User, build: &str) {
    let tree = || {
        let report = fs_err::read_to_string(bed.path().join("host.qcow2.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&report).unwrap()["tree_sha256"].clone()
    };
    let before = tree();
    // A user of the test's has no environment but a home.
    let cache = if user.made.is_some() { ".cache/dmhost/bases" } else { "cache/dmhost/bases" };
    let bases = fs_err::read_dir(bed.path().join(cache)).unwrap().map(|entry| entry.unwrap().path());
    let base = bases.into_iter().find(|path| path.is_dir()).unwrap();
    let file = fs_err::OpenOptions::new().read(true).write(true).open(base.join("root/usr/bin/docker")).unwrap();
    let then = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.file().read_exact_at(&mut byte, 1 << 20).unwrap();
    file.file().write_all_at(&[byte[0] ^ 1], 1 << 20).unwrap();
    file.file().set_modified(then).unwrap();
    drop(file);
    let cache = base.parent().unwrap().parent().unwrap();
    let planted = Planted::in_a_cache(cache, user);
    let limit = planted.bytes - (40 << 20);
    let ran = user.run(bed, &format!("{build} --force --offline --locked --cache-limit {limit}"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains(&format!("{} is damaged: it is made anew", base.display())), "{ran:?}");
    assert_eq!(tree(), before);
    planted.is_less(cache, &ran);
}

/// What was not used for long, put into a cache: 32 MiB each.
struct Planted {
    /// What the whole cache takes with it.
    bytes: u64,
    packages: usize,
    _busy: Exclusive,
}

impl Planted {
    /// By age, the oldest first: a base that somebody uses, a base, a host's state, a package.
    const ENTRIES: [&str; 4] = ["bases/busy", "bases/old", "states/old", "packages/old.deb"];

    fn in_a_cache(cache: &Path, user: &User) -> Self {
        let packages = fs_err::read_dir(cache.join("packages")).unwrap().count();
        for (name, days) in Self::ENTRIES.into_iter().zip([40, 30, 20, 10]) {
            let path = cache.join(name);
            let file = if path.extension().is_some() { path.clone() } else { path.join("manifest.json") };
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(&file, vec![1; 32 << 20]).unwrap();
            let stamp = if file == path { file } else { path.join("used") };
            let stamp = fs_err::OpenOptions::new().create(true).append(true).open(stamp).unwrap();
            stamp.file().set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
            user.takes_over(&path);
        }
        let lock = cache.join("bases/busy.lock");
        let busy = Exclusive::try_take(Utf8Path::from_path(&lock).unwrap()).unwrap().unwrap();
        user.takes_over(&lock);
        user.takes_over(&cache.join("states"));
        let held = store::list(Utf8Path::from_path(cache).unwrap()).unwrap();
        Self { bytes: held.iter().map(|entry| entry.bytes).sum(), packages: packages + 1, _busy: busy }
    }

    /// A build for which the cache may take 40 MiB less took away the two that were unused for longest, and nothing in use.
    fn is_less(&self, cache: &Path, ran: &Ran) {
        assert!(ran.err.contains(": 2 removed, "), "{ran:?}");
        let left = Self::ENTRIES.map(|name| cache.join(name).exists());
        assert_eq!(left, [true, false, false, true]);
        assert_eq!(fs_err::read_dir(cache.join("packages")).unwrap().count(), self.packages);
    }
}

/// Files of root and of group shadow are theirs in the image, whoever built it.
fn owners_are_right(bed: &Bed, image: &Utf8Path) {
    let raw = bed.path().join("host.raw");
    let raw = Utf8Path::from_path(&raw).unwrap();
    Format::Qcow2.unpack(image, raw).unwrap();
    let root = disk::open(raw).unwrap().root;
    let part = bed.path().join("root");
    let (input, output) = (format!("if={raw}"), format!("of={}", part.display()));
    let (skip, count) = (format!("skip={}", root.start >> 20), format!("count={}", root.length >> 20));
    must("dd", &[&input, &output, "bs=1M", "conv=sparse", "status=none", &skip, &count]);
    let part = part.to_str().unwrap();
    must("btrfs", &["check", part]);
    let tree = bed.path().join("tree");
    fs_err::create_dir(&tree).unwrap();
    let wanted = "^/(|@(|/etc(|/shadow|/hostname)))$";
    must("btrfs", &["restore", "--metadata", "--path-regex", wanted, part, tree.to_str().unwrap()]);
    let shadow = fs_err::metadata(tree.join("@/etc/shadow")).unwrap();
    assert_eq!(shadow.permissions().mode() & 0o7777, 0o640);
    // Only root may give files away: anybody else's restore keeps them.
    if must("id", &["-u"]).trim() == "0" {
        assert_eq!((shadow.uid(), shadow.gid()), (0, 42));
    }
    assert_eq!(fs_err::read_to_string(tree.join("@/etc/hostname")).unwrap(), "atlas\n");
}
