//! Signals in the middle of a build: nothing runs on, nothing is left. SIGKILL leaves something, and the next run clears it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use dmhost_images::pins::{Archive, Package, Pins};
use dmhost_images::recipe::{Recipe, System};
use dmhost_layout::plan::{Base, Engine, Kernel};
use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, ran};

/// One deadline for what takes a tenth of a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A bed on whose `PATH` an `mmdebstrap` comes first that says so through a pipe and then never ends, deaf to polite signals:
/// the moment of the signal is known, and no archive is asked.
fn bed() -> Bed {
    let bed = Bed::new().with_pki();
    fs_err::create_dir(bed.path().join("bin")).unwrap();
    stub(&bed, "trap '' INT TERM HUP\necho begun >\"$BEGUN\"\nwhile :; do sleep 1000; done\n");
    assert_eq!(ran(Command::new("mkfifo").arg(bed.path().join("begun"))).code, 0);
    pin(&bed);
    bed
}

/// A lock with one package, which the cache has: no archive is asked for anything.
fn pin(bed: &Bed) {
    let (tree, packages) = (bed.path().join("deb/DEBIAN"), bed.path().join("cache/packages"));
    for folder in [&tree, &packages] {
        fs_err::create_dir_all(folder).unwrap();
    }
    let control =
        "Package: small\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: none\n";
    fs_err::write(tree.join("control"), control).unwrap();
    let made = ran(Command::new("dpkg-deb").args(["--build", "deb", "small.deb"]).current_dir(bed.path()));
    assert_eq!(made.code, 0, "{made:?}");
    let sum = ran(Command::new("sha256sum").arg("small.deb").current_dir(bed.path())).out;
    let sha256 = sum.split(' ').next().unwrap().to_owned();
    let size = fs_err::metadata(bed.path().join("small.deb")).unwrap().len();
    fs_err::rename(bed.path().join("small.deb"), packages.join(format!("{sha256}.deb"))).unwrap();
    fs_err::remove_dir_all(bed.path().join("deb")).unwrap();
    let package = Package {
        name: "small".to_owned(),
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        archive: Archive::Main,
        path: "pool/main/s/small/small_1_all.deb".to_owned(),
        size,
        sha256,
    };
    let system = System { base: Base::Debian13, engine: Engine::DockerIo, kernel: Kernel::Cloud };
    let recipe = Recipe::of(system.base, system.engine, None).unwrap();
    let pins = Pins::new(system, &recipe, 0, vec![package]);
    bed.write("host.lock", &pins.text().unwrap());
}

fn stub(bed: &Bed, script: &str) {
    let path = bed.write("bin/mmdebstrap", &format!("#!/bin/sh\n{script}"));
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn command(bed: &Bed, words: &str) -> Command {
    let dmhost = bed.command(words);
    // Where the tests themselves ignore SIGINT (`./test &`), the executable would, and rightly.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP").arg(dmhost.get_program()).args(dmhost.get_args());
    command.envs(dmhost.get_envs().filter_map(|(key, value)| Some((key, value?)))).current_dir(bed.path());
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bed.path().join("bin").display())).env("BEGUN", bed.path().join("begun"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Within the deadline or not at all.
fn within<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{what} takes more than {DEADLINE:?}"))
}

fn begun(bed: &Bed, words: &str) -> Child {
    let child = command(bed, words).spawn().unwrap();
    let pipe = bed.path().join("begun");
    assert_eq!(within("the bootstrap's begin", move || fs_err::read_to_string(pipe)).unwrap(), "begun\n");
    child
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn end(child: Child) -> (ExitStatus, String, String) {
    let output = within("the end", move || child.wait_with_output()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status, text(output.stdout), text(output.stderr))
}

/// Programs that have the bed's folder in their argv.
pub(crate) fn running(bed: &Bed) -> Vec<String> {
    running_in(bed.path())
}

fn running_in(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let processes =
        fs_err::read_dir("/proc").unwrap().filter_map(|entry| fs_err::read(entry.ok()?.path().join("cmdline")).ok());
    processes.map(|argv| String::from_utf8_lossy(&argv).replace('\0', " ")).filter(|argv| argv.contains(name)).collect()
}

fn left(bed: &Bed) -> Vec<String> {
    let mut left = bed.names();
    left.retain(|name| !["begun", "bin", "host.lock", "host.pki", "host.toml"].contains(&name.as_str()));
    let caches = ["cache", "cache/bases"].map(|folder| bed.path().join(folder));
    for entry in caches.iter().filter_map(|folder| fs_err::read_dir(folder).ok()).flatten() {
        left.push(entry.unwrap().file_name().into_string().unwrap());
    }
    // What a build rightly leaves: the cache with its packages, and its locks.
    let cache = ["cache", "bases", "packages"];
    left.retain(|name| !cache.contains(&name.as_str()) && !name.to_ascii_lowercase().ends_with(".lock"));
    left
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    for (words, signal, name) in [
        ("build host.toml --out host.raw", Signal::INT, "SIGINT"),
        ("build host.toml --out host.raw", Signal::TERM, "SIGTERM"),
        ("verify host.toml", Signal::HUP, "SIGHUP"),
    ] {
        let bed = bed();
        let child = begun(&bed, words);
        assert!(!running(&bed).is_empty() && !left(&bed).is_empty());
        send(&child, signal);
        let (status, out, err) = end(child);
        assert_eq!(status.code(), Some(128 + signal.as_raw()), "{err}");
        let (steps, last) = err.trim_end().rsplit_once('\n').unwrap();
        assert!(steps.starts_with("packages: 1: from the cache (") && steps.lines().count() == 1, "{err}");
        assert_eq!((out.as_str(), last), ("", format!("interrupted by {name}; nothing was left behind").as_str()));
        assert_eq!(running(&bed), [""; 0]);
        assert_eq!(left(&bed), [""; 0]);
    }
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    for (words, trace) in [("build host.toml --out host.raw", ".host.raw.dmhost-build"), ("verify host.toml", "run-0")]
    {
        let bed = bed();
        let child = begun(&bed, words);
        send(&child, Signal::KILL);
        assert_eq!(end(child).0.code(), None);
        assert!(left(&bed).iter().any(|name| name == trace), "{:?}", left(&bed));

        stub(&bed, "echo 'E: not today' >&2\nexit 1\n");
        let next = ran(&mut command(&bed, words));
        assert_eq!(next.code, 3, "{next:?}");
        assert!(next.err.contains("E: not today"), "{next:?}");
        assert_eq!(left(&bed), [""; 0]);
    }
}

/// Real steps, with the user's own cache, whose base the first of all tests makes; a step's own event tells its moment.
#[test]
fn a_build_that_ends_in_any_step_leaves_no_half_image() {
    let bed = Bed::new().with_pki();
    let words = ["build", "host.toml", "--out", "host.raw", "--output", "json"];
    for (step, signal) in [(2, Signal::KILL), (2, Signal::INT), (3, Signal::KILL), (4, Signal::TERM), (4, Signal::KILL)]
    {
        let mut command = Command::new("env");
        command
            .args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_dmhost")])
            .args(words)
            .current_dir(bed.path());
        let piped = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let begins = format!("\"index\":{step},");
        let (mut lines, found) = within("the step's begin", move || {
            let found = lines.any(|line| line.starts_with("{\"event\":\"step-started\"") && line.contains(&begins));
            (lines, found)
        });
        assert!(found, "step {step} never began");
        send(&child, signal);
        let status = end(child).0;
        let killed = signal == Signal::KILL;
        assert_eq!(status.code(), (!killed).then(|| 128 + signal.as_raw()), "{step} {:?}", lines.by_ref().last());
        // What a killed program started dies with it, by the kernel's hand and not by ours.
        let folder = bed.path().to_owned();
        within("the end of all that was started", move || while !running_in(&folder).is_empty() {});
        let leavings: &[&str] = if killed { &[".host.raw.dmhost-build"] } else { &[] };
        assert_eq!(left(&bed), leavings, "step {step}, {signal:?}");
        assert!(!bed.names().contains(&"host.lock".to_owned()), "a lock of no image");
    }
    let built = |out: &str| {
        let words = format!("build host.toml --out {out} --output json");
        let ran = ran(bed.command(&words).env_remove("DMHOST_CACHE_DIR"));
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()
    };
    let (one, other) = (built("host.raw"), built("other.raw"));
    assert_eq!((&one["base_cached"], &one["tree_sha256"]), (&true.into(), &other["tree_sha256"]));
    assert_eq!(running(&bed), [""; 0]);
    let mut files = left(&bed);
    files.sort();
    let ends = ["", ".cdx.json", ".json"];
    assert_eq!(files, ["host.raw", "other.raw"].map(|image| ends.map(|end| format!("{image}{end}"))).concat());
}

#[test]
fn two_builds_of_one_image_do_not_meet() {
    let bed = bed();
    let first = begun(&bed, "build host.toml --out host.raw");
    let second = ran(&mut command(&bed, "build host.toml --out host.raw"));
    second.refuses(2, &["another build is making this image"]);
    assert!(!running(&bed).is_empty() && left(&bed).contains(&".host.raw.dmhost-build".to_owned()));
    send(&first, Signal::INT);
    assert_eq!(end(first).0.code(), Some(130));
}

#[test]
fn who_waits_for_another_build_says_so_and_can_be_interrupted() {
    let bed = bed();
    let first = begun(&bed, "build host.toml --out host.raw");
    let mut second = command(&bed, "build host.toml --out other.raw").spawn().unwrap();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let said = within("the second build's word", move || {
        let found = lines.find(|line| line.as_ref().unwrap().contains("waiting for it"));
        (found.unwrap().unwrap(), lines)
    });
    let (said, lines) = said;
    assert!(said.starts_with("another build holds ") && said.contains("/cache/bases/debian-13-cloud-"), "{said}");
    send(&second, Signal::INT);
    let status = end(second).0;
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!((status.code(), rest), (Some(130), vec!["interrupted by SIGINT; nothing was left behind".to_owned()]));
    assert!(!bed.names().iter().any(|name| name.contains("other.raw")));
    send(&first, Signal::INT);
    assert_eq!(end(first).0.code(), Some(130));
    assert_eq!((running(&bed), left(&bed)), (vec![], vec![]));
}
