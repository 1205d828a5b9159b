//! JUnit XML: a test case a scenario.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use thiserror::Error;

use crate::result::{Report, Verdict};
use crate::style::Style;
use crate::summary::summary;

/// The XML could not be written.
#[derive(Debug, Error)]
#[error("cannot write JUnit XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// Width of the texts in the file.
const WIDTH: usize = 120;

/// The results of some scenarios, each with the name of its test case; a race is a failure, an unrepeatable scenario an
/// error.
///
/// # Errors
/// [`JunitError`] when a text cannot be part of XML.
pub fn junit(reports: &[(String, &Report)]) -> Result<String, JunitError> {
    let mut suite = TestSuite::new("deadheat");
    for (name, report) in reports {
        let mut case = TestCase::new(name, status(report));
        case.set_classname("deadheat.find");
        case.set_time(Duration::try_from_secs_f64(report.seconds).unwrap_or_default());
        case.set_system_out(summary(report, Style::plain(WIDTH)));
        suite.add_test_case(case);
    }
    let mut all = quick_junit::Report::new("deadheat");
    all.add_test_suite(suite);
    // Jenkins' schema knows no `skipped` of all suites, which comes first; nothing is ever skipped.
    Ok(all.to_string()?.replacen(" skipped=\"0\"", "", 1))
}

fn status(report: &Report) -> TestCaseStatus {
    let kind = match report.verdict {
        Verdict::Clean | Verdict::NoRaceFound => return TestCaseStatus::success(),
        Verdict::Unrepeatable => NonSuccessKind::Error,
        Verdict::Race | Verdict::Bug => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    if let Some(race) = report.races.first() {
        let why: Vec<&str> = report.races.iter().map(|race| race.why.as_str()).collect();
        status.set_type(race.kind.to_string());
        status.set_message(format!(
            "{} in {}; saved in {}",
            race.kind, report.scenario, race.file
        ));
        status.set_description(why.join("\n\n"));
    } else {
        status.set_message(summary(report, Style::plain(WIDTH)).trim_end());
    }
    status
}
