//! Mutants that nothing outside can tell from the layout.

use super::make::Mutant;

/// How their names begin, a part of them, and why.
const EQUIVALENT: &[(&str, &str, &str)] = &[(
    "/etc/dmhost/",
    "meta nfproto ipv4 fib saddr . iif oif missing drop",
    "two more layers hold it: egress.nft lets only the zone's own addresses out, and those come from nowhere but the zone itself \
     (the kernel's check for martians)",
)];

/// Why a mutant is no different from the layout, if it is known to be so.
pub fn equivalent(mutant: &Mutant) -> Option<&'static str> {
    let known = |(path, part, _): &&(&str, &str, &str)| mutant.name.starts_with(path) && mutant.name.contains(part);
    EQUIVALENT.iter().find(known).map(|(.., why)| *why)
}
