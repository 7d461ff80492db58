//! `dmhost pki init` with CAs that the user brings, made and judged by openssl.

use std::process::Command;

use crate::bed::{Bed, ran};

/// Files that openssl makes: a root in PKCS #1, below it a CA in SEC 1, a CA of RSA in PKCS #8 that signs itself.
fn bed() -> Bed {
    let bed = Bed::new();
    let script = "
        umask 077
        openssl genrsa -traditional -out root.key 2048
        openssl req -x509 -new -key root.key -subj '/O=Corp/CN=Root' -days 900 -out root.pem
        openssl ecparam -name secp384r1 -genkey -out ca.key
        openssl req -new -key ca.key -subj '/O=Corp/CN=Servers' -out ca.csr
        printf 'basicConstraints=critical,CA:TRUE,pathlen:0\\nkeyUsage=keyCertSign\\n' > ext
        openssl x509 -req -in ca.csr -CA root.pem -CAkey root.key -CAcreateserial -days 800 -extfile ext -out ca.pem
        cat ca.pem root.pem > chain.pem
        openssl req -x509 -newkey rsa:2048 -nodes -keyout team.key -subj '/CN=Team' -days 800 -out team.pem
        openssl pkey -in team.key -aes256 -passout pass:x -out locked.key
        openssl rsa -traditional -in team.key -aes256 -passout pass:x -out locked1.key
        openssl req -x509 -key team.key -subj '/CN=short' -days 5 -out short.pem
        openssl req -x509 -key team.key -subj '/CN=leaf' -days 800 -addext basicConstraints=critical,CA:FALSE -out leaf.pem
    ";
    let made = ran(Command::new("sh").args(["-ec", script]).current_dir(bed.path()));
    assert_eq!(made.code, 0, "{made:?}");
    bed
}

/// Not `-x509_strict`: it refuses a CA without key usage, which openssl itself made just now and many have.
fn verify(bed: &Bed, words: &str) -> String {
    let words = words.split_whitespace();
    let ran = ran(Command::new("openssl").args(["verify"]).args(words).current_dir(bed.path()));
    ran.out + &ran.err
}

#[test]
fn a_server_ca_below_a_root_signs_and_its_key_stays_where_it_is() {
    let bed = bed();
    let words = "pki init host.toml --server-ca chain.pem,ca.key --client-ca web=team.pem,team.key";
    let made = bed.run(words);
    assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
    assert!(
        made.out.contains("took the server CA from chain.pem; its key stays at ca.key and is not copied\n"),
        "{made:?}"
    );
    let tree = bed.tree("host.pki");
    let kept: Vec<_> = tree.keys().filter(|path| path.ends_with("ca-key.pem")).collect();
    assert_eq!(kept, [&bed.path().join("host.pki/lab/client-ca/ca-key.pem")]);
    let oks = [
        "-purpose sslserver -verify_ip 198.51.100.2 -CAfile root.pem -untrusted host.pki/web/server/cert.pem host.pki/web/server/cert.pem",
        "-purpose sslserver -verify_hostname lab.internal -CAfile host.pki/lab/clients/admin/ca.pem host.pki/lab/server/cert.pem",
        "-purpose sslclient -CAfile team.pem host.pki/web/clients/admin/cert.pem",
    ];
    for words in oks {
        assert!(verify(&bed, words).ends_with(".pem: OK\n"), "{words}: {}", verify(&bed, words));
    }
    let again = bed.run("pki init host.toml");
    assert_eq!(again.out, "host.pki: everything is there and valid; nothing changed\n", "{again:?}");
    assert_eq!(bed.run(words).out, again.out);
    assert_eq!(bed.tree("host.pki"), tree);
    let shown = bed.run("pki show host.toml");
    assert_eq!(shown.code, 0, "{shown:?}");

    // A client more needs the key that was not copied.
    let client = "client host.toml web --as ci --out creds";
    bed.run(client).refuses(2, &["the key of its CA, host.pki/web/client-ca/ca-key.pem, is not there"]);
    assert_eq!(bed.run(&format!("{client} --ca-key team.key")).code, 0);
    assert!(verify(&bed, "-purpose sslclient -CAfile team.pem creds/cert.pem").ends_with("OK\n"));
}

#[test]
fn a_client_ca_without_its_key_has_no_clients_of_ours() {
    let bed = bed();
    let made = bed.run("pki init host.toml --client-ca web=team.pem");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.out.contains("no client certificates for web: the key of its client CA is kept elsewhere\n"),
        "{made:?}"
    );
    assert!(!bed.path().join("host.pki/web/clients").exists());
    assert_eq!(bed.run("pki show host.toml").code, 0);
    assert_eq!(bed.run("render host.toml --out layout").code, 0);
}

#[test]
fn what_is_brought_wrongly_is_refused_and_nothing_is_written() {
    let bed = bed();
    let before = bed.tree(".");
    for (words, why) in [
        ("--server-ca team.pem", "a server CA needs its key"),
        ("--server-ca ca.pem,ca.key", "is not complete: the certificate of `O=Corp, CN=Root` is missing at its end"),
        ("--server-ca chain.pem,root.key", "root.key is not the key of chain.pem"),
        ("--server-ca leaf.pem,team.key", "`CN=leaf` is no CA"),
        ("--server-ca short.pem,team.key", "too soon to sign with"),
        ("--client-ca web=team.pem,locked.key", "locked.key is no key that dmhost can use: it is encrypted"),
        ("--client-ca web=team.pem,locked1.key", "locked1.key is no key that dmhost can use: it is encrypted"),
        ("--client-ca web=nowhere.pem", "nowhere.pem"),
        ("--client-ca new=team.pem", "a client CA for `new`: the spec has no such daemon with an API"),
        ("--client-ca web=team.pem --client-ca web=ca.pem", "--client-ca is said twice for web"),
        ("--client-ca web=team.pem --client-ca lab=team.pem", "the client CAs of lab and web are the same"),
        ("--client-ca web=ca.pem --client-ca lab=root.pem", "the client CAs of lab and web are one above the other"),
    ] {
        let code = if why == "nowhere.pem" { 3 } else { 2 };
        bed.run(&format!("pki init host.toml {words}")).refuses(code, &[why]);
    }
    let both = bed.run("pki init host.toml --server-ca leaf.pem,team.key --client-ca web=short.pem");
    assert!(both.code == 2 && both.err.contains("is no CA") && both.err.contains("and: short.pem"), "{both:?}");
    assert_eq!(bed.tree("."), before);

    let bed = bed.with_pki();
    let before = bed.tree(".");
    bed.run("pki init host.toml --server-ca chain.pem,ca.key")
        .refuses(2, &["host.pki/server-ca/ca.pem is another CA, and none is ever overwritten"]);
    assert_eq!(bed.tree("."), before);
}
