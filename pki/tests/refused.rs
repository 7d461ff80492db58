//! A folder that is damaged, open to others or not whole: what is wrong is named, with what to do, and nothing is changed.

mod bed;

use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use anyhow::Result;
use bed::{Bed, changed, dir_of, message, name, plan};
use camino::Utf8Path;
use dmhost_layout::CredentialId;

#[test]
fn garbage_is_named_and_kept() -> Result<()> {
    for (file, bytes, what, why) in [
        ("server-ca/ca.pem", &b""[..], "certificate", "it holds no PEM block"),
        ("web/server/cert.pem", b"-----BEGIN CERTIFICATE-----\nMIIB", "certificate", "it holds no PEM block"),
        (
            "lab/server/cert.pem",
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "certificate",
            "its certificate is damaged",
        ),
        ("lab/client-ca/ca-key.pem", b"\xff\xfe", "key", "it is not text"),
    ] {
        let bed = Bed::new()?;
        bed.init(&plan())?;
        let path = bed.path(file);
        fs_err::write(&path, bytes)?;
        let before = dir_of(bed.dir())?;
        let text = message(bed.init(&plan()));
        let wanted = format!("{path} is no {what}: put it back, or remove it and run `dmhost pki init SPEC`: {why}");
        assert!(text.starts_with(&wanted), "{text}");
        assert_eq!(changed(&before, &dir_of(bed.dir())?), [""; 0]);
        if what == "certificate" {
            assert_eq!(message(bed.open()?.check(&plan(), SystemTime::now())), text);
        }
    }
    Ok(())
}

#[test]
fn a_ca_with_the_key_of_another_is_refused() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    fs_err::copy(bed.path("lab/client-ca/ca-key.pem"), bed.path("web/client-ca/ca-key.pem"))?;
    let (ca, key) = (bed.path("web/client-ca/ca.pem"), bed.path("web/client-ca/ca-key.pem"));
    let wanted = format!("{ca} does not belong to {key}: put the right one back, or remove both");
    assert_eq!(message(bed.init(&plan())), wanted);
    Ok(())
}

#[test]
fn what_others_may_read_is_refused() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let dir = bed.dir();
    let chmod = |path: &Utf8Path, mode| fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode));
    chmod(dir, 0o755)?;
    let wanted = format!(
        "the PKI folder {dir} has mode 0755, so others on this machine may have read its keys: \
         `chmod 700 {dir}` if you trust them, else remove it and make new certificates"
    );
    assert_eq!(message(bed.open()), wanted);
    assert_eq!(message(bed.init(&plan())), wanted);
    chmod(dir, 0o700)?;
    let key = bed.path("web/server/key.pem");
    chmod(&key, 0o640)?;
    let wanted = format!("the key {key} has mode 0640: `chmod 600 {key}` if nobody else has read it");
    assert_eq!(message(bed.open()?.credential(&CredentialId::ServerKey(name("web")))), wanted);
    assert_eq!(message(bed.init(&plan())), wanted);
    Ok(())
}

#[test]
fn what_is_missing_names_the_file_and_the_command() -> Result<()> {
    let bed = Bed::new()?;
    let wanted = format!("there is no PKI folder {}: make it with `dmhost pki init SPEC`", bed.dir());
    assert_eq!(message(bed.open()), wanted);
    bed.init(&plan())?;
    let pki = bed.open()?;
    for (id, path) in [
        (CredentialId::ServerCertificate(name("new")), "new/server/cert.pem"),
        (CredentialId::ServerKey(name("new")), "new/server/key.pem"),
        (CredentialId::ClientCa(name("new")), "new/client-ca/ca.pem"),
    ] {
        let wanted = format!("{} is missing: make it with `dmhost pki init SPEC`", bed.path(path));
        assert_eq!(message(pki.credential(&id)), wanted);
    }
    let wanted = format!("{} is missing: make it with `dmhost pki init SPEC`", bed.path("web/clients/ci/ca.pem"));
    assert_eq!(message(pki.client(&name("web"), "ci")), wanted);
    assert!(message(pki.client(&name("web"), "../server")).starts_with("`../server` is no client's name"));
    Ok(())
}
