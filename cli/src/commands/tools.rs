//! What a virtual machine needs of this one, looked for before an image is built for it.

use anyhow::anyhow;

use crate::failure::Failure;

/// Programs that are started by name, and the Debian packages that have them.
const TOOLS: [(&str, &str); 3] =
    [("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("setpriv", "util-linux")];

/// Checks that they are there.
///
/// # Errors
/// All that are missing, at once.
pub(super) fn preflight() -> Result<(), Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let missing: String = TOOLS
        .iter()
        .filter(|(tool, _)| !there(tool))
        .map(|(tool, package)| format!("\n  {tool}: install the package {package}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Machine(anyhow!("this machine lacks what a virtual machine needs:{missing}")))
}
