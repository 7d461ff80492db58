//! A proof that cannot fail proves nothing: two sabotages of the layout, of daemons that have nothing to do with each other, are built into
//! an image that is given to the same command as always. Each must be told by a red cell that names vantage, target and frame; exit code 1.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::{Content, HostPlan, Layout, plan_from_toml, render};
use dmhost_pki::Pki;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;
use vm_tests::bed::image_of;

/// A third daemon, that no sabotage of the other two touches.
const SPARE: &str = r#"
[interfaces.spare]
vlan = { parent = "trunk", id = 30 }
addresses = ["198.18.30.2/24"]

[daemons.spare]
interfaces = ["spare"]
api = {}
"#;

/// The example, with a third daemon and keys of its own, in a folder that goes with it.
struct Example {
    plan: HostPlan,
    pki: Pki,
    spec: Utf8PathBuf,
    folder: TempDir,
}

impl Example {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Utf8Path::from_path(folder.path()).context("the temporary folder's name is not UTF-8")?;
        let spec = path.join("two-vlans.toml");
        let text = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/two-vlans.toml"))? + SPARE;
        fs_err::write(&spec, &text)?;
        let (plan, _) = plan_from_toml(spec.as_str(), &text);
        let plan = plan.context("the example plans cleanly")?;
        let keys = Pki::path_for(&spec);
        dmhost_pki::init(&plan, &keys, SystemTime::now())?;
        Ok(Self { plan, pki: Pki::open(&keys)?, spec, folder })
    }

    /// Builds the image of a layout that was tampered with, and asks `dmhost verify` of it.
    fn verify(&self, sabotage: impl FnOnce(&mut Layout), more: &[&str]) -> Result<(Output, Value)> {
        let mut layout = render(&self.plan);
        sabotage(&mut layout);
        let image = self.spec.with_file_name("sabotaged.raw");
        let report = self.spec.with_file_name("report");
        image_of(&self.plan, &layout, &self.pki, &image)?;
        let output = Command::new(env!("CARGO_BIN_EXE_dmhost"))
            .current_dir(self.folder.path())
            .args(["verify", self.spec.as_str(), "--image", image.as_str(), "--report", report.as_str(), "--quick"])
            .args(more)
            .output()?;
        let json = fs_err::read(report.join("report.json"))
            .with_context(|| format!("no report: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((output, serde_json::from_slice(&json)?))
    }
}

/// Replaces text that must be there, in a file that must be there: a sabotage that misses would prove nothing.
fn replace(layout: &mut Layout, path: &str, from: &str, to: &str) {
    let path = Utf8Path::new(path);
    let mut entry = layout.get(path).cloned().unwrap_or_else(|| panic!("the layout has no {path}"));
    let Content::Text(text) = &mut entry.content else { panic!("{path} is no text") };
    assert!(text.contains(from), "{path} does not contain {from:?}");
    *text = text.replace(from, to);
    layout.insert(path, entry);
}

/// The command said no, and printed this cell: vantage, target, what was asked, what was expected and seen, and a frame.
fn told(output: &Output, report: &Value, vantage: &str, target: &str, ask: &str, verdicts: [&str; 2]) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "exit {:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let [expected, observed] = verdicts;
    let head = format!("FAIL {vantage} -> {target} {ask}\n    expected {expected}, observed {observed}; frame ");
    let rest = text.split_once(&head).with_context(|| format!("no such cell: {head:?} in\n{text}"))?.1;
    ensure!(
        rest.starts_with(|first: char| first.is_ascii_digit()),
        "no frame is named: {head}{}",
        rest.lines().next().unwrap_or_default()
    );
    ensure!(report["holds"] == false, "the report says that it holds");
    Ok(())
}

#[test]
fn each_sabotage_is_told_by_its_cell() -> Result<()> {
    let example = Example::new()?;
    let (output, report) = example.verify(
        |layout| {
            replace(layout, "/etc/systemd/system/dmhost-web-link.service", "type vlan id 10", "type vlan id 20");
            replace(layout, "/etc/systemd/system/dmhost-lab-link.service", "type vlan id 20", "type vlan id 10");
            replace(layout, "/etc/dmhost/spare/daemon.json", "  \"tlsverify\": true,\n", "");
        },
        &["--keep", "capsule"],
    )?;
    told(&output, &report, "vlan:web", "web 198.51.100.2", "2376/tcp API", ["serves", "silent"])
        .context("the two VIDs swapped")?;
    told(&output, &report, "vlan:lab", "web 198.51.100.2", "who-has", ["silent", "serves"])
        .context("the two VIDs swapped")?;
    told(&output, &report, "vlan:spare", "spare 198.18.30.2", "2376/tcp API without TLS", ["denies", "serves"])
        .context("`tlsverify` removed")?;
    // And by no other: nobody else reaches that daemon, whatever the two VIDs do.
    let red: Vec<&Value> = report["cells"]
        .as_array()
        .context("the report has no cells")?
        .iter()
        .filter(|cell| cell["target"] == "spare" && cell["expected"] != cell["observed"])
        .collect();
    let of_api = |cell: &&Value| {
        cell["vantage"] == "vlan:spare" && cell["ask"].as_str().is_some_and(|ask| ask.starts_with("2376/tcp API"))
    };
    ensure!(!red.is_empty() && red.iter().all(of_api), "of the spare daemon is red: {red:#?}");
    opens(example.folder.path()).context("the capsule of it")
}

/// A capsule of the host as it was is there, its user's alone; whoever opens it is in that host, with what ran there, and leaves it as it
/// was.
fn opens(folder: &Path) -> Result<()> {
    let capsule = folder.join("capsule");
    let files = || -> Result<BTreeMap<OsString, (u64, SystemTime)>> {
        let of = |entry: std::io::Result<fs_err::DirEntry>| {
            let entry = entry?;
            let found = entry.metadata()?;
            anyhow::Ok((entry.file_name(), (found.len(), found.modified()?)))
        };
        fs_err::read_dir(&capsule)?.map(of).collect()
    };
    let kept = files()?;
    for name in [
        "capsule.json",
        "capture.pcapng",
        "console.log",
        "disk.qcow2",
        "host.toml",
        "image.raw",
        "journal.txt",
        "memory",
    ] {
        ensure!(kept.get(OsStr::new(name)).is_some_and(|(bytes, _)| *bytes > 0), "no {name} in {kept:?}");
    }
    ensure!(fs_err::metadata(&capsule)?.permissions().mode() & 0o777 == 0o700, "others may look into it");
    let session = Session::begin(folder, &["open", "capsule"])?;
    session.wait_for("# ")?;
    session.say("docker -H unix:///run/dmhost/spare/docker.sock ps --format 'ran: {{.Names}}'; grep -c tlsverify /etc/dmhost/spare/daemon.json")?;
    session.wait_for("ran: dmhost-probe")?;
    session.say("poweroff")?;
    let (status, said) = session.end()?;
    ensure!(status.success() && said.lines().any(|line| line.trim() == "0"), "{status}: {said}");
    ensure!(files()? == kept, "the capsule is not as it was");
    Ok(())
}

/// A run of the executable at a terminal.
struct Session {
    child: Child,
    terminal: File,
    said: Receiver<Vec<u8>>,
    heard: RefCell<String>,
}

/// Without a word for so long, a session is stuck.
const SILENCE: Duration = Duration::from_secs(180);

impl Session {
    fn begin(folder: &Path, words: &[&str]) -> Result<Self> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?;
        let other = || File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        let child = Command::new(env!("CARGO_BIN_EXE_dmhost"))
            .current_dir(folder)
            .args(words)
            .stdin(other()?)
            .stdout(other()?)
            .stderr(other()?)
            .spawn()?;
        let terminal = File::from(terminal);
        let (mut reader, (sender, said)) = (terminal.try_clone()?, channel());
        // It ends with the other side of the terminal.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, terminal, said, heard: RefCell::default() })
    }

    fn wait_for(&self, words: &str) -> Result<()> {
        let from = self.heard.borrow().len();
        while !self.heard.borrow()[from..].contains(words) {
            let bytes = self
                .said
                .recv_timeout(SILENCE)
                .with_context(|| format!("no {words:?} in {:?}", self.heard.borrow()))?;
            self.heard.borrow_mut().push_str(&String::from_utf8_lossy(&bytes));
        }
        Ok(())
    }

    fn say(&self, line: &str) -> Result<()> {
        Ok(writeln!(&self.terminal, "{line}")?)
    }

    fn end(mut self) -> Result<(ExitStatus, String)> {
        let status = self.child.wait()?;
        let mut heard = self.heard.into_inner();
        for bytes in self.said.try_iter() {
            heard.push_str(&String::from_utf8_lossy(&bytes));
        }
        Ok((status, heard))
    }
}
