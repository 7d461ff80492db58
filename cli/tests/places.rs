//! `dmhost lab`: where one can stand.

use crate::bed::Bed;

#[test]
fn a_place_that_the_host_does_not_have_is_refused_before_anything_is_built() {
    let bed = Bed::new().with_pki();
    let before = bed.names();
    for place in ["vlan:nope", "trunk:nope"] {
        bed.run(&format!("lab host.toml --on {place} -- true"))
            .refuses(2, &["the host has no interface nope; it has lab, lan, trunk, web"]);
    }
    assert_eq!(bed.names(), before);
}
