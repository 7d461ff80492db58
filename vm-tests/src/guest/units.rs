//! Units of the guest: waiting for them, and what the journal says of those that failed. systemd tells when it is done
//! (`systemctl is-system-running --wait`); nothing is polled.

use std::time::Duration;

use anyhow::bail;

use super::Guest;
use crate::vm::Verdict;

/// From the agent's hello to the end of the boot on the reference machine, with room for a crowded one.
const SETTLE: Duration = Duration::from_secs(120);

impl Guest {
    /// Waits until the boot is done: no job is left and no unit has failed.
    ///
    /// # Errors
    /// [`Verdict::Fail`] naming the failed units, with the end of their journal; [`Verdict::Stall`], naming the jobs still
    /// waiting, if the boot does not end.
    pub fn wait_settled(&self) -> anyhow::Result<()> {
        let output = self.run("systemctl is-system-running --wait", SETTLE)?;
        match (output.status, output.text().as_str()) {
            (Some(0), "running") => Ok(()),
            (None, _) => {
                let jobs = self.run("systemctl list-jobs --no-legend --no-pager", Duration::from_secs(20))?.text();
                bail!(Verdict::Stall(format!("the boot does not end; jobs still there:\n{jobs}")));
            }
            (_, state) => self.blame(state, "$(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1)"),
        }
    }

    /// Waits until the boot is done and these units are up or have failed: nothing changes by itself any more.
    ///
    /// # Errors
    /// The [`Verdict`] that ended the machine, or [`Verdict::Stall`] if the boot does not end.
    pub fn wait_booted(&self, units: &[String]) -> anyhow::Result<()> {
        let output = self.run("systemctl is-system-running --wait", SETTLE)?;
        if output.status.is_none() {
            return self.wait_settled();
        }
        // dockerd gives its containerd 15 s and is started anew after that: on a slow machine the boot is done before.
        self.run(&format!("systemctl start {}", units.join(" ")), SETTLE)?;
        Ok(())
    }

    /// Waits until these units are up, and starts those that nothing has started.
    ///
    /// # Errors
    /// [`Verdict::Fail`] with the end of the journal of those that failed; [`Verdict::Stall`] if one takes too long.
    pub fn wait_for_units(&self, units: &[&str]) -> anyhow::Result<()> {
        for unit in units {
            let legal = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
            if unit.is_empty() || unit.starts_with('-') || !unit.chars().all(legal) {
                bail!("{unit:?} is no name of a unit");
            }
        }
        // Quoted, for the backslashes of escaped names.
        let names = units.iter().map(|unit| format!("'{unit}'")).collect::<Vec<_>>().join(" ");
        // `start` joins a job that is there already and returns at its end.
        let output = self.run(&format!("systemctl start {names}"), SETTLE)?;
        match output.status {
            Some(0) => Ok(()),
            None => bail!(Verdict::Stall(format!("{} do not come up in time", units.join(", ")))),
            Some(_) => self.blame(&String::from_utf8_lossy(&output.stderr), &names),
        }
    }

    fn blame(&self, state: &str, units: &str) -> anyhow::Result<()> {
        let script = format!(
            "for unit in {units}; do
                systemctl is-active -q \"$unit\" && continue
                systemctl status --no-pager --full --lines=0 \"$unit\"
                journalctl --no-pager --boot --output=short-monotonic --lines=40 --unit=\"$unit\"
            done; true"
        );
        let journal = self.run(&script, Duration::from_secs(60))?.text();
        bail!(Verdict::Fail(format!("the guest is not well: {}\n{journal}", state.trim())));
    }
}
