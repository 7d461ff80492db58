//! A report of a small proof with one red cell, in each of its forms, read by the programs that are meant to read it.

use std::path::{Path, PathBuf};
use std::process::Command;

use dmhost_layout::plan::HostPlan;
use serde_json::Value;
use tempfile::TempDir;

use super::{Cell, Fact, Report, schema};
use crate::fabric::{Capture, Direction};
use crate::proof::question::{Ports, Question, Verdict, questions};
use crate::proof::timeline::Span;

/// An ARP request behind a tag of VID 20.
const FRAME: &[u8] = b"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x00\x00\x02\x81\x00\x00\x14\x08\x06\
    \x00\x01\x08\x00\x06\x04\x00\x01\x52\x54\x00\x00\x00\x02\xcb\x00\x71\x02\x00\x00\x00\x00\x00\x00\xcb\x00\x71\x05";

fn plan() -> HostPlan {
    let text = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/two-vlans.toml")).unwrap();
    dmhost_layout::plan_from_toml("two-vlans.toml", &text).0.unwrap()
}

/// The whole matrix of a plan as it should be, but for one cell.
fn report(plan: &HostPlan) -> Report {
    let questions = questions(plan, &[], &Ports::of(plan, true));
    let held = |question: Question| {
        let (frames, note) = (vec![1], String::new());
        Cell { observed: question.expected, question, frames, note }
    };
    let mut cells: Vec<Cell> = questions.into_iter().map(held).collect();
    let red = cells.iter_mut().find(|cell| cell.observed == Verdict::Silent).unwrap();
    (red.observed, red.note) = (Verdict::Serves, "an answer with <angle brackets> & more".to_owned());
    let fact = Fact { name: "units".to_owned(), holds: true, found: "every unit is up".to_owned() };
    let span = |name: &str, begun, done| Span { name: name.to_owned(), begun, done };
    let boot = vec![span("[units]", 3_000_000, 9_000_000), span("dmhost-web.service", 5_000_000, 8_000_000)];
    Report { quick: false, cells, facts: vec![fact], frames: 2, probes: 7, boot }
}

/// The report's files.
fn written() -> (TempDir, HostPlan, Report) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("capture.pcapng");
    let mut frames = Capture::create(&capture, &["trunk".to_owned()]).unwrap();
    for direction in [Direction::ToGuest, Direction::FromGuest] {
        frames.write(0, direction, FRAME).unwrap();
    }
    frames.flush().unwrap();
    let plan = plan();
    let report = report(&plan);
    report.write(&plan, &capture, folder.path()).unwrap();
    (folder, plan, report)
}

#[test]
fn the_schema_is_the_one_in_the_docs_and_takes_the_report() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json"));
    let text = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs_err::write(&file, &text).unwrap();
    }
    assert!(fs_err::read_to_string(&file).unwrap() == text, "docs/report.schema.json is not `dmhost schema --report`");
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let report = report(&plan()).to_json().unwrap();
    assert!(validator.is_valid(&report));
    let mut broken = report.clone();
    broken["cells"][0]["frames"] = Value::from("none");
    assert!(!validator.is_valid(&broken));
    assert_eq!(report["holds"], false);
}

#[test]
fn junit_has_a_case_for_each_cell_and_fact_and_one_failure() {
    let (folder, _, report) = written();
    let xml = fs_err::read_to_string(folder.path().join("junit.xml")).unwrap();
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!(read.tests, report.cells.len() + report.facts.len());
    assert_eq!(read.failures, 1);
    assert!(xml.contains("an answer with &lt;angle brackets&gt; &amp; more"), "{xml}");
}

/// Chromium with no profile and no network of its own.
fn chromium(page: &Path, how: &[&str]) -> Vec<u8> {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync", "--window-size=1280,2400"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).args(how);
    let output = command.arg(format!("file://{}", page.display())).output().expect("`chromium` is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a browser makes of the page: each cell is there once, leads to its frames, and the red one can be seen.
#[test]
fn a_browser_shows_every_cell_and_the_frames_behind_it() {
    let (folder, _, report) = written();
    let page = folder.path().join("report.html");
    let dom = String::from_utf8(chromium(&page, &["--dump-dom"])).unwrap();
    let count = |text: &str| dom.matches(text).count();
    assert_eq!(count("<section id=\"cell-"), report.cells.len());
    assert_eq!(count("<td class=\"cell "), report.cells.len());
    for number in 0..report.cells.len() {
        assert_eq!(count(&format!("href=\"#cell-{number}\"")), 1, "cell {number} is not in the heat map");
    }
    assert_eq!(count("<td class=\"cell red\">"), 1);
    assert!(dom.contains("1 not as planned") && dom.contains("an answer with &lt;angle brackets&gt; &amp; more"));
    assert!(dom.contains("802.1Q VID 20") && dom.contains("ARP"), "the frames are not told");
    assert!(dom.contains("<svg") && dom.contains("dmhost-web.service"), "topology or boot is missing");

    let picture = folder.path().join("page.png");
    chromium(&page, &[&format!("--screenshot={}", picture.display())]);
    let pixels = pixels(&picture);
    // The colours of a cell that serves and of a red one are on it.
    for color in [[0x2d, 0xa4, 0x4e], [0xcf, 0x22, 0x2e]] {
        let seen = pixels.chunks_exact(3).filter(|pixel| pixel == &color).count();
        assert!(seen > 50, "only {seen} pixels have the colour {color:02x?}");
    }
}

/// A picture's pixels as red, green and blue.
fn pixels(picture: &Path) -> Vec<u8> {
    let decoder = png::Decoder::new(std::io::BufReader::new(fs_err::File::open(picture).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut buffer).unwrap();
    let (bytes, of) = (&buffer[..info.buffer_size()], info.color_type.samples());
    bytes.chunks_exact(of).flat_map(|pixel| pixel[..3].to_vec()).collect()
}

/// The capture is one for Wireshark's own reader: frames, tags, directions and NICs.
#[test]
fn tshark_reads_the_capture() {
    let (folder, ..) = written();
    let fields =
        ["frame.number", "frame.interface_name", "vlan.id", "arp.dst.proto_ipv4", "frame.packet_flags_direction"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(folder.path().join("capture.pcapng")).args(["-T", "fields"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().expect("`tshark` is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "1\ttrunk\t20\t203.0.113.5\t0x00000001\n2\ttrunk\t20\t203.0.113.5\t0x00000002\n");
}
