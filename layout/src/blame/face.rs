//! A layout as lines: what `blame` shows of each entry, and which of them another layout does not have.

use camino::Utf8Path;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::layout::{Content, CredentialId, Entry, Layout};
use crate::plan::HostPlan;
use crate::render;

/// A layout, and the plan it was rendered from.
pub(super) struct Face<'p> {
    plan: &'p HostPlan,
    layout: Layout,
}

impl<'p> Face<'p> {
    /// The layout of a plan.
    pub(super) fn of(plan: &'p HostPlan) -> Self {
        Self { plan, layout: render(plan) }
    }

    /// Every path and its lines.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Utf8Path, Vec<String>)> {
        self.layout.iter().map(|(path, entry)| (path, lines(self.plan, &entry.content)))
    }

    /// The lines that `other` does not have.
    pub(super) fn changed(&self, other: &Face<'_>) -> Vec<Changed> {
        let mut changed = Vec::new();
        let mut others = other.layout.iter().peekable();
        for (file, (path, entry)) in self.layout.iter().enumerate() {
            // Both are in path order. Paths are compared by their parts, which is slow: most are the same as text.
            let same = |(other, _): &(&Utf8Path, &Entry)| other.as_str() == path.as_str();
            let there = others.next_if(same).or_else(|| {
                while others.next_if(|(other, _)| *other < path).is_some() {}
                others.next_if(same)
            });
            let there = there.map(|(_, entry)| entry);
            // Most files are the same; a secret is named the same, whomever it is for.
            if there == Some(entry) && !matches!(entry.content, Content::Secret(_)) {
                continue;
            }
            let own = lines(self.plan, &entry.content);
            match there {
                None => changed.extend((0..own.len()).map(|line| Changed { file, line, becomes: None })),
                Some(there) => {
                    let others = lines(other.plan, &there.content);
                    differing(file, path.extension() == Some("json"), &own, &others, &mut changed);
                }
            }
        }
        changed
    }
}

fn lines(plan: &HostPlan, content: &Content) -> Vec<String> {
    match content {
        Content::Text(text) => text.lines().map(str::to_owned).collect(),
        Content::Link(target) => vec![format!("link: {target}")],
        Content::Directory => vec!["directory".to_owned()],
        Content::Secret(id) => {
            let mut lines = vec![format!("secret: {id}")];
            match id {
                // Its bytes are made elsewhere; whom it is for is planned here.
                CredentialId::ServerCertificate(daemon) => {
                    let api = plan.daemons.get(daemon).and_then(|daemon| daemon.api.as_ref());
                    lines.extend(api.iter().flat_map(|api| &api.names).map(|name| format!("for DNS {name}")));
                    lines.extend(api.iter().flat_map(|api| &api.addresses).map(|address| format!("for IP {address}")));
                }
                CredentialId::ServerKey(_) | CredentialId::ClientCa(_) => {}
            }
            lines
        }
    }
}

/// A line that is another in another layout.
#[derive(Debug)]
pub(super) struct Changed {
    /// The file, by its place among those of the true layout.
    pub(super) file: usize,
    /// The line, from 0.
    pub(super) line: usize,
    /// What stands there instead; `None`: nothing.
    pub(super) becomes: Option<String>,
}

fn differing(file: usize, json: bool, lines: &[String], others: &[String], changed: &mut Vec<Changed>) {
    // A comma at the end belongs to what follows.
    let bare = |line: &'_ String| if json { line.trim_end_matches(',').to_owned() } else { line.clone() };
    let (old, new): (Vec<String>, Vec<String>) = (lines.iter().map(bare).collect(), others.iter().map(bare).collect());
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        match op {
            DiffOp::Equal { .. } | DiffOp::Insert { .. } => {}
            DiffOp::Delete { old_index, old_len, .. } => {
                changed.extend((old_index..old_index + old_len).map(|line| Changed { file, line, becomes: None }));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                changed.extend((0..old_len).map(|n| {
                    let becomes = (n < new_len && old_len == new_len).then(|| others[new_index + n].clone());
                    Changed { file, line: old_index + n, becomes }
                }));
            }
        }
    }
}
