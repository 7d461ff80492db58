//! Probe containers: on each daemon one real container from a static busybox, published with the real `docker run -p`.
//!
//! Its page names the daemon, so that an answer from the wrong one is seen.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dmhost_layout::plan::{Daemon, DaemonName, HostPlan};

use super::question::{ProbePorts, probe_ports};
use crate::guest::Guest;

/// Where Debian's `busybox-static` puts it; on systems with a split `/usr`, the second.
const BUSYBOX: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];
/// The image's place in the guest: on tmpfs, so that the disk's own state is not touched by it.
const IN_GUEST: &str = "/run/dmhost-probe.tar";
/// For one daemon, on the reference machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The page that the probe container of a daemon answers with.
pub fn page(name: &DaemonName) -> String {
    format!("probe of daemon {name}\n")
}

/// Starts the probe container of every daemon that has a port to publish, all daemons at once.
///
/// # Errors
/// If busybox is not there or not static, or a daemon does not start its container; the message has Docker's own.
pub fn start(plan: &HostPlan, guest: &Guest) -> Result<()> {
    guest.put(IN_GUEST, 0o600, &image()?)?;
    std::thread::scope(|scope| {
        let starting: Vec<_> = plan.daemons.values().map(|daemon| scope.spawn(|| start_one(daemon, guest))).collect();
        starting.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn start_one(daemon: &Daemon, guest: &Guest) -> Result<()> {
    let name = &daemon.name;
    let ProbePorts { open, closed } = probe_ports(daemon);
    let publish: String = open.iter().chain(&closed).map(|port| format!(" -p {port}:8000")).collect();
    let docker = format!("docker -H unix://{}", name.socket());
    let script = format!(
        "set -eu
         {docker} import - dmhost-probe <{IN_GUEST} >/dev/null
         {docker} run -d --name dmhost-probe{publish} dmhost-probe /bin/busybox sh -c \
            'printf \"probe of daemon {name}\\n\" >/index.html; exec /bin/busybox httpd -f -p [::]:8000 -h /'"
    );
    guest.must(&script, PATIENCE).with_context(|| format!("daemon {name} does not run a probe container"))?;
    Ok(())
}

/// A container image that holds busybox alone: a tar of its root.
fn image() -> Result<Vec<u8>> {
    let path = BUSYBOX.iter().map(Path::new).find(|path| path.is_file());
    let path = path.context("there is no busybox on this machine: install the package busybox-static")?;
    let busybox = fs_err::read(path)?;
    // A dynamic program names its loader (ELF, PT_INTERP) near its head; in a container there is none.
    let head = &busybox[..busybox.len().min(8192)];
    if head.windows(7).any(|window| window == b"/ld-lin" || window == b"/ld-mus") {
        bail!("{} is not static: install the package busybox-static", path.display());
    }
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin/", "tmp/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, folder, std::io::empty()).context("cannot write the probe's image")?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", busybox.as_slice()).context("cannot write the probe's image")?;
    tar.into_inner().context("cannot write the probe's image")
}
