//! The user's own files, as they are. Owners other than root are given at boot, when every account is there.
//!
//! Source: tmpfiles.d(5), type `z`.

use crate::layout::{Content, Entry, Layout};
use crate::plan::{HostFile, HostPlan};

pub(in crate::render) fn render(plan: &HostPlan, layout: &mut Layout) {
    let mut owners = String::new();
    for HostFile { path, content, mode, owner } in &plan.host.files {
        layout.insert(path.clone(), Entry { mode: *mode, content: Content::Text(content.clone()) });
        if !owner.is_root() {
            owners.push_str(&format!("z {path} {mode:04o} {} {}\n", owner.user, owner.group));
        }
    }
    if !owners.is_empty() {
        layout.text("/etc/tmpfiles.d/dmhost-files.conf", format!("# host.files.owner\n{owners}"));
    }
}
