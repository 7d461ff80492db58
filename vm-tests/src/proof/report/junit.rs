//! The report as JUnit's XML, which CI services show: a suite for each vantage and one for the facts.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{Cell, Fact, Report};
use crate::proof::question::Question;

impl Report {
    /// The XML. `host` names the whole.
    ///
    /// # Errors
    /// If the XML cannot be written.
    pub fn to_junit(&self, host: &str) -> anyhow::Result<String> {
        let mut all = quick_junit::Report::new(format!("dmhost verify {host}"));
        for cells in self.cells.chunk_by(|one, next| one.question.vantage == next.question.vantage) {
            let mut suite =
                TestSuite::new(cells.first().map(|cell| cell.question.vantage.to_string()).unwrap_or_default());
            suite.add_test_cases(cells.iter().map(cell));
            all.add_test_suite(suite);
        }
        let mut suite = TestSuite::new("facts");
        suite.add_test_cases(self.facts.iter().map(fact));
        all.add_test_suite(suite);
        Ok(all.to_string()?)
    }
}

fn cell(cell: &Cell) -> TestCase {
    let Question { vantage, target, ask, expected } = &cell.question;
    let text = format!("expected {expected}, observed {}", cell.observed);
    let more = format!("{}\nframes of the capture: {:?}", cell.note.trim_end(), cell.frames);
    case(&format!("{target} {ask}"), &vantage.to_string(), cell.holds(), &text, &more)
}

fn fact(fact: &Fact) -> TestCase {
    case(&fact.name, "facts", fact.holds, "not as planned", &fact.found)
}

fn case(name: &str, class: &str, holds: bool, message: &str, more: &str) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !holds {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(message).set_description(more.trim());
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(XmlString::new(class));
    case
}
