//! `dmhost blame`: from the layout to the spec and back.

use crate::bed::{Bed, GOOD};

#[test]
fn a_line_is_told_with_all_that_made_it() {
    let bed = Bed::new();
    let unit = "/etc/systemd/system/dmhost-web-link.service";
    let all = bed.json(&format!("blame host.toml {unit}"));
    let lines = all["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["text"].as_str().unwrap().contains("type vlan id")).unwrap();
    let ran = bed.run(&format!("blame host.toml {unit}:{}", line["line"]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let (place, told) = ran.out.split_once('\n').unwrap();
    assert_eq!(place, format!("{unit}:{}", line["line"]));
    insta::assert_snapshot!("blame-line", told);
    let cause = &line["causes"][0];
    assert_eq!(cause["path"], "interfaces.web.vlan.id");
    let origin = usize::try_from(cause["line"].as_u64().unwrap()).unwrap();
    assert_eq!(GOOD.lines().nth(origin - 1), Some("vlan = { parent = \"trunk\", id = 10 }"));
}

#[test]
fn a_file_is_annotated() {
    let bed = Bed::new();
    let ran = bed.run("blame host.toml /etc/dmhost/web/link.batch");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("blame-file", ran.out);
}

#[test]
fn a_line_of_the_spec_tells_what_it_made_and_what_it_does_else() {
    let bed = Bed::new();
    let line = |text: &str| GOOD.lines().position(|line| line.starts_with(text)).unwrap() + 1;
    let ask = |text: &str| bed.run(&format!("blame host.toml host.toml:{}", line(text)));
    let ran = ask("gateways = [\"198.51.100.1\"]");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("blame-spec-line", ran.out);
    assert!(ask("kernel = ").out.contains("it decides what the image is made from"));
    assert!(ask("base = ").out.contains("it decides what the image is made from"));
    let zone = Bed::new();
    zone.write("host.toml", &GOOD.replace("[daemons.web]\n", "[daemons.web]\nisolation = \"zone\"\n"));
    let ran = zone.run(&format!("blame host.toml host.toml:{}", line("[daemons.web]") + 1));
    assert!(ran.out.contains("without it all would be the same"), "{ran:?}");
    assert!(ask("version = ").out.contains("there is no other value"));
    assert!(ask("# Two Docker").out.contains("no value stands here"));
    let all = bed.run("blame host.toml ./host.toml").out;
    let row = |text: &str| {
        let row = all.lines().nth(line(text) - 1).unwrap();
        let (made, source) = row.split_once('|').unwrap();
        assert!(source.contains(text), "{row}");
        made.trim().to_owned()
    };
    assert_eq!(all.lines().count(), GOOD.lines().count());
    let rows = ["# Two Docker", "version = ", "[host]", "name = ", "base = ", "kernel = ", "expose = "].map(row);
    assert_eq!(rows, ["", "fixed", "", "2 in 2", "image", "image", "96 in 5"]);
    let json = bed.json(&format!("blame host.toml host.toml:{}", line("kernel = ")));
    assert_eq!(json["origins"], serde_json::json!([{ "path": "host.kernel", "decides": "image" }]));
    assert_eq!(json["files"], serde_json::json!([]));
}

#[test]
fn what_was_rendered_is_known_where_it_stands() {
    let bed = Bed::new();
    assert_eq!(bed.run("render host.toml --out layout --without-secrets").code, 0);
    let there = bed.run("blame host.toml layout/etc/hostname:1");
    assert_eq!((there.code, there.err.as_str()), (0, ""));
    assert_eq!(there.out, bed.run("blame host.toml /etc/hostname:1").out);
    assert!(there.out.contains("host.toml:5  host.name\n"), "{}", there.out);
}

#[test]
fn what_is_not_there_is_usage_and_what_is_wrong_is_a_no() {
    let bed = Bed::new();
    let ask = |place: &str| bed.run(&format!("blame host.toml {place}"));
    ask("/etc/hostname:2").refuses(2, &["/etc/hostname has lines 1 to 1, and no line 2"]);
    ask("/etc/hostname:0").refuses(2, &["no line 0"]);
    ask("/etc/machine-id:1").refuses(2, &["/etc/machine-id is empty"]);
    ask("/etc/dmhost/web/tls/key.pem:7").refuses(2, &["has lines 1 to 1, and no line 7"]);
    ask("host.toml:4000").refuses(2, &["host.toml has lines 1 to ", "no line 4000"]);
    ask("daemon.json:3").refuses(2, &["/etc/dmhost/lab/daemon.json, /etc/dmhost/web/daemon.json"]);
    ask("/etc/nothing").refuses(2, &["the layout of host.toml has no file /etc/nothing", "dmhost render host.toml"]);
    bed.run("blame nothing.toml /etc/hostname").refuses(2, &["cannot read nothing.toml"]);
    bed.write("bad.toml", &GOOD.replace("id = 20", "id = 4095"));
    let bad = bed.run("blame bad.toml /etc/hostname");
    assert_eq!((bad.code, bad.out.as_str()), (1, ""));
    assert!(bad.err.contains("error[vlan-id-out-of-range]"), "{}", bad.err);
}
