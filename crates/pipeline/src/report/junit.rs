//! `junit.xml`, as CI systems show it: a suite for the run, a case for each step and each hotfix.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{ErrorReport, HotfixReport, Report, Status, StepReport};

impl Report {
    /// The report as JUnit XML.
    pub(super) fn junit(&self) -> String {
        let title = self.title();
        let mut suite = TestSuite::new(title.clone());
        suite.set_time(seconds(self.seconds));
        let error = self.error.as_ref();
        suite.add_test_cases(self.steps.iter().map(|step| of_step(step, error)));
        suite.add_test_cases(self.hotfixes.iter().map(|hotfix| of_hotfix(hotfix, error)));
        if !self.warnings.is_empty() {
            suite.set_system_err(self.warnings.join("\n"));
        }
        let mut report = quick_junit::Report::new("hotfix");
        report.set_time(seconds(self.seconds)).add_test_suite(suite);
        // Writing to memory does not fail. XML has no way to write these two; others that it lacks are left out already.
        report.to_string().unwrap_or_default().replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
    }
}

fn of_step(step: &StepReport, error: Option<&ErrorReport>) -> TestCase {
    let error = error.filter(|error| error.step == step.name);
    let mut case = TestCase::new(step.name.to_string(), status(step.status, error));
    case.set_classname("hotfix.steps").set_time(seconds(step.seconds));
    case
}

fn of_hotfix(hotfix: &HotfixReport, error: Option<&ErrorReport>) -> TestCase {
    let mut case = TestCase::new(format!("{} {}", hotfix.number, hotfix.file), status(hotfix.status, error));
    case.set_classname("hotfix.hotfixes");
    if hotfix.status == Status::Passed {
        let HotfixReport { changed, added, removed, .. } = hotfix;
        case.set_system_out(format!("{changed} files changed, {added} added, {removed} removed"));
    }
    case
}

fn status(status: Status, error: Option<&ErrorReport>) -> TestCaseStatus {
    match status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped => TestCaseStatus::skipped(),
        Status::Failed => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            if let Some(ErrorReport { message, hint, .. }) = error {
                failure.set_message(message.lines().next().unwrap_or_default());
                failure.set_description(format!("{message}\nnext: {hint}"));
            }
            failure
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
