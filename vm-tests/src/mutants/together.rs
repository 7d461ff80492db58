//! What one mutant alone cannot show.

use super::make::Mutant;

/// Lines that guard the same thing: each alone is held by the other, so both are mutated at once. By parts of their names, of which
/// `{}` is the same path on both sides.
const GUARDED_TWICE: &[(&str, &str)] = &[];

/// Mutants that nothing outside can tell from the layout, and why: by parts of their names.
const EQUIVALENT: &[(&str, &str)] = &[];

/// Why a mutant is no different from the layout, if it is known to be so.
pub fn equivalent(mutant: &Mutant) -> Option<&'static str> {
    EQUIVALENT.iter().find(|(part, _)| mutant.name.contains(part)).map(|(_, why)| *why)
}

/// The list with its pairs: those that are guarded twice are in it together and not alone.
pub(super) fn paired(mut all: Vec<Mutant>) -> Vec<Mutant> {
    for (one, other) in GUARDED_TWICE {
        let firsts: Vec<Mutant> = all.iter().filter(|mutant| mutant.name.contains(one)).cloned().collect();
        let others: Vec<Mutant> = all.iter().filter(|mutant| mutant.name.contains(other)).cloned().collect();
        for first in &firsts {
            let folder = first.files.keys().next().and_then(|path| path.parent());
            let same = |second: &&Mutant| second.files.keys().next().and_then(|path| path.parent()) == folder;
            all.extend(others.iter().filter(same).map(|second| first.and(second)));
        }
        let alone = |mutant: &Mutant| mutant.files.len() == 1 && !mutant.name.contains(" AND ");
        all.retain(|mutant| !alone(mutant) || !(mutant.name.contains(one) || mutant.name.contains(other)));
    }
    all
}
