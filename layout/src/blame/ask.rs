//! Asking: specs with something changed are planned and rendered, and what differs is written down.

use std::collections::{BTreeSet, HashSet};

use toml::de::DeTable;

use super::document::{self, Edit, Node, Step, dotted, edited, is_at};
use super::face::{Changed, Face};
use super::rank::{inherit, rank};
use super::whatif::{self, Asker, Kind, WITHOUT};
use super::{Blame, Cause, Effect, File, Line, Origin, Scope};
use crate::diagnostics::Diagnostics;
use crate::plan::{HostPlan, plan_from_document};

/// Asks as much as `scope` says.
pub(super) fn asked(plan: &HostPlan, document: &DeTable<'_>, places: &Diagnostics, scope: Scope<'_>) -> Blame {
    let truth = Face::of(plan);
    let nodes = document::nodes(document);
    let files = truth.files().map(|(path, lines)| File {
        path: path.to_owned(),
        lines: lines.into_iter().map(|text| Line { text, causes: Vec::new() }).collect(),
    });
    let line = |offset: usize| places.position(&(offset..offset)).line;
    let origins = nodes.iter().map(|node| Origin {
        path: dotted(&node.path),
        line: line(node.at.start),
        last_line: line(node.whole.end.max(node.at.start + 1) - 1),
        effect: None,
    });
    let mut blame = Blame { origins: origins.collect(), files: files.collect() };
    // The proof's own lines stand in the way of many a change, and make no file: they are asked about apart.
    let no_expects = [Edit::Remove(vec![Step::Key("expect".to_owned())])];
    let silent = edited(document, &no_expects);
    let silent_plan = plan_from_document(&silent).filter(|silent| truth.changed(&Face::of(silent)).is_empty());
    let asker = Asker::new(&nodes);
    let world = |node: &Node| match &silent_plan {
        Some(silent_plan) if !is_at(&node.path[..1], &["expect"]) => {
            World { document: &silent, plan: silent_plan, truth: &truth }
        }
        Some(_) | None => World { document, plan, truth: &truth },
    };
    for n in chosen(&asker, &nodes, &world, &blame, scope, silent_plan.is_some()) {
        let found = ask(&asker, &nodes[n], n, &world(&nodes[n]), &mut blame);
        blame.origins[n].effect = Some(found);
    }
    together(&asker, &nodes, &world, &mut blame, scope);
    inherit(&nodes, &mut blame.origins);
    for line in blame.files.iter_mut().flat_map(|file| &mut file.lines) {
        rank(&mut line.causes, &nodes);
    }
    blame
}

/// The nodes to be asked about. `proofless`: the proof's own lines make no line of the layout.
fn chosen<'w, 'd: 'w>(
    asker: &Asker<'_>,
    nodes: &[Node],
    world: &impl Fn(&Node) -> World<'w, 'd>,
    blame: &Blame,
    scope: Scope<'_>,
    proofless: bool,
) -> Vec<usize> {
    let (path, number) = match scope {
        Scope::Everything => return (0..nodes.len()).collect(),
        Scope::Spec(line) => return blame.origins_at(line),
        Scope::File(path) => (path, None),
        Scope::Line(path, line) => (path, Some(line)),
    };
    let Some(file) = blame.files.iter().position(|file| file.path == path) else {
        return Vec::new();
    };
    let touched = |sections: &[&Node]| {
        let world = world(sections[0]);
        // All that a section takes along comes last: most often that can be planned, and is the most that can change.
        let ways = |section: &Node| asker.without(section).into_iter().flat_map(|question| question.ways).rev();
        let plan = |edits: &[Edit]| plan_from_document(&edited(world.document, edits));
        let other = if let [section] = sections {
            ways(section).find_map(|way| plan(&way.edits))
        } else {
            let together = sections.iter().filter_map(|section| ways(section).next()).flat_map(|way| way.edits);
            plan(&together.collect::<BTreeSet<Edit>>().into_iter().collect::<Vec<Edit>>())
        };
        let here = |change: &Changed| change.file == file && number.is_none_or(|number| change.line + 1 == number);
        // A host that cannot be without the sections tells nothing of them.
        other.is_none_or(|other| world.truth.changed(&Face::of(&other)).iter().any(here))
    };
    let mut silent: Vec<&Node> = Vec::new();
    // Many at once, and only where that changes something the halves of them: most of a large host has nothing to do
    // with one file.
    let mut groups: Vec<Vec<&Node>> = vec![nodes.iter().filter(|node| whatif::section(&node.path).is_some()).collect()];
    while let Some(mut sections) = groups.pop() {
        if sections.is_empty() {
            continue;
        }
        if !touched(&sections) {
            silent.extend(sections);
        } else if sections.len() > 1 {
            let half = sections.split_off(sections.len() / 2);
            groups.extend([sections, half]);
        }
    }
    // Without any of the proof's own lines the layout is the same: none of them is asked about for a file.
    let proof = |node: &Node| is_at(&node.path[..1], &["expect"]);
    let unheard =
        |node: &Node| (proofless && proof(node)) || silent.iter().any(|section| node.path.starts_with(&section.path));
    nodes.iter().enumerate().filter(|(_, node)| !unheard(node)).map(|(n, _)| n).collect()
}

/// Lines that any one of several keys makes, and so no single one: they go only if all of the keys do.
fn together<'w, 'd: 'w>(
    asker: &Asker<'_>,
    nodes: &[Node],
    world: &impl Fn(&Node) -> World<'w, 'd>,
    blame: &mut Blame,
    scope: Scope<'_>,
) {
    for (members, way) in asker.without_all() {
        let told: Vec<usize> = match scope {
            Scope::Everything | Scope::File(_) | Scope::Line(..) => members.clone(),
            Scope::Spec(line) => blame.origins_at(line).into_iter().filter(|at| members.contains(at)).collect(),
        };
        if told.is_empty() {
            continue;
        }
        let world = world(&nodes[members[0]]);
        let changed = |edits: &[Edit]| {
            let other = plan_from_document(&edited(world.document, edits))?;
            Some(world.truth.changed(&Face::of(&other)))
        };
        let Some(all) = changed(&way.edits) else { continue };
        let count = all.len();
        // What the others do: where they were not asked about, seen by a spec that has this one alone.
        let others: HashSet<(usize, usize)> = match (scope, told.as_slice()) {
            (Scope::Spec(_), [told, ..]) => {
                let one = Edit::Remove(nodes[*told].path.clone());
                let others: Vec<Edit> = way.edits.iter().filter(|edit| **edit != one).cloned().collect();
                changed(&others).unwrap_or_default().iter().map(|change| (change.file, change.line)).collect()
            }
            _ => HashSet::new(),
        };
        for Changed { file, line, becomes } in all {
            let line_of = &mut blame.files[file].lines[line].causes;
            let single = |cause: &Cause| {
                cause.kind == Kind::Value && cause.what_if == WITHOUT && members.contains(&cause.origin)
            };
            if others.contains(&(file, line)) || line_of.iter().any(single) {
                continue;
            }
            line_of.extend(told.iter().map(|origin| Cause {
                origin: *origin,
                what_if: way.says.clone(),
                becomes: becomes.clone(),
                lines: count,
                kind: Kind::Any,
            }));
        }
    }
}

/// What a question is asked against.
struct World<'w, 'd> {
    document: &'w DeTable<'d>,
    plan: &'w HostPlan,
    truth: &'w Face<'w>,
}

fn ask(asker: &Asker<'_>, node: &Node, origin: usize, world: &World<'_, '_>, blame: &mut Blame) -> Effect {
    let mut effect = Effect::Fixed;
    for question in asker.questions(node) {
        for way in &question.ways {
            let Some(other) = plan_from_document(&edited(world.document, &way.edits)) else { continue };
            if other == *world.plan {
                effect = if effect == Effect::Fixed { Effect::Default } else { effect };
                continue;
            }
            let mut changed = world.truth.changed(&Face::of(&other));
            if question.kind == Kind::Reference && way.edits.iter().any(|edit| matches!(edit, Edit::Rename(..))) {
                // The name has changed everywhere; due to this reference is what its section has to do with.
                let own = asker.without_section(node).into_iter().flat_map(|question| question.ways).rev();
                let without = own.into_iter().find_map(|way| plan_from_document(&edited(world.document, &way.edits)));
                if let Some(without) = without {
                    let own = world.truth.changed(&Face::of(&without));
                    let own: HashSet<_> = own.iter().map(|change| (change.file, change.line)).collect();
                    changed.retain(|change| own.contains(&(change.file, change.line)));
                }
            }
            if changed.is_empty() {
                effect = match effect {
                    Effect::Fixed | Effect::Default if other.expects != world.plan.expects => Effect::Proof,
                    Effect::Fixed | Effect::Default if other.host != world.plan.host => Effect::Image,
                    found => found,
                };
                continue;
            }
            effect = Effect::Layout;
            let lines = changed.len();
            for change in changed {
                let what_if = way.says.clone();
                let cause = Cause { origin, what_if, becomes: change.becomes, lines, kind: question.kind };
                blame.files[change.file].lines[change.line].causes.push(cause);
            }
            break;
        }
    }
    effect
}
