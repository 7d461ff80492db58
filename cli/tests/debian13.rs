//! `dmhost build` on Debian 13, by root and by an ordinary user: a tree of it is made for the test, and the executable run in
//! that. The image has to be the one that this machine makes.

use std::path::Path;
use std::process::Command;

use dmhost_images::{Mirror, Privilege, default_cache_dir};
use serde_json::Value;

use crate::bed::{Bed, GOOD, Ran, ran};

/// What `./quickstart` installs there for a build, and `passwd` for the user.
const TOOLS: &str = "mmdebstrap,uidmap,btrfs-progs,util-linux,mount,passwd";

/// Makes a namespace whose root is the tree, with the cache in it, and runs what follows. Not a chroot: in one of those the
/// kernel makes no user namespaces.
const INSIDE: &str = "tree=$1 cache=$2; shift 2\n\
    mount --rbind \"$tree\" \"$tree\"; cd \"$tree\"; mkdir -p old cache\n\
    mount -t proc proc proc; mount --rbind /dev dev; mount --rbind \"$cache\" cache\n\
    pivot_root . old; cd /; umount -l old; exec \"$@\"";

fn sh(script: &str, words: &[&str]) -> Ran {
    let enter = Privilege::of_this_process().enter();
    let mut command = Command::new(&enter[0]);
    command.args(&enter[1..]).args(["sh", "-euc", script, "sh"]).args(words);
    let path = std::env::var("PATH").unwrap_or_default();
    ran(command.env("PATH", format!("{path}:/usr/sbin:/sbin")))
}

fn must(script: &str, words: &[&str]) {
    let ran = sh(script, words);
    assert_eq!(ran.code, 0, "{script}: {ran:?}");
}

fn tree_hash(ran: &Ran) -> String {
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str::<Value>(&ran.out).unwrap()["tree_sha256"].as_str().unwrap().to_owned()
}

#[test]
fn debian_13_makes_the_same_image_for_root_and_for_a_user() {
    let bed = Bed::new();
    bed.write("host.toml", &GOOD.replace("16GiB", "3GiB"));
    let bed = bed.with_pki();
    // The user's own cache, whose base the first of all tests makes.
    let cache = default_cache_dir().unwrap();
    let mut here = bed.command("build host.toml --out host.raw --output json");
    let here = tree_hash(&ran(here.env_remove("DMHOST_CACHE_DIR")));

    let tree = bed.path().join("trixie");
    let tree = tree.to_str().unwrap();
    let sources = Mirror::of_this_machine().lines("trixie").join("\n");
    let make = "mmdebstrap --mode=unshare --variant=apt --include=$1 --dpkgopt=force-unsafe-io \
                --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/man/*' \
                --skip=check/qemu trixie \"$2\" \"$3\"";
    must(make, &[TOOLS, tree, &sources]);
    let issue = fs_err::read_to_string(Path::new(tree).join("etc/debian_version")).unwrap();
    assert!(issue.starts_with("13."), "{issue}");
    let fill = "install -D \"$3\" \"$1/usr/local/bin/dmhost\"; mkdir -p \"$1/bed\"; \
                cp -a \"$2/host.toml\" \"$2/host.lock\" \"$2/host.pki\" \"$1/bed\"";
    must(fill, &[tree, bed.path().to_str().unwrap(), env!("CARGO_BIN_EXE_dmhost")]);

    let words = ["build", "host.toml", "--out", "host.raw", "--locked", "--offline", "--output", "json"];
    let inside = |before: &[&str], folder: &str, cache_dir: &str| {
        let script = format!("cd {folder}; exec \"$@\"");
        let mut all = vec![tree, cache.as_str(), "sh", "-euc", &script, "sh"];
        all.extend(before);
        all.push("/usr/local/bin/dmhost");
        all.extend(words);
        all.extend(["--cache-dir", cache_dir]);
        sh(INSIDE, &all)
    };
    assert_eq!(tree_hash(&inside(&[], "/bed", "/cache")), here, "root's");

    // Who is not root here has one range of ids and no second one to hand on.
    if Privilege::of_this_process() == Privilege::Root {
        let user = "useradd --create-home builder; usermod --add-subuids 200000-265535 --add-subgids 200000-265535 builder; \
                    cd /home/builder; cp -a /bed/host.toml /bed/host.lock /bed/host.pki .; mkdir cache; \
                    cp -a /cache/packages /cache/resolutions cache; chown -R builder: .";
        must(INSIDE, &[tree, cache.as_str(), "sh", "-euc", user]);
        let user = ["setpriv", "--reuid", "builder", "--regid", "builder", "--init-groups", "--reset-env", "--"];
        // Its base is made there, by that release's programs and of the same packages.
        assert_eq!(tree_hash(&inside(&user, "/home/builder", "cache")), here, "a user's");
    }
    must("rm -rf \"$1\"", &[tree]);
}
