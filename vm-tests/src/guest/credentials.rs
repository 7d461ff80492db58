//! What enters an untouched image from outside: the agent, and a console you are logged in to.
//!
//! `systemd.extra-unit.*` and `systemd.unit-dropin.*` are credentials that `systemd-debug-generator(8)` reads from systemd 256
//! on. An older one gets the same files from behind its initial RAM disk. Both start what `systemd.wants=` on the kernel
//! command line names.

use std::time::Duration;

use anyhow::Result;
use dmhost_layout::plan::Base;

use super::{Guest, initrd};
use crate::vm::{Boot, Credential, VmSpec};

/// The serial console's login.
const CONSOLE: &str = "serial-getty@ttyS0.service";
const LOGIN: &str =
    "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I $TERM\n";
/// For a login to be started, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds the agent to a machine that boots by [`Boot::Kernel`]; [`super::Guest::attach`] then finds it. It starts as the first
/// of all units.
///
/// # Errors
/// If the machine's initial RAM disk has to be added to and cannot be.
pub fn with_agent(spec: &mut VmSpec, base: Base) -> Result<()> {
    spec.credentials.push(Credential::new("dmhost.agent", include_str!("agent.sh")));
    enter(spec, base, "dmhost-agent.service", None, include_str!("agent.service"))?;
    push_argument(spec, "systemd.wants=dmhost-agent.service");
    Ok(())
}

/// Logs root in on the serial console: the image has no password to ask for.
///
/// # Errors
/// As [`with_agent`].
pub fn with_login(spec: &mut VmSpec, base: Base) -> Result<()> {
    enter(spec, base, CONSOLE, Some("dmhost-login"), LOGIN)
}

/// The same on a machine that runs.
///
/// # Errors
/// If the guest's agent does not answer.
pub fn now_logged_in(guest: &Guest) -> Result<()> {
    guest.put(&format!("/run/systemd/system/{CONSOLE}.d/dmhost-login.conf"), 0o644, LOGIN.as_bytes())?;
    guest.must(&format!("systemctl daemon-reload && systemctl restart {CONSOLE}"), PATIENCE).map(drop)
}

/// A unit, or a drop-in of one.
fn enter(spec: &mut VmSpec, base: Base, unit: &str, dropin: Option<&str>, text: &str) -> Result<()> {
    match base {
        Base::Debian13 => {
            let name = match dropin {
                None => format!("systemd.extra-unit.{unit}"),
                Some(dropin) => format!("systemd.unit-dropin.{unit}~{dropin}"),
            };
            spec.credentials.push(Credential::new(name, text));
            Ok(())
        }
        Base::Debian12 => {
            let path = dropin.map_or_else(|| unit.to_owned(), |dropin| format!("{unit}.d/{dropin}.conf"));
            match &spec.boot {
                Boot::Kernel { initrd: Some(initrd), .. } => initrd::add_unit(initrd, &path, text),
                // What comes from the disk is the disk's own.
                Boot::Kernel { initrd: None, .. } | Boot::Firmware { .. } | Boot::Bios => Ok(()),
            }
        }
    }
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
        Boot::Firmware { .. } | Boot::Bios => {}
    }
}
