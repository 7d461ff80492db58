//! The certificates judged by `openssl verify`, as a client and a server would.

mod bed;

use anyhow::Result;
use bed::{Bed, dir_of, plan};
use camino::Utf8Path;

/// `openssl verify` with the CA of one file for a certificate of another; gives what it printed when it refused.
fn verify(ca: &Utf8Path, certificate: &Utf8Path, flags: &[&str]) -> Result<Result<(), String>> {
    let output = std::process::Command::new("openssl")
        .args(["verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", ca.as_str()])
        .args(flags)
        .arg(certificate)
        .output()?;
    let text = String::from_utf8(output.stderr)?;
    Ok(if output.status.success() { Ok(()) } else { Err(text) })
}

#[test]
fn a_server_certificate_serves_all_its_addresses_and_names_and_no_other() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let (ca, cert) = (bed.path("server-ca/ca.pem"), bed.path("lab/server/cert.pem"));
    for flag in [
        ["-verify_ip", "203.0.113.2"],
        ["-verify_ip", "203.0.113.3"],
        ["-verify_ip", "2001:db8:20::2"],
        ["-verify_hostname", "lab.example.net"],
        ["-verify_hostname", "lab.internal"],
    ] {
        let verdict = verify(&ca, &cert, &[&["-purpose", "sslserver"][..], &flag[..]].concat())?;
        assert_eq!(verdict, Ok(()), "{flag:?}");
    }
    for (flag, reason) in [
        (["-verify_ip", "198.51.100.2"], "IP address mismatch"),
        (["-verify_hostname", "web.example.org"], "hostname mismatch"),
        (["-verify_hostname", "lab"], "hostname mismatch"), // the common name is for humans
    ] {
        let verdict = verify(&ca, &cert, &[&["-purpose", "sslserver"][..], &flag[..]].concat())?;
        assert!(verdict.as_ref().is_err_and(|text| text.contains(reason)), "{flag:?}: {verdict:?}");
    }
    let as_client = verify(&ca, &cert, &["-purpose", "sslclient"])?;
    assert!(as_client.as_ref().is_err_and(|text| text.contains("unsuitable certificate purpose")), "{as_client:?}");
    Ok(())
}

#[test]
fn a_client_certificate_is_known_to_its_own_daemon_alone() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let cert = bed.path("web/clients/admin/cert.pem");
    assert_eq!(verify(&bed.path("web/client-ca/ca.pem"), &cert, &["-purpose", "sslclient"])?, Ok(()));
    for other in ["lab/client-ca/ca.pem", "server-ca/ca.pem"] {
        let verdict = verify(&bed.path(other), &cert, &["-purpose", "sslclient"])?;
        assert!(
            verdict.as_ref().is_err_and(|text| text.contains("unable to get local issuer")),
            "{other}: {verdict:?}"
        );
    }
    let as_server = verify(&bed.path("web/client-ca/ca.pem"), &cert, &["-purpose", "sslserver"])?;
    assert!(as_server.as_ref().is_err_and(|text| text.contains("unsuitable certificate purpose")), "{as_server:?}");
    Ok(())
}

#[test]
fn what_they_are_is_what_openssl_prints() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let text = |path: &str| -> Result<String> {
        let path = bed.path(path);
        let output =
            std::process::Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(path).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let leaf = text("web/server/cert.pem")?;
    for part in ["CN = web", "prime256v1", "TLS Web Server Authentication", "CA:FALSE", "Digital Signature"] {
        assert!(leaf.contains(part), "{part} is not in\n{leaf}");
    }
    let ca = text("web/client-ca/ca.pem")?;
    for part in ["CN = dmhost atlas web client CA", "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"] {
        assert!(ca.contains(part), "{part} is not in\n{ca}");
    }
    Ok(())
}

#[test]
fn serials_differ_and_are_long() -> Result<()> {
    let bed = Bed::new()?;
    bed.init(&plan())?;
    let mut serials = std::collections::BTreeSet::new();
    let certificates: Vec<_> = dir_of(bed.dir())?
        .into_keys()
        .filter(|path| path.ends_with("cert.pem") || path.ends_with("client-ca/ca.pem"))
        .collect();
    for path in &certificates {
        let path = bed.path(path.as_str());
        let output =
            std::process::Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(path).output()?;
        let serial = String::from_utf8(output.stdout)?.trim().trim_start_matches("serial=").to_owned();
        // 128 random bits: one in 2^32 has fewer than 24 digits.
        assert!((24..=32).contains(&serial.len()), "{serial}");
        serials.insert(serial);
    }
    assert_eq!(certificates.len(), 6, "{certificates:?}");
    assert_eq!(serials.len(), 6);
    Ok(())
}
