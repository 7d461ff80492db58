//! `dmhost client`, judged by the real docker client against a TLS endpoint that asks for certificates.

use std::process::Command;

use crate::bed::{Bed, GOOD, Ran, ran};
use crate::endpoint::Endpoint;

/// `dmhost client host.toml` and more, with a docker client's folder of its own.
fn client(bed: &Bed, words: &str) -> Ran {
    let mut command = bed.command(&format!("client host.toml {words}"));
    ran(command.env("DOCKER_CONFIG", bed.path().join("docker")))
}

/// The docker client, its connections led to an endpoint.
fn docker(bed: &Bed, endpoint: &Endpoint, words: &str) -> Ran {
    let mut command = Command::new("docker");
    for variable in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "NO_PROXY", "no_proxy"] {
        command.env_remove(variable);
    }
    command.args(words.split_whitespace()).current_dir(bed.path());
    ran(command.env("DOCKER_CONFIG", bed.path().join("docker")).env("HTTPS_PROXY", endpoint.proxy()))
}

#[test]
fn docker_uses_the_context_and_reaches_that_daemon_alone() {
    let bed = Bed::new().with_pki();
    let (web, lab) =
        (Endpoint::of(&bed.path().join("host.pki"), "web"), Endpoint::of(&bed.path().join("host.pki"), "lab"));
    let made = client(&bed, "web --context");
    assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
    assert_eq!(made.out, "docker --context atlas-web dials tcp://198.51.100.2:2376\n");

    let version = docker(&bed, &web, "--context atlas-web version --format {{.Server.Version}}");
    assert_eq!((version.code, version.out.as_str()), (0, "26.1.5\n"), "{version:?}");
    assert_eq!(web.dialled(), ["198.51.100.2:2376"]);

    // Another daemon's client is refused; the other daemon's server is not taken for this one either.
    for (name, host) in [("atlas-lab", "lab.internal"), ("lab6", "2001:db8:20::2")] {
        let words = format!("lab --context {name} --host {host}");
        assert_eq!(client(&bed, &words).code, 0);
        let own = docker(&bed, &lab, &format!("--context {name} version --format {{{{.Server.Version}}}}"));
        assert_eq!((own.code, own.out.as_str()), (0, "26.1.5\n"), "{own:?}");
    }
    assert_eq!(lab.dialled(), ["[2001:db8:20::2]:2376", "lab.internal:2376"]);
    let wrong = docker(&bed, &lab, "--context atlas-web version --format {{.Server.Version}}");
    assert_ne!(wrong.code, 0);
    assert!(wrong.err.contains("certificate"), "{wrong:?}");
    // The right address and server, with the certificate of lab's client.
    let tls = "--tlsverify --tlscacert host.pki/web/clients/admin/ca.pem";
    let stolen = format!(
        "{tls} --tlscert host.pki/lab/clients/admin/cert.pem --tlskey host.pki/lab/clients/admin/key.pem -H tcp://198.51.100.2:2376 version"
    );
    let refused = docker(&bed, &web, &stolen);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("tls: "), "{refused:?}");
    let own = docker(&bed, &web, &stolen.replace("pki/lab/", "pki/web/"));
    assert_eq!(own.code, 0, "{own:?}");
}

#[test]
fn docker_lists_inspects_and_takes_the_context_and_dmhost_keeps_it() {
    let bed = Bed::new().with_pki();
    let web = Endpoint::of(&bed.path().join("host.pki"), "web");
    assert_eq!(client(&bed, "web --as ci --context").code, 0);
    let inspected = docker(&bed, &web, "context inspect atlas-web-ci");
    let json: serde_json::Value = serde_json::from_str(&inspected.out).unwrap();
    assert_eq!(json[0]["Endpoints"]["docker"]["Host"], "tcp://198.51.100.2:2376");
    assert_eq!(json[0]["Metadata"]["Description"], "client `ci` of web on atlas, by dmhost");
    assert_eq!(json[0]["TLSMaterial"]["docker"], serde_json::json!(["ca.pem", "cert.pem", "key.pem"]));
    assert!(docker(&bed, &web, "context ls").out.contains("atlas-web-ci"));
    assert_eq!(docker(&bed, &web, "context use atlas-web-ci").code, 0);
    assert_eq!(docker(&bed, &web, "version --format {{.Server.Version}}").out, "26.1.5\n");

    let before = bed.tree("docker");
    assert!(before.iter().all(|(path, (mode, _))| !path.ends_with("key.pem") || *mode == 0o600));
    let again = client(&bed, "web --as ci --context");
    assert!(again.code == 0 && again.err.is_empty() && again.out.ends_with("; nothing changed\n"), "{again:?}");
    assert_eq!(bed.tree("docker"), before);

    // What docker changed of it is still ours, and put right; what is another's is not.
    assert_eq!(docker(&bed, &web, "context update atlas-web-ci --description mine").code, 0);
    assert_eq!(client(&bed, "web --as ci --context").code, 0);
    assert_eq!(bed.tree("docker"), before);
    client(&bed, "lab --context atlas-web-ci").refuses(2, &["is for client \"ci\" of \"web\" on \"atlas\""]);
    assert_eq!(bed.tree("docker"), before);
}

#[test]
fn a_context_or_folder_of_another_is_left_alone() {
    let bed = Bed::new().with_pki();
    let web = Endpoint::of(&bed.path().join("host.pki"), "web");
    assert_eq!(docker(&bed, &web, "context create atlas-web --docker host=tcp://192.0.2.1:2375").code, 0);
    fs_err::create_dir(bed.path().join("theirs")).unwrap();
    fs_err::set_permissions(bed.path().join("theirs"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    bed.write("theirs/key.pem", "mine\n");
    let before = bed.tree(".");
    client(&bed, "web --context")
        .refuses(2, &["`atlas-web` is there and dmhost did not make it", "docker context rm atlas-web"]);
    client(&bed, "web --as new --out theirs").refuses(2, &["theirs holds files that dmhost did not write"]);
    assert_eq!(bed.tree("."), before);
}

#[test]
fn a_folder_serves_a_shell_and_stays_as_it_is() {
    let bed = Bed::new().with_pki();
    let web = Endpoint::of(&bed.path().join("host.pki"), "web");
    let made = client(&bed, "web --as ci --out creds");
    assert_eq!((made.code, made.err.as_str()), (0, "made the client certificate `ci` of web\n"), "{made:?}");
    assert_eq!(fs_err::read_to_string(bed.path().join("creds/env")).unwrap(), made.out);
    let mut shell = Command::new("sh");
    shell.args(["-c", ". ./creds/env && docker version --format '{{.Server.Version}}'"]).current_dir(bed.path());
    shell.env("HTTPS_PROXY", web.proxy()).env("DOCKER_CONFIG", bed.path().join("docker"));
    let version = ran(&mut shell);
    assert_eq!((version.code, version.out.as_str()), (0, "26.1.5\n"), "{version:?}");

    let before = bed.tree(".");
    let modes: Vec<_> =
        ["", "/key.pem", "/cert.pem"].map(|file| before[&bed.path().join(format!("creds{file}").as_str())].0).into();
    assert_eq!(modes, [0o700, 0o600, 0o644]);
    let again = client(&bed, "web --as ci --out creds");
    assert_eq!((again.code, again.out.as_str(), again.err.as_str()), (0, made.out.as_str(), ""));
    client(&bed, "lab --out creds").refuses(2, &["creds holds the client `ci` of web on atlas"]);
    assert_eq!(bed.tree("."), before);

    let openssl = ran(Command::new("openssl")
        .args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            "host.pki/web/client-ca/ca.pem",
            "creds/cert.pem",
        ])
        .current_dir(bed.path()));
    assert_eq!((openssl.code, openssl.out.as_str()), (0, "creds/cert.pem: OK\n"), "{openssl:?}");
    let shown = bed.run("pki show host.toml");
    assert!(shown.code == 0 && shown.out.contains("client ci "), "{shown:?}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_written() {
    let bed = Bed::new();
    client(&bed, "web --context").refuses(2, &["there is no PKI folder host.pki", "`dmhost pki init SPEC`"]);
    bed.write("host.toml", &GOOD.replace("api = { names = [\"lab.example.net\", \"lab.internal\"] }", ""));
    let bed = bed.with_pki();
    let before = bed.tree(".");
    client(&bed, "lab --context").refuses(2, &["lab has no API over TCP, so it has no clients: give it `api = {}`"]);
    client(&bed, "wep --context").refuses(2, &["the spec has no daemon `wep`; it has lab, web"]);
    client(&bed, "web --as ../x --context").refuses(2, &["`../x` is no client's name"]);
    client(&bed, "web --context --host 192.0.2.1")
        .refuses(2, &["not for `192.0.2.1`; it is for 198.51.100.2, 2001:db8:10::2, web.example.org"]);
    client(&bed, "web --as new --context default").refuses(2, &["docker takes no context `default`"]);
    client(&bed, "web --out nowhere/creds").refuses(3, &["cannot make the folder nowhere/creds"]);
    client(&bed, "web --as new --out host.toml").refuses(2, &["host.toml should be a folder"]);
    for words in ["web", "web --context --out creds", "--context"] {
        assert_eq!(client(&bed, words).code, 2, "{words}");
    }
    let mut homeless = bed.command("client host.toml web --context");
    ran(homeless.env_remove("HOME").env_remove("DOCKER_CONFIG")).refuses(2, &["neither DOCKER_CONFIG nor HOME is set"]);
    assert_eq!(bed.tree("."), before);
    fs_err::remove_file(bed.path().join("host.pki/web/client-ca/ca-key.pem")).unwrap();
    let before = bed.tree(".");
    client(&bed, "web --as ci --context")
        .refuses(2, &["the key of its CA, host.pki/web/client-ca/ca-key.pem, is not there"]);
    assert_eq!(bed.tree("."), before);
}
