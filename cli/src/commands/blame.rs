//! `dmhost blame`: from a line of the layout to the lines of the spec that made it, and back.

use anyhow::anyhow;
use camino::{Utf8Path, Utf8PathBuf};
use dmhost_layout::Layout;
use dmhost_layout::blame::{Blame, Cause, Effect, File, Line, Origin, Scope};
use serde_json::{Value, json};

use super::read_spec;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// What is asked about.
enum Place {
    File(Utf8PathBuf),
    Line(Utf8PathBuf, usize),
    Spec,
    SpecLine(usize),
}

pub(super) fn run(spec: &Utf8Path, place: &str, terminal: &Terminal) -> Result<(), Failure> {
    let bytes = read_spec(spec)?;
    let (plan, diagnostics) = dmhost_layout::plan_from_bytes(spec.as_str(), &bytes);
    terminal.say(diagnostics.render(terminal.color_err()));
    let plan = plan.ok_or(Failure::No)?;
    // It has a plan, so it is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let place = read_place(spec, &text, place, &dmhost_layout::render(&plan))?;
    let scope = match &place {
        Place::File(path) => Scope::File(path),
        Place::Line(path, line) => Scope::Line(path, *line),
        Place::Spec => Scope::Everything,
        Place::SpecLine(line) => Scope::Spec(*line),
    };
    let Some(blame) = dmhost_layout::blame::blame(spec.as_str(), &text, scope).0 else {
        return Err(Failure::No);
    };
    let view = View { spec, text: &text, blame: &blame };
    let file = |path: &Utf8Path| blame.file(path).ok_or_else(|| outside(spec, path.as_str(), &Layout::new()));
    let (shown, json) = match &place {
        Place::File(path) => view.file(file(path)?),
        Place::Line(path, line) => view.line(file(path)?, *line)?,
        Place::Spec => view.spec(),
        Place::SpecLine(line) => view.spec_line(*line),
    };
    terminal.print(if terminal.json() { format!("{json:#}") } else { shown })
}

/// A file of the layout, also under the folder it was rendered to, or the spec; with or without a line.
fn read_place(spec: &Utf8Path, text: &str, place: &str, layout: &Layout) -> Result<Place, Failure> {
    let found = |path: &str| {
        let mut rest = path.trim_start_matches('/');
        loop {
            let candidate = Utf8PathBuf::from(format!("/{rest}"));
            if layout.get(&candidate).is_some() {
                return Some(candidate);
            }
            rest = rest.split_once('/')?.1;
        }
    };
    let is_spec = |path: &str| path == spec || same_file(spec, path);
    if is_spec(place) {
        return Ok(Place::Spec);
    }
    if let Some(path) = found(place) {
        return Ok(Place::File(path));
    }
    let (path, line) = match place.rsplit_once(':') {
        Some((path, line)) if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) => (path, line),
        Some(_) | None => return Err(outside(spec, place, layout)),
    };
    let within = |lines: usize, what: &str| match line.parse::<usize>() {
        Ok(line) if (1..=lines).contains(&line) => Ok(line),
        Ok(_) | Err(_) if lines == 0 => Err(Failure::Usage(anyhow!("{what} is empty, so it has no line {line}"))),
        Ok(_) | Err(_) => Err(Failure::Usage(anyhow!("{what} has lines 1 to {lines}, and no line {line}"))),
    };
    if is_spec(path) {
        return Ok(Place::SpecLine(within(text.lines().count(), spec.as_str())?));
    }
    let path = found(path).ok_or_else(|| outside(spec, path, layout))?;
    // What is no text is shown as lines too; how many, the blame knows.
    match layout.text_at(&path).map(|text| text.lines().count()) {
        Some(lines) => within(lines, path.as_str()).map(|line| Place::Line(path, line)),
        None => within(usize::MAX, path.as_str()).map(|line| Place::Line(path, line)),
    }
}

fn same_file(one: &Utf8Path, other: &str) -> bool {
    match (one.canonicalize(), Utf8Path::new(other).canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        (Ok(_) | Err(_), _) => false,
    }
}

/// No such file in the layout; with the same name there may be others.
fn outside(spec: &Utf8Path, path: &str, layout: &Layout) -> Failure {
    const LISTED: usize = 8;
    let name = Utf8Path::new(path.trim_end_matches(|c: char| c == ':' || c.is_ascii_digit())).file_name();
    let alike = layout.iter().map(|(path, _)| path).filter(|path| path.file_name() == name);
    let alike: Vec<&str> = alike.map(Utf8Path::as_str).take(LISTED).collect();
    let help = if alike.is_empty() {
        format!("`dmhost render {spec} --out DIR --without-secrets` writes them all")
    } else {
        format!("there is {}", alike.join(", "))
    };
    Failure::Usage(anyhow!("the layout of {spec} has no file {path}; {help}"))
}

/// A blame on its way to the reader: as text and as JSON.
struct View<'v> {
    spec: &'v Utf8Path,
    text: &'v str,
    blame: &'v Blame,
}

impl View<'_> {
    /// Every line of a file with the first of what made it.
    fn file(&self, file: &File) -> (String, Value) {
        let origin = |line: &Line| line.causes.first().map(|cause| &self.blame.origins[cause.origin]);
        let gutter =
            |line: &Line| origin(line).map_or(String::new(), |origin| format!("{} {}", origin.line, origin.path));
        let width = file.lines.iter().map(|line| gutter(line).chars().count()).max().unwrap_or_default();
        let digits = file.lines.len().to_string().len();
        let mut text = String::new();
        for (n, line) in file.lines.iter().enumerate() {
            let shown = format!("{:width$} | {:digits$} {}", gutter(line), n + 1, line.text);
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        let lines: Vec<_> = file.lines.iter().enumerate().map(|(n, line)| self.json_line(n + 1, line)).collect();
        (text, json!({ "spec": self.spec, "file": file.path, "lines": lines }))
    }

    /// All that made one line, and how else it would be.
    fn line(&self, file: &File, number: usize) -> Result<(String, Value), Failure> {
        let line = file.lines.get(number - 1).ok_or_else(|| {
            Failure::Usage(anyhow!("{} has lines 1 to {}, and no line {number}", file.path, file.lines.len()))
        })?;
        let mut text = format!("{}:{number}\n    {}\n", file.path, line.text.trim_start());
        if line.causes.is_empty() {
            text.push_str("\nno line of the spec made this; it is there unless the spec says otherwise\n");
        }
        for Cause { origin, what_if, becomes, .. } in &line.causes {
            let Origin { path, line, .. } = &self.blame.origins[*origin];
            let becomes = becomes.as_deref().map_or("no such line", str::trim_start);
            text.push_str(&format!("\n{}:{line}  {path}\n    {what_if}: {becomes}\n", self.spec));
        }
        let json = json!({ "spec": self.spec, "file": file.path, "lines": [self.json_line(number, line)] });
        Ok((text, json))
    }

    /// What a line of the spec made.
    fn spec_line(&self, number: usize) -> (String, Value) {
        let source = self.text.lines().nth(number - 1).unwrap_or_default();
        let origins = self.blame.origins_at(number);
        let mut text = format!("{}:{number}\n    {}\n", self.spec, source.trim_start());
        let made = self.blame.lines_of(&origins);
        for (file, lines) in &made {
            let file = &self.blame.files[*file];
            if lines.len() == file.lines.len() && lines.len() > 1 {
                text.push_str(&format!("\n{}\n    all {} lines\n", file.path, lines.len()));
                continue;
            }
            text.push_str(&format!("\n{}\n", file.path));
            let digits = lines.last().map_or(0, |last| last.to_string().len());
            for line in lines {
                text.push_str(format!("    {line:digits$} {}", file.lines[line - 1].text).trim_end());
                text.push('\n');
            }
        }
        if made.is_empty() {
            let effects: Vec<&str> = origins.iter().filter_map(|n| self.blame.origins[*n].effect).map(words).collect();
            text.push_str(&format!("\n{}\n", effects.first().unwrap_or(&"makes nothing: no value stands here")));
        }
        let files: Vec<_> = made
            .iter()
            .map(|(file, lines)| {
                let file = &self.blame.files[*file];
                let lines: Vec<_> =
                    lines.iter().map(|line| json!({ "line": line, "text": file.lines[line - 1].text })).collect();
                json!({ "file": file.path, "lines": lines })
            })
            .collect();
        let json = json!({ "spec": self.spec, "line": number, "origins": self.json_origins(&origins), "files": files });
        (text, json)
    }

    /// Every line of the spec with how much it made.
    fn spec(&self) -> (String, Value) {
        let mut rows = Vec::new();
        let mut json = Vec::new();
        for (n, source) in self.text.lines().enumerate() {
            // What goes on from a line before is told there.
            let origins: Vec<usize> =
                self.blame.origins_at(n + 1).into_iter().filter(|at| self.blame.origins[*at].line == n + 1).collect();
            let made = self.blame.lines_of(&origins);
            let lines: usize = made.iter().map(|(_, lines)| lines.len()).sum();
            let count = match origins.first().and_then(|at| self.blame.origins[*at].effect) {
                None => String::new(),
                Some(effect @ (Effect::Image | Effect::Proof | Effect::Default | Effect::Fixed)) if lines == 0 => {
                    short(effect).to_owned()
                }
                // Its parts stand on lines of their own.
                Some(Effect::Layout) if lines == 0 => String::new(),
                Some(_) => format!("{lines} in {}", made.len()),
            };
            rows.push((count, n + 1, source));
            if !origins.is_empty() {
                json.push(json!({
                    "line": n + 1, "origins": self.json_origins(&origins), "lines": lines, "files": made.len(),
                }));
            }
        }
        let width = rows.iter().map(|(count, ..)| count.len()).max().unwrap_or_default();
        let digits = rows.len().to_string().len();
        let text = rows.iter().map(|(count, n, source)| {
            let row = format!("{count:>width$} | {n:digits$} {source}");
            format!("{}\n", row.trim_end())
        });
        (text.collect(), json!({ "spec": self.spec, "lines": json }))
    }

    fn json_line(&self, number: usize, line: &Line) -> Value {
        let causes: Vec<_> = line
            .causes
            .iter()
            .map(|Cause { origin, what_if, becomes, lines, .. }| {
                let origin = &self.blame.origins[*origin];
                json!({
                    "line": origin.line, "path": origin.path, "what_if": what_if, "becomes": becomes,
                    "changes": lines,
                })
            })
            .collect();
        json!({ "line": number, "text": line.text, "causes": causes })
    }

    fn json_origins(&self, origins: &[usize]) -> Vec<Value> {
        let origins = origins.iter().map(|n| &self.blame.origins[*n]);
        origins.map(|Origin { path, effect, .. }| json!({ "path": path, "decides": effect.map(short) })).collect()
    }
}

/// What is decided, for a column and for JSON.
fn short(effect: Effect) -> &'static str {
    match effect {
        Effect::Layout => "layout",
        Effect::Image => "image",
        Effect::Proof => "proof",
        Effect::Default => "default",
        Effect::Fixed => "fixed",
    }
}

/// Why there is no line.
fn words(effect: Effect) -> &'static str {
    match effect {
        Effect::Layout => "makes lines of the layout",
        Effect::Image => "makes no line of the layout: it decides what the image is made from",
        Effect::Proof => "makes no line of the layout: it is a question of the proof",
        Effect::Default => "makes no line of the layout: without it all would be the same",
        Effect::Fixed => "makes no line of the layout: there is no other value it could have here",
    }
}
