//! Streams, colours, help and completions.

use std::process::{Command, Stdio};

use crate::bed::{Bed, GOOD, ran};

#[test]
fn colours_are_for_those_who_want_them() {
    let bed = Bed::new();
    bed.write("bad.toml", &GOOD.replace("id = 20", "id = 4095"));
    let colours =
        |words: &str, no_color: &str| ran(bed.command(words).env("NO_COLOR", no_color)).out.contains('\u{1b}');
    assert!(!colours("check bad.toml", ""), "a pipe has no colours");
    assert!(colours("check bad.toml --color always", ""));
    assert!(colours("check bad.toml --color always", "1"), "who says always means it");
    assert!(!colours("check bad.toml --color never", ""));
    assert!(!colours("check bad.toml --color always --output json", ""));
}

/// `script` gives the executable a terminal of its own.
#[test]
fn a_terminal_has_colours_unless_no_color_says_otherwise() {
    let bed = Bed::new();
    bed.write("bad.toml", &GOOD.replace("id = 20", "id = 4095"));
    let on_terminal = |no_color: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", concat!(env!("CARGO_BIN_EXE_dmhost"), " check bad.toml"), "/dev/null"]);
        ran(script.current_dir(bed.path()).env("NO_COLOR", no_color).env("TERM", "xterm").stdin(Stdio::null()))
    };
    let (with, without) = (on_terminal(""), on_terminal("1"));
    assert_eq!((with.code, without.code), (1, 1), "{with:?}");
    assert!(with.out.contains("\u{1b}["), "{with:?}");
    assert!(!without.out.contains("\u{1b}["), "{without:?}");
}

#[test]
fn a_reader_that_went_away_changes_no_answer() {
    let bed = Bed::new();
    bed.write("bad.toml", &GOOD.replace("id = 20", "id = 4095"));
    for (words, code) in [("check bad.toml", 1), ("check bad.toml --output json", 1), ("completions bash", 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            bed.command(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(code), ""),
            "{words}"
        );
    }
}

#[test]
fn a_result_that_cannot_be_written_is_the_machines() {
    let bed = Bed::new();
    let full = fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap().into_parts().0;
    let output = bed.command("completions bash").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: cannot write to standard output: No space left on device"), "{said}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let bed = Bed::new();
    for command in [
        "",
        "init",
        "check",
        "blame",
        "graph",
        "fmt",
        "man",
        "render",
        "build",
        "verify",
        "pki",
        "pki init",
        "run",
        "completions",
    ] {
        let ran = bed.run(&format!("{command} --help"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{command}");
        let example = ran.out.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
        assert!(example.contains(&format!("dmhost {command}")), "{command}: {ran:?}");
    }
    let version = bed.run("--version");
    assert_eq!((version.code, version.out), (0, concat!("dmhost ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
}

#[test]
fn shells_take_the_completions() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = bed.run(&format!("completions {shell}"));
        assert_eq!(ran.code, 0);
        for word in ["verify", "without-secrets", "cache-dir"] {
            assert!(ran.out.contains(word), "{shell} does not know {word}");
        }
        bed.write(shell, &ran.out);
    }
    let judged = ran(Command::new("bash").args(["-n", "bash"]).current_dir(bed.path()));
    assert_eq!((judged.code, judged.err.as_str()), (0, ""));
}
