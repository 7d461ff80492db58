//! The report as files of one folder: for people, for programs, for CI services.

use std::path::Path;

use anyhow::Result;
use dmhost_layout::plan::HostPlan;

use super::{Report, frames, html};
use crate::bed::{BedRequest, Outside};

impl Report {
    /// [`Report::write`] into the folder that was asked for, if one was.
    ///
    /// # Errors
    /// As [`Report::write`].
    pub fn keep(&self, request: &BedRequest<'_>, outside: &Outside) -> Result<()> {
        request.report.map_or(Ok(()), |folder| self.write(request.plan, outside.capture(), folder))
    }

    /// Writes `report.txt`, `report.json`, `junit.xml` and `report.html` into a folder; the page shows frames of `capture`,
    /// which must be whole.
    ///
    /// # Errors
    /// If the capture cannot be read or a file cannot be written.
    pub fn write(&self, plan: &HostPlan, capture: &Path, folder: &Path) -> Result<()> {
        let frames = frames::describe(capture, &html::wanted(self))?;
        let files = [
            ("report.txt", self.text(false)),
            ("report.json", format!("{:#}\n", self.to_json()?)),
            ("junit.xml", self.to_junit(&plan.host.name)?),
            ("report.html", html::page(self, plan, &frames)),
        ];
        fs_err::create_dir_all(folder)?;
        for (name, text) in files {
            fs_err::write(folder.join(name), text)?;
        }
        Ok(())
    }
}
