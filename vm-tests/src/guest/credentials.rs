//! What enters an untouched image from outside, as systemd credentials: the agent, and a console you are logged in to.
//!
//! `systemd.extra-unit.*` and `systemd.unit-dropin.*` are read by `systemd-debug-generator(8)` (systemd 256 and later), which
//! also starts what `systemd.wants=` on the kernel command line names.

use crate::vm::{Boot, Credential, VmSpec};

/// Adds the agent to a machine that boots by [`Boot::Kernel`]; [`super::Guest::attach`] then finds it. It starts as the first
/// of all units.
pub fn with_agent(spec: &mut VmSpec) {
    spec.credentials.push(Credential::new("dmhost.agent", include_str!("agent.sh")));
    spec.credentials.push(Credential::new("systemd.extra-unit.dmhost-agent.service", include_str!("agent.service")));
    push_argument(spec, "systemd.wants=dmhost-agent.service");
}

/// Logs root in on the serial console: the image has no password to ask for.
pub fn with_login(spec: &mut VmSpec) {
    let dropin =
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I $TERM\n";
    spec.credentials.push(Credential::new("systemd.unit-dropin.serial-getty@ttyS0.service~dmhost-login", dropin));
}

fn push_argument(spec: &mut VmSpec, argument: &str) {
    match &mut spec.boot {
        Boot::Kernel { cmdline, .. } => {
            if !cmdline.is_empty() {
                cmdline.push(' ');
            }
            cmdline.push_str(argument);
        }
        // What comes from the disk is the disk's own.
        Boot::Firmware { .. } => {}
    }
}
