//! The folder: what `init` makes, keeps and mends; what is read from it.

mod bed;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use bed::{Bed, DAY, api, changed, dir_of, message, name, plan};
use camino::Utf8Path;
use dmhost_layout::CredentialId;
use dmhost_pki::{Change, DEFAULT_CLIENT, Pki, init};

fn lines<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[test]
fn the_files_and_their_modes() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let found: Vec<_> = dir_of(bed.dir())?.into_iter().map(|(path, (mode, _))| format!("{mode:03o} {path}")).collect();
    let mut wanted = vec![
        "644 .gitignore".to_owned(),
        "700 server-ca".to_owned(),
        "644 server-ca/ca.pem".into(),
        "600 server-ca/ca-key.pem".into(),
    ];
    for daemon in ["web", "lab"] {
        wanted.push(format!("700 {daemon}"));
        wanted.extend(["client-ca", "server", "clients", "clients/admin"].map(|dir| format!("700 {daemon}/{dir}")));
        wanted.extend(
            ["client-ca/ca-key", "server/key", "clients/admin/key"].map(|key| format!("600 {daemon}/{key}.pem")),
        );
        wanted.extend(
            ["client-ca/ca", "server/cert", "clients/admin/cert", "clients/admin/ca"]
                .map(|cert| format!("644 {daemon}/{cert}.pem")),
        );
    }
    let by_path = |mut list: Vec<String>| {
        list.sort_by(|a, b| a[4..].cmp(&b[4..]));
        list
    };
    assert_eq!(by_path(found), by_path(wanted));
    assert_eq!(fs_err::metadata(bed.dir())?.permissions().mode() & 0o7777, 0o700);
    Ok(())
}

#[test]
fn a_second_run_changes_no_byte() -> Result<()> {
    let bed = Bed::new()?;
    let changes = bed.init(&plan())?;
    let kinds = [
        "server CA",
        "client CA of lab",
        "server certificate of lab",
        "client certificate `admin` of lab",
        "client CA of web",
        "server certificate of web",
        "client certificate `admin` of web",
    ];
    assert_eq!(lines(&changes), kinds.map(|kind| format!("made the {kind}")));
    let before = dir_of(bed.dir())?;
    assert_eq!(bed.init(&plan())?, []);
    // 794 days on there are 31 left: still nothing to do.
    assert_eq!(init(&plan(), bed.dir(), SystemTime::now() + 794 * DAY)?, []);
    assert_eq!(changed(&before, &dir_of(bed.dir())?), [""; 0]);
    Ok(())
}

#[test]
fn a_new_address_makes_one_certificate_anew() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    let mut plan = plan();
    api(&mut plan, "web").addresses.push("198.51.100.9".parse()?);
    api(&mut plan, "web").names = vec!["docker.example.org".to_owned()];

    let problems = lines(&bed.open()?.check(&plan, SystemTime::now())?);
    let what = "lacks 198.51.100.9, docker.example.org and names web.example.org, which the spec does not";
    assert_eq!(problems, [format!("{} {what}", bed.path("web/server/cert.pem"))]);

    let changes = lines(&bed.init(&plan)?);
    assert_eq!(changes, [format!("made the server certificate of web anew: the old one {what}")]);
    assert_eq!(changed(&before, &dir_of(bed.dir())?), ["web/server/cert.pem"]);
    assert_eq!(bed.open()?.check(&plan, SystemTime::now())?, []);
    Ok(())
}

#[test]
fn what_ends_soon_is_made_anew_and_what_ended_is_a_problem() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    let soon = SystemTime::now() + 800 * DAY;
    assert_eq!(bed.open()?.check(&plan(), soon)?, []);
    let late = SystemTime::now() + 826 * DAY;
    let problems = lines(&bed.open()?.check(&plan(), late)?);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("cert.pem expires on ")), "{problems:?}");

    init(&plan(), bed.dir(), soon)?;
    let leaves = ["lab/clients/admin", "lab/server", "web/clients/admin", "web/server"];
    assert_eq!(changed(&before, &dir_of(bed.dir())?), leaves.map(|dir| format!("{dir}/cert.pem")));
    assert_eq!(bed.open()?.check(&plan(), late)?, []);

    // A CA in its last month is made anew with the key it has, so nothing signed by it is lost.
    let before = dir_of(bed.dir())?;
    let last_month = SystemTime::now() + 3630 * DAY;
    init(&plan(), bed.dir(), last_month)?;
    assert!(changed(&before, &dir_of(bed.dir())?).iter().all(|path| !path.contains("key")));
    assert_eq!(bed.open()?.check(&plan(), last_month)?, []);
    Ok(())
}

#[test]
fn an_earlier_clock_costs_no_certificate() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    assert_eq!(init(&plan(), bed.dir(), SystemTime::now() - DAY / 48)?, []); // half an hour: within the backdating
    let text = message(init(&plan(), bed.dir(), SystemTime::now() - DAY));
    assert!(text.starts_with(&format!("{} is valid from ", bed.path("server-ca/ca.pem"))), "{text}");
    assert!(text.ends_with(" on only: is the clock right?"), "{text}");
    assert_eq!(changed(&before, &dir_of(bed.dir())?), [""; 0]);
    Ok(())
}

#[test]
fn a_daemon_that_left_keeps_its_files() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    let mut plan = plan();
    plan.daemons.remove(&name("lab"));
    assert_eq!(bed.init(&plan)?, [Change::LeftAlone(name("lab"))]);
    assert_eq!(changed(&before, &dir_of(bed.dir())?), [""; 0]);
    Ok(())
}

#[test]
fn a_plan_without_an_api_needs_no_folder() -> Result<()> {
    let bed = Bed::new()?;
    let mut plan = plan();
    plan.daemons.retain(|_, daemon| daemon.api.is_none());
    assert_eq!(bed.init(&plan)?, []);
    assert!(!bed.dir().exists());
    Ok(())
}

#[test]
fn an_interrupted_run_is_finished_by_the_next() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    // As if stopped between the key and the certificate, with the certificate half written aside.
    fs_err::rename(bed.path("web/server/cert.pem"), bed.path("web/server/.cert.pem.new"))?;
    fs_err::write(bed.path("web/server/.cert.pem.new"), "-----BEGIN CERT")?;
    assert_eq!(
        lines(&bed.open()?.check(&plan(), SystemTime::now())?),
        [format!("{} is missing", bed.path("web/server/cert.pem"))]
    );
    assert_eq!(lines(&bed.init(&plan())?), ["made the server certificate of web"]);
    assert_eq!(changed(&before, &dir_of(bed.dir())?), ["web/server/cert.pem"]);
    Ok(())
}

#[test]
fn a_key_of_another_makes_the_certificate_anew() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    fs_err::copy(bed.path("lab/server/key.pem"), bed.path("web/server/key.pem"))?;
    let path = bed.path("web/server/cert.pem");
    let problems = lines(&bed.open()?.check(&plan(), SystemTime::now())?);
    assert_eq!(problems, [format!("{path} does not belong to the key beside it")]);
    let changes = lines(&bed.init(&plan())?);
    assert_eq!(changes, ["made the server certificate of web anew: the old one does not belong to the key beside it"]);
    Ok(())
}

#[test]
fn a_new_ca_takes_all_that_hangs_on_it_along() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let before = dir_of(bed.dir())?;
    fs_err::remove_dir_all(bed.path("server-ca"))?;
    bed.init(&plan())?;
    let all = changed(&before, &dir_of(bed.dir())?);
    let wanted = [
        "lab/clients/admin/ca.pem",
        "lab/server/cert.pem",
        "server-ca/ca-key.pem",
        "server-ca/ca.pem",
        "web/clients/admin/ca.pem",
        "web/server/cert.pem",
    ];
    assert_eq!(all, wanted);
    assert_eq!(bed.open()?.check(&plan(), SystemTime::now())?, []);

    // Another host's CA in the place of one's own.
    let other = Bed::new()?;
    other.init(&plan())?;
    for file in ["ca.pem", "ca-key.pem"] {
        fs_err::copy(other.path("web/client-ca").join(file), bed.path("web/client-ca").join(file))?;
    }
    let problems = lines(&bed.open()?.check(&plan(), SystemTime::now())?);
    assert_eq!(problems, [format!("{} is not signed by the present CA", bed.path("web/clients/admin/cert.pem"))]);
    Ok(())
}

#[test]
fn a_ca_key_may_be_kept_elsewhere_until_it_is_needed() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    fs_err::remove_file(bed.path("server-ca/ca-key.pem"))?;
    assert_eq!(bed.init(&plan())?, []);
    assert_eq!(bed.open()?.check(&plan(), SystemTime::now())?, []);
    let before = dir_of(bed.dir())?;
    let mut plan = plan();
    api(&mut plan, "web").names.push("docker.example.org".to_owned());
    let wanted = format!(
        "the server certificate of web lacks docker.example.org, and the key of its CA, {}, is not there: put it back, or bring it again",
        bed.path("server-ca/ca-key.pem")
    );
    assert_eq!(message(bed.init(&plan)), wanted);
    assert_eq!(changed(&before, &dir_of(bed.dir())?), [""; 0]);
    Ok(())
}

#[test]
fn credentials_are_the_files_and_keys_are_in_key_files_alone() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let pki = bed.open()?;
    let files: BTreeMap<_, _> =
        dir_of(bed.dir())?.into_iter().filter_map(|(path, (_, bytes))| Some((path.into_string(), bytes?))).collect();
    let web = name("web");
    for (id, path) in [
        (CredentialId::ServerCertificate(web.clone()), "web/server/cert.pem"),
        (CredentialId::ServerKey(web.clone()), "web/server/key.pem"),
        (CredentialId::ClientCa(web.clone()), "web/client-ca/ca.pem"),
    ] {
        assert_eq!(Some(&pki.credential(&id)?), files.get(path), "{id}");
    }
    let bundle = pki.client(&web, DEFAULT_CLIENT)?;
    assert_eq!(Some(&bundle.ca), files.get("server-ca/ca.pem"));
    assert_eq!(Some(&bundle.cert), files.get("web/clients/admin/cert.pem"));
    assert_eq!(Some(&*bundle.key), files.get("web/clients/admin/key.pem"));
    assert_eq!(format!("{bundle:?}"), "ClientBundle { .. }");

    let mut keys = 0;
    for (path, bytes) in &files {
        let text = std::str::from_utf8(bytes).context("PEM is text")?;
        let is_key = path.ends_with("key.pem");
        assert_eq!(text.contains("PRIVATE KEY"), is_key, "{path}");
        keys += usize::from(is_key);
    }
    assert_eq!(keys, 7);
    Ok(())
}

/// A line for each certificate that `show` tells.
fn shown(bed: &Bed, now: SystemTime, days: u32) -> Result<Vec<String>> {
    let shown = bed.open()?.show(&plan(), now, days)?;
    let line = |info: &dmhost_pki::CertificateInfo| {
        let facts = info.facts.as_ref().map_or("nothing".to_owned(), |facts| {
            let words: Vec<_> = facts.addresses.iter().map(ToString::to_string).chain(facts.names.clone()).collect();
            format!("{} days, {}", facts.days_left, words.join(" "))
        });
        let problems: String = info.problems.iter().map(|problem| format!("; {problem}")).collect();
        format!("{}: {facts}{problems}", info.kind).replace(bed.dir().as_str(), "PKI")
    };
    Ok(shown.iter().map(line).collect())
}

#[test]
fn show_tells_each_certificate() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let wanted = [
        "server CA: 3649 days, ",
        "client CA of lab: 3649 days, ",
        "server certificate of lab: 824 days, 203.0.113.2 203.0.113.3 2001:db8:20::2 lab.example.net lab.internal",
        "client certificate `admin` of lab: 824 days, ",
        "client CA of web: 3649 days, ",
        "server certificate of web: 824 days, 198.51.100.2 2001:db8:10::2 web.example.org",
        "client certificate `admin` of web: 824 days, ",
    ];
    assert_eq!(shown(&bed, SystemTime::now(), 30)?, wanted);

    // The last day that is enough, and the first that is not.
    let told = |days| -> Result<usize> {
        Ok(shown(&bed, SystemTime::now(), days)?.iter().filter(|line| line.contains("expires on")).count())
    };
    assert_eq!((told(824)?, told(825)?, told(3650)?), (0, 4, 7));
    Ok(())
}

#[test]
fn show_tells_what_is_missing_damaged_or_anothers_in_one_go() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    fs_err::remove_file(bed.path("lab/clients/admin/cert.pem"))?;
    fs_err::remove_file(bed.path("lab/server/key.pem"))?;
    fs_err::copy(bed.path("lab/client-ca/ca.pem"), bed.path("web/clients/admin/ca.pem"))?;
    fs_err::write(bed.path("web/server/cert.pem"), "-----BEGIN")?;
    let lines = shown(&bed, SystemTime::now(), 30)?;
    assert!(lines[2].ends_with("lab.internal; PKI/lab/server/key.pem is missing"), "{lines:?}");
    assert_eq!(lines[3], "client certificate `admin` of lab: nothing; PKI/lab/clients/admin/cert.pem is missing");
    let damaged = "PKI/web/server/cert.pem is no certificate: put it back, or remove it and run `dmhost pki init SPEC`: \
                   it holds no PEM block";
    assert_eq!(lines[5], format!("server certificate of web: nothing; {damaged}"));
    assert_eq!(
        lines[6],
        "client certificate `admin` of web: 824 days, ; PKI/web/clients/admin/ca.pem is not the present server CA"
    );
    Ok(())
}

#[test]
fn git_takes_nothing_of_the_folder() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    assert_eq!(fs_err::read_to_string(bed.path(".gitignore"))?, "*\n");
    // A folder of an earlier version gets one, and what the user wrote into it stays.
    fs_err::remove_file(bed.path(".gitignore"))?;
    assert_eq!(bed.init(&plan())?, [Change::Ignored]);
    fs_err::write(bed.path(".gitignore"), "*\n# kept\n")?;
    assert_eq!(bed.init(&plan())?, []);
    assert_eq!(fs_err::read_to_string(bed.path(".gitignore"))?, "*\n# kept\n");
    Ok(())
}

#[test]
fn the_folder_is_beside_the_spec() {
    assert_eq!(Pki::path_for(Utf8Path::new("hosts/atlas.toml")), "hosts/atlas.pki");
    assert_eq!(Pki::path_for(Utf8Path::new("atlas.v1.toml")), "atlas.v1.pki");
}
