//! What was found, put in order: the most telling cause of a line first, and a whole told by its parts.

use super::document::{Node, is_at};
use super::whatif::Kind;
use super::{Cause, Effect, Origin};

/// A table or array that cannot be left out makes what its parts make; a part that can only be as it is, what its
/// section does.
pub(super) fn inherit(nodes: &[Node], origins: &mut [Origin]) {
    for n in 0..nodes.len() {
        if origins[n].effect != Some(Effect::Fixed) {
            continue;
        }
        let part = |other: &usize| nodes[*other].path.len() > nodes[n].path.len() && is_below(nodes, *other, n);
        let makes = (0..nodes.len()).filter(part).any(|other| origins[other].effect == Some(Effect::Layout));
        let of_proof = (0..nodes.len())
            .filter(|other| is_below(nodes, n, *other))
            .any(|other| origins[other].effect == Some(Effect::Proof));
        if makes {
            origins[n].effect = Some(Effect::Layout);
        } else if of_proof {
            origins[n].effect = Some(Effect::Proof);
        }
    }
}

fn is_below(nodes: &[Node], inner: usize, outer: usize) -> bool {
    nodes[inner].path.starts_with(&nodes[outer].path)
}

/// The most telling cause first, one for each origin; a part before the whole it belongs to.
pub(super) fn rank(causes: &mut Vec<Cause>, nodes: &[Node]) {
    let group = |kind: Kind| match kind {
        Kind::Value => 0,
        Kind::Name | Kind::Reference | Kind::Any => 1,
        Kind::Section => 2,
        Kind::Together => 3,
    };
    // Of a daemon and its interface, which go together, the daemon says more.
    let daemon = |cause: &Cause| cause.kind == Kind::Together && is_at(&nodes[cause.origin].path, &["daemons", "*"]);
    causes.sort_by_key(|cause| (group(cause.kind), cause.lines, cause.kind, !daemon(cause), cause.origin));
    let mut left: Vec<Cause> = Vec::with_capacity(causes.len());
    for cause in causes.drain(..) {
        if left.iter().all(|better| better.origin != cause.origin) {
            left.push(cause);
        }
    }
    while !left.is_empty() {
        let mut first = 0;
        let inner = |outer: usize| {
            let below = |cause: &Cause| cause.origin != left[outer].origin;
            left.iter().position(|cause| below(cause) && is_below(nodes, cause.origin, left[outer].origin))
        };
        while let Some(part) = inner(first) {
            first = part;
        }
        causes.push(left.remove(first));
    }
}
