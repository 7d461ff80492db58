//! What is told of a build while it goes on: lines that move on a terminal, plain ones in a pipe, events for programs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::archive::{Server, pin};
use crate::bed::{Bed, ran};

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// With the user's own cache, whose base the first of all tests makes.
#[test]
fn a_program_gets_an_event_in_each_line_and_one_result() {
    let bed = Bed::new().with_pki();
    let mut command = bed.command("build host.toml --out host.raw --output json");
    let ran = ran(command.env_remove("DMHOST_CACHE_DIR"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let result: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(result["image"], bed.path().join("host.raw").to_str().unwrap());
    let events = events(&ran.err);
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    let names = |events: Vec<&Value>| events.iter().map(|event| event["step"].clone()).collect::<Vec<_>>();
    let steps: Vec<_> = result["steps"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert_eq!((names(of("step-started")).len(), names(of("step-finished"))), (6, steps));
    for (index, event) in of("step-finished").iter().enumerate() {
        assert_eq!((&event["index"], &event["count"]), (&index.into(), &6.into()), "{event}");
        assert!(event["seconds"].is_f64() && event["cached"].is_boolean(), "{event}");
    }
    let read_back = of("step-finished")[4];
    assert!(read_back["bytes"].as_u64() > Some(300 << 20), "{read_back}");
    let said = of("message");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["text"].as_str().unwrap().starts_with("host.lock pins "), "{said:?}");
}

#[test]
fn a_failure_is_an_event_too() {
    let bed = Bed::new().with_pki();
    bed.write("host.raw", "mine");
    let ran = bed.run("build host.toml --out host.raw --output json");
    let message = "host.raw is there already; say --force to overwrite it";
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(events(&ran.err), [serde_json::json!({ "event": "error", "message": message, "exit_code": 2 })]);
}

/// The server lets go when bytes have been told, and not before: without them this test does not end.
#[test]
fn a_long_download_tells_its_bytes() {
    let bed = Bed::new().with_pki();
    let server = Server::new();
    let bytes = vec![7; 8 << 20];
    let half = server.put_half(&pin(&bed, "large", &bytes), bytes);
    let words = format!("build host.toml --out host.raw --output json --mirror {}", server.uri);
    let mut child = bed.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| events(&line.unwrap()).remove(0));
    let told = lines.find(|event| event["event"] == "bytes" && event["done"].as_u64() > Some(0)).unwrap();
    assert_eq!((&told["total"], &told["index"]), (&(8 << 20).into(), &1.into()), "{told}");
    drop(half);
    let last = lines.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"error".into(), &3.into()), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// `script` gives the executable a terminal of its own.
#[test]
fn on_a_terminal_a_line_moves_and_one_stays_per_step() {
    let bed = Bed::new().with_pki();
    let on_terminal = |no_color: &str, term: &str| {
        let mut script = Command::new("script");
        let words = concat!(env!("CARGO_BIN_EXE_dmhost"), " build host.toml --out host.raw --force");
        script.args(["-qec", words, "/dev/null"]).current_dir(bed.path()).stdin(Stdio::null());
        let ran = ran(script.env("NO_COLOR", no_color).env("TERM", term).env_remove("DMHOST_CACHE_DIR"));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out
    };
    let coloured = |text: &str| ["\u{1b}[2m", "\u{1b}[3"].iter().any(|code| text.contains(code));
    let moving = on_terminal("", "xterm");
    assert!(moving.contains("4/6 disk with boot loader") && coloured(&moving), "{moving:?}");
    let plain = on_terminal("1", "xterm");
    assert!(plain.contains("4/6 disk with boot loader") && !coloured(&plain), "{plain:?}");
    let dumb = on_terminal("", "dumb");
    assert!(!dumb.contains('\u{1b}') && !dumb.contains("4/6"), "{dumb:?}");
    for said in [moving, plain, dumb] {
        let lines = said.split(['\r', '\n']).map(|line| line.trim_start_matches("\u{1b}[2K"));
        let lines: Vec<_> = lines.filter(|line| line.ends_with(" s)")).collect();
        assert_eq!(lines.len(), 6, "{said:?}");
        assert!(lines[4].starts_with("read back: ") && lines[4].contains(" MiB ("), "{lines:?}");
    }
}
