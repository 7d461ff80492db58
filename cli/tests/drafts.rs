//! `dmhost init`: from flags, from the machine that the test runs on, over nothing.

use crate::bed::{Bed, ran};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINX5ZgmTZ55QZxrBqHe8Zapdvujm+Oi6bFcFo03nyEuV ops";

/// Two VLANs on a trunk and a NIC beside it; the key is in a file.
const ATLAS: &str = "init --name atlas --authorized-key ops.pub --nic lan@52:54:00:00:00:01=192.0.2.10/24,2001:db8::10/64 \
    --nic trunk@52:54:00:00:00:02 --vlan web@trunk:10=198.51.100.2/24 --vlan trunk:20=203.0.113.2/24 \
    --gateway 192.0.2.1 --gateway 198.51.100.1 --dns 192.0.2.53";

/// A folder without `host.toml`, with a key.
fn empty() -> Bed {
    let bed = Bed::new();
    fs_err::remove_file(bed.path().join("host.toml")).unwrap();
    bed.write("ops.pub", KEY);
    bed
}

#[test]
fn a_host_from_flags_is_whole() {
    let bed = empty();
    let made = bed.run(ATLAS);
    assert_eq!((made.code, made.out.as_str(), made.err.as_str()), (0, "host.toml\n", ""));
    let text = fs_err::read_to_string(bed.path().join("host.toml")).unwrap();
    insta::assert_snapshot!("init-from-flags", text);
    for words in ["check host.toml", "fmt --check host.toml"] {
        let ran = bed.run(words);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{words}");
    }
    let streamed = bed.run(&format!("{ATLAS} --out -"));
    assert_eq!((streamed.code, streamed.out.as_str()), (0, text.as_str()));
    let json = bed.json(&format!("{ATLAS} --out -"));
    assert_eq!(json, serde_json::json!({ "out": "-", "missing": [], "left_out": [], "spec": text }));
    assert_eq!(bed.names(), ["host.toml", "ops.pub"]);
}

#[test]
fn daemons_and_the_administrator_are_as_said() {
    let bed = empty();
    let made = bed.run(&format!("{ATLAS} --daemon both=web,vlan20 --admin lan --out - "));
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("[daemons.both]\ninterfaces = [\"web\", \"vlan20\"]\n"), "{made:?}");
    assert_eq!(made.out.matches("\n[daemons.").count(), 1, "{made:?}");
}

#[test]
fn a_file_that_is_there_stays_unless_forced() {
    let bed = Bed::new();
    bed.write("ops.pub", KEY);
    bed.run(ATLAS).refuses(2, &["host.toml is there already; say --force"]);
    bed.run(&format!("{ATLAS} --out .")).refuses(2, &[". is a folder"]);
    assert_eq!(fs_err::read_to_string(bed.path().join("host.toml")).unwrap(), crate::bed::GOOD);
    assert_eq!(bed.run(&format!("{ATLAS} --force")).code, 0);
    assert_ne!(fs_err::read_to_string(bed.path().join("host.toml")).unwrap(), crate::bed::GOOD);
    assert_eq!(bed.names(), ["host.toml", "ops.pub"]);
}

#[test]
fn what_is_missing_is_told_and_the_spec_passes_all_the_same() {
    let bed = empty();
    let mut command = bed.command("init --name atlas --nic 52:54:00:00:00:01=192.0.2.10/24");
    let made = ran(command.env("HOME", bed.path()));
    assert_eq!((made.code, made.out.as_str()), (1, "host.toml\n"));
    assert_eq!(
        made.err,
        "to be filled in: [host.admin]: there is no public key; write one into `authorized-keys`\n\
         to be filled in: [daemons]: no interface is left for one; each daemon has a NIC or a VLAN of its own\n"
    );
    assert_eq!(bed.run("check host.toml").code, 0);
}

#[test]
fn a_flag_that_cannot_be_had_is_refused_with_all_others() {
    let bed = empty();
    let words = "init --name atlas --authorized-key ops.pub --nic lan@52:54:00:00:00:01=169.254.0.1/16 --vlan x@y:10=192.0.2.3/24 \
                 --gateway 10.0.0.1 --admin wan --daemon web=lab";
    let refused = bed.run(words);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    for words in [
        "x: there is no NIC y",
        "the gateway 10.0.0.1 is on no subnet",
        "169.254.0.1 is a link-local address",
        "daemon web: there is no interface lab",
        "[host.admin]: there is no interface wan",
    ] {
        assert!(refused.err.contains(words), "{words:?} is not in {}", refused.err);
    }
    for (flag, why) in [
        ("--nic 52:54:00:00:00", "six pairs"),
        ("--nic 52:54:00:00:00:01=192.0.2.1", "no address with a prefix length"),
        ("--vlan lan:4095", "1 to 4094"),
        ("--daemon Web=lan", "lower-case letter"),
        ("--name Atlas", "is no host name"),
        ("--authorized-key nowhere.pub", "cannot read a key: failed to open file `nowhere.pub`: No such file"),
    ] {
        bed.run(&format!("init {flag}")).refuses(2, &[why]);
    }
    assert_eq!(bed.names(), ["ops.pub"]);
}

/// Whatever machine this is: a spec comes of it that passes, and what is missing decides the exit code.
#[test]
fn this_machine_has_a_spec() {
    let bed = empty();
    let mut command = bed.command("init --output json");
    let made = ran(command.env("HOME", bed.path()));
    let json: serde_json::Value = serde_json::from_str(&made.out).unwrap_or_else(|_| panic!("{made:?}"));
    let missing = json["missing"].as_array().unwrap();
    assert_eq!(made.code, i32::from(!missing.is_empty()), "{made:?}");
    assert!(missing.iter().any(|one| one.as_str().unwrap().starts_with("[host.admin]")), "{json}: the home has no key");
    let checked = bed.run("check host.toml");
    assert_eq!((checked.code, checked.out.as_str()), (0, ""));
}

/// A key of the user's own that cannot be taken is left out with a word, whatever flags stand beside it; a given one is refused.
#[test]
fn what_no_flag_asked_for_is_no_slip() {
    const OLD: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAOld old@laptop";
    let bed = empty();
    fs_err::create_dir(bed.path().join(".ssh")).unwrap();
    bed.write(".ssh/id_dsa.pub", OLD);
    let keyless = ATLAS.replace("--authorized-key ops.pub ", "");
    let run = |words: &str| ran(bed.command(words).env("HOME", bed.path()));
    let made = run(&format!("{keyless} --daemon both=web,vlan20 --admin lan"));
    assert_eq!((made.code, made.out.as_str()), (1, "host.toml\n"), "{made:?}");
    assert!(made.err.contains("id_dsa.pub is left out: "), "{made:?}");
    run(&format!("{keyless} --force --authorized-key .ssh/id_dsa.pub")).refuses(2, &["id_dsa.pub is left out: "]);
}
