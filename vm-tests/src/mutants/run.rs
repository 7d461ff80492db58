//! The proof of each mutant, on a host that is restored for it, or booted where it takes a boot.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use dmhost_layout::plan::HostPlan;
use dmhost_layout::render;
use dmhost_pki::Pki;

use super::behind::{Behind, behind};
use super::effect;
use super::equivalent::equivalent;
use super::make::{Mutant, mutants};
use crate::bed::{BedRequest, Testbed, image_of};
use crate::proof::{self, Extent, containers};
use crate::vm::{Accel, Verdict};

/// A host and its image, for mutants of it.
#[derive(Debug)]
pub struct Laboratory<'a> {
    /// The host.
    pub plan: &'a HostPlan,
    /// Its keys.
    pub pki: &'a Pki,
    /// Its image, as it ought to be.
    pub image: &'a Utf8PathBuf,
    /// Where images of mutants may be.
    pub folder: Utf8PathBuf,
    /// Where states are kept.
    pub cache_dir: &'a Path,
}

/// What came of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The proof turned red: its first red cell or fact.
    Killed(String),
    /// The proof stayed green.
    Survived,
    /// Nothing can tell it from the layout, for this reason.
    Equivalent(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(by) => write!(f, "killed      {by}"),
            Self::Survived => f.write_str("SURVIVED"),
            Self::Equivalent(why) => write!(f, "equivalent  {why}"),
        }
    }
}

/// How many of each there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    killed: usize,
    survived: usize,
    equivalent: usize,
}

impl Score {
    /// Counts one more.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Killed(_) => self.killed += 1,
            Outcome::Survived => self.survived += 1,
            Outcome::Equivalent(_) => self.equivalent += 1,
        }
    }

    /// Whether none survived, and there were any.
    pub fn is_full(&self) -> bool {
        self.survived == 0 && self.killed > 0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, survived, equivalent } = self;
        write!(f, "{killed} of {} killed, {survived} survived; {equivalent} are equivalent", killed + survived)
    }
}

impl Laboratory<'_> {
    /// Every mutant of the host, those that only a boot takes up last.
    pub fn mutants(&self) -> Vec<Mutant> {
        let mut all = mutants(self.plan, &render(self.plan));
        all.sort_by_key(|mutant| !effect::is_live(self.plan, mutant));
        all
    }

    /// The proof without a mutant: of a host that is red anyway every mutant would be killed.
    ///
    /// # Errors
    /// If it is red, and if the machine of this run fails.
    pub fn baseline(&self) -> Result<()> {
        let bed = containers::settled(&self.request(self.image), &mut |_| {})?;
        match self.judge(&bed)? {
            Outcome::Survived | Outcome::Equivalent(_) => Ok(()),
            Outcome::Killed(by) => bail!("the host is not as planned without a mutant: {by}"),
        }
    }

    /// The proof of one.
    ///
    /// # Errors
    /// If the machine of this run fails, which says nothing of the mutant.
    pub fn try_one(&self, mutant: &Mutant) -> Result<Outcome> {
        if let Some(why) = equivalent(self.plan, mutant) {
            return Ok(Outcome::Equivalent(why));
        }
        match behind(self.plan, mutant) {
            Some(Ok(behind)) => return self.open_and_put(behind, mutant),
            Some(Err(why)) => return Ok(Outcome::Equivalent(why)),
            None => {}
        }
        let outcome = if effect::is_live(self.plan, mutant) { self.put_into(mutant) } else { self.boot(mutant) };
        outcome.with_context(|| format!("no verdict on {}", mutant.name))
    }

    fn put_into(&self, mutant: &Mutant) -> Result<Outcome> {
        let bed = containers::settled(&self.request(self.image), &mut |_| {})?;
        if let Some(why) = effect::put(self.plan, &bed.guest, mutant)? {
            // A daemon that does not start with it is not as planned, and its admin is told.
            return Ok(Outcome::Killed(why));
        }
        self.judge(&bed)
    }

    /// With the layer before it opened, or in its misfortune; and then with the mutant too.
    fn open_and_put(&self, behind: &Behind, mutant: &Mutant) -> Result<Outcome> {
        let red = |put: bool| {
            // A misfortune is not undone: each has a host of its own.
            let bed = containers::settled(&self.request(self.image), &mut |_| {})?;
            if put && let Some(why) = effect::put(self.plan, &bed.guest, mutant)? {
                return Ok(Some(why));
            }
            behind.red(self.plan, &bed, self.pki, mutant)
        };
        if let Some(red) = red(false)? {
            bail!("it is red without the mutant too: {red}");
        }
        Ok(red(true)?.map_or(Outcome::Survived, |red| Outcome::Killed(format!("alone: {red}"))))
    }

    fn boot(&self, mutant: &Mutant) -> Result<Outcome> {
        let image = self.folder.join("mutant.raw");
        image_of(self.plan, &mutant.applied(&render(self.plan)), self.pki, &image)?;
        match Testbed::boot(&self.request(&image), &mut |_| {}) {
            Ok(bed) => self.judge(&bed),
            Err(error) => killed(error),
        }
    }

    fn judge(&self, bed: &Testbed) -> Result<Outcome> {
        match proof::prove(self.plan, bed, self.pki, Extent::UntilRed, &mut |_| {}) {
            Ok(report) => Ok(report.first_red().map_or(Outcome::Survived, Outcome::Killed)),
            Err(error) => killed(error),
        }
    }

    fn request<'a>(&'a self, image: &'a Utf8PathBuf) -> BedRequest<'a> {
        BedRequest { plan: self.plan, image, accel: Accel::Auto, cache_dir: self.cache_dir, report: None }
    }
}

/// A guest that panics, fails or does not come up is red; all else that ends a run says nothing of the mutant.
fn killed(error: anyhow::Error) -> Result<Outcome> {
    match error.chain().find_map(|cause| cause.downcast_ref::<Verdict>()) {
        Some(Verdict::Panic(why) | Verdict::Fail(why) | Verdict::Stall(why)) => {
            Ok(Outcome::Killed(why.lines().next().unwrap_or_default().to_owned()))
        }
        Some(Verdict::Pass | Verdict::Infrastructure(_)) | None => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_a_verdict_on_the_guest_kills() {
        let fault = anyhow::Error::new(Verdict::Panic("Oops".to_owned())).context("the boot");
        assert_eq!(killed(fault).unwrap(), Outcome::Killed("Oops".to_owned()));
        assert!(killed(Verdict::Infrastructure("no space".to_owned()).into()).is_err());
        assert!(killed(anyhow!("the harness itself")).is_err());
    }
}
